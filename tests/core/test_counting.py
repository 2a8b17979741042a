"""core/counting: exact increases from raw samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampgate_operator.core.counting import ALWAYS, NEVER, Sample, Series, increases, remembers_since, without_base


def series(*samples: Sample, **labels: str) -> Series:
    return Series(labels or {"variant": "b"}, samples)


ROWS = [
    ("a rise counts from the base", [(5, 10.0), (15, 12.0), (20, 15.0)], 5.0),
    ("the base is the last sample before the window", [(1, 1.0), (9, 10.0), (15, 12.0)], 2.0),
    ("a sample at the start is the base", [(10, 10.0), (15, 12.0)], 2.0),
    ("a sample at the end counts", [(5, 10.0), (20, 12.0)], 2.0),
    ("a sample after the end does not count", [(5, 10.0), (20, 12.0), (21, 99.0)], 2.0),
    ("a flat counter is 0", [(5, 10.0), (15, 10.0)], 0.0),
    ("a new-born series counts from 0", [(12, 3.0), (18, 4.0)], 4.0),
    ("after a restart the new value counts", [(5, 10.0), (12, 12.0), (15, 3.0), (18, 4.0)], 6.0),
    ("a restart at the first sample of the window counts", [(5, 10.0), (12, 2.0)], 2.0),
    ("a restart to 0 counts nothing", [(5, 10.0), (12, 0.0), (15, 1.0)], 1.0),
    ("a drop before the window does not matter", [(1, 100.0), (5, 1.0), (15, 4.0)], 3.0),
    ("NaN is no sample", [(5, 10.0), (12, math.nan), (15, 11.0)], 1.0),
    ("NaN is no base", [(4, 10.0), (5, math.nan), (15, 11.0)], 1.0),
    ("infinity is no sample", [(5, 10.0), (12, math.inf), (15, 11.0)], 1.0),
]


@pytest.mark.parametrize(("samples", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_one_series_in_a_window_from_10_to_20(samples: list[Sample], expected: float) -> None:
    assert increases([series(*samples)], edges=(10, 20)) == ({"b": expected},)


def test_a_series_without_a_sample_in_the_window_is_absent() -> None:
    assert increases([series((5, 10.0), (25, 12.0))], edges=(10, 20)) == ({},)


def test_series_are_summed_by_variant_after_their_restarts() -> None:
    pods = [
        series((5, 100.0), (15, 1.0), variant="b", pod="1"),
        series((5, 1.0), (15, 100.0), variant="b", pod="2"),
        series((5, 1.0), (15, 3.0), variant="a", pod="1"),
        series((15, 7.0), pod="3"),
    ]
    assert increases(pods, edges=(10, 20)) == ({"b": 100.0, "a": 2.0, "": 7.0},)


def test_a_series_back_after_a_gap_counts_from_its_earlier_value() -> None:
    back = series((15, 1005.0), (18, 1006.0))
    assert increases([back], edges=(10, 20), earlier={back.identity: 1000.0}) == ({"b": 6.0},)


def test_a_series_that_restarted_in_a_gap_counts_from_0() -> None:
    back = series((15, 5.0), (18, 6.0))
    assert increases([back], edges=(10, 20), earlier={back.identity: 1000.0}) == ({"b": 6.0},)


def test_an_earlier_value_does_not_replace_a_base() -> None:
    known = series((5, 10.0), (15, 12.0))
    assert increases([known], edges=(10, 20), earlier={known.identity: 1.0}) == ({"b": 2.0},)


FORGOTTEN = [
    ("it has always remembered: it is new-born", ALWAYS, [(12, 1600.0), (18, 1602.0)], 1602.0),
    ("it remembers since before: it is new-born", 11, [(12, 3.0), (18, 4.0)], 4.0),
    ("it remembers since then: it may be old", 12, [(12, 1600.0), (18, 1602.0)], 2.0),
    ("it remembers since later: it may be old", 15, [(12, 1600.0), (18, 1602.0)], 2.0),
    ("it cannot remember: it may be old", NEVER, [(12, 1600.0), (18, 1602.0)], 2.0),
    ("a single sample counts nothing", NEVER, [(12, 1600.0)], 0.0),
    ("NaN is no first sample", NEVER, [(11, math.nan), (12, 1600.0), (18, 1602.0)], 2.0),
    ("a restart after the first sample counts", NEVER, [(12, 1600.0), (15, 3.0), (18, 4.0)], 4.0),
    ("from 0 on everything counts", NEVER, [(12, 0.0), (18, 4.0)], 4.0),
    ("a base is a base", NEVER, [(5, 1600.0), (15, 1602.0)], 2.0),
]


@pytest.mark.parametrize(("remembers", "samples", "expected"), [row[1:] for row in FORGOTTEN], ids=[row[0] for row in FORGOTTEN])
def test_what_a_source_meets_before_it_would_remember_begins_at_its_first_sample(
    remembers: float, samples: list[Sample], expected: float
) -> None:
    assert increases([series(*samples)], edges=(10, 20), remembers=remembers) == ({"b": expected},)


def test_an_earlier_value_counts_however_little_else_is_remembered() -> None:
    back = series((15, 1005.0), (18, 1006.0))
    assert increases([back], edges=(10, 20), earlier={back.identity: 1000.0}, remembers=NEVER) == ({"b": 6.0},)


BEGINNINGS = [
    ("nothing is scraped", [], NEVER),
    ("a target without a sample", [()], NEVER),
    ("two intervals after the first scrape", [(100, 110, 120)], 120),
    ("the first of all targets", [(107, 117), (100, 110)], 120),
    ("the slowest target's intervals", [(100, 110, 120), (105, 135)], 160),
    ("a target that was scraped once tells no interval", [(100, 110), (115,)], 120),
    ("all were scraped once: a margin", [(100,), (103,)], 300),
    ("a margin at the most", [(100, 290)], 300),
]


@pytest.mark.parametrize(("scrapes", "expected"), [row[1:] for row in BEGINNINGS], ids=[row[0] for row in BEGINNINGS])
def test_a_source_remembers_when_it_has_met_all_targets(scrapes: list[tuple[int, ...]], expected: float) -> None:
    ups = [series(*((at, 1.0) for at in ats)) for ats in scrapes]
    assert remembers_since(ups, margin=200) == expected


def test_a_scrape_that_failed_has_met_nothing() -> None:
    failing = [(at, 0.0) for at in (100, 110, 120, 130)]
    assert remembers_since([series(*failing)], margin=200) == NEVER
    assert remembers_since([series(*failing, (140, 1.0), (150, 1.0))], margin=200) == 160


def test_the_name_of_the_metric_is_not_part_of_the_identity() -> None:
    assert Series({"__name__": "a", "pod": "1"}, ()).identity == Series({"pod": "1"}, ()).identity


BASELESS = [
    ("with a base", [(5, 1.0), (15, 2.0)], False),
    ("with a base at the start", [(10, 1.0), (15, 2.0)], False),
    ("without a base", [(11, 1.0)], True),
    ("without a base, after zeros", [(11, 0.0), (12, 1.0)], True),
    ("all zeros, whose past cannot matter", [(11, 0.0), (12, 0.0)], False),
    ("only after the window", [(21, 1.0)], False),
    ("only NaN before", [(5, math.nan), (15, 2.0)], True),
]


@pytest.mark.parametrize(("samples", "named"), [row[1:] for row in BASELESS], ids=[row[0] for row in BASELESS])
def test_which_series_need_a_longer_memory(samples: list[Sample], named: bool) -> None:
    one = series(*samples)
    assert without_base([one], start=10, end=20) == ({one.identity} if named else set())


# A world that knows the truth: processes come, count, restart, fall silent and vanish, and every increment is scraped.


@dataclass(frozen=True)
class World:
    pods: tuple[Series, ...]
    truth: dict[str, int]
    edges: tuple[int, ...]


@st.composite
def pods(draw: st.DrawFn) -> tuple[Series, int]:
    """One series and how much it truly counted: lives of rising values, each new life scraped once below the last value."""
    at, value, truth, samples = draw(st.integers(1, 300)), 0, 0, list[Sample]()
    for _life in range(draw(st.integers(1, 3))):
        if value > 0:
            value = draw(st.integers(0, value - 1))
            truth += value
            samples.append((at, float(value)))
        for rise in draw(st.lists(st.integers(0, 5), min_size=1, max_size=6)):
            at += draw(st.integers(1, 30) | st.integers(60, 200))
            value += rise
            truth += rise
            samples.append((at, float(value)))
        at += draw(st.integers(1, 30))
    return Series({"variant": draw(st.sampled_from("ab")), "pod": draw(st.uuids()).hex}, tuple(samples)), truth


@st.composite
def worlds(draw: st.DrawFn) -> World:
    drawn = draw(st.lists(pods(), min_size=1, max_size=4))
    truth: dict[str, int] = {}
    for pod, count in drawn:
        truth[pod.labels["variant"]] = truth.get(pod.labels["variant"], 0) + count
    last = max(pod.samples[-1][0] for pod, _ in drawn)
    inner = draw(st.lists(st.integers(1, last), max_size=8, unique=True))
    return World(tuple(pod for pod, _ in drawn), truth, (0, *sorted({*inner, last} - {0})))


def fetched(world: World, *, after: int, until: int) -> list[Series]:
    """What a range selector returns: the samples in `(after, until]`, and no series without any."""
    cut = (Series(pod.labels, tuple(s for s in pod.samples if after < s[0] <= until)) for pod in world.pods)
    return [one for one in cut if one.samples]


@given(world=worlds(), margin=st.sampled_from([40, 1000]))
def test_disjoint_windows_add_up_to_the_truth(world: World, margin: int) -> None:
    """The margin of 40 is shorter than many gaps, so the longer memory is needed; 1000 covers nearly everything."""
    counted: dict[str, float] = {}
    for start, end in zip(world.edges, world.edges[1:], strict=False):
        samples = fetched(world, after=start - margin, until=end)
        wanted = without_base(samples, start=start, end=end)
        memory = {one.identity: one.samples[-1][1] for one in fetched(world, after=-1, until=start) if one.identity in wanted}
        for variant, count in increases(samples, edges=(start, end), earlier=memory)[0].items():
            counted[variant] = counted.get(variant, 0.0) + count
    assert counted == world.truth


@given(world=worlds())
def test_windows_counted_together_are_those_counted_one_by_one(world: World) -> None:
    samples = fetched(world, after=-1, until=world.edges[-1])
    alone = tuple(increases(samples, edges=pair)[0] for pair in zip(world.edges, world.edges[1:], strict=False))
    assert increases(samples, edges=world.edges) == alone
