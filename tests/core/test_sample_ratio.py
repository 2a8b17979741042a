"""core/sample_ratio: whether first exposures fall to the treatments as they are drawn, over a whole attempt."""

import math
from collections.abc import Mapping
from datetime import timedelta
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate_operator.core.checkpoint import must_persist
from rampgate_operator.core.looks import Exposed
from rampgate_operator.core.observation import ExposureLook
from rampgate_operator.core.sample_ratio import add_window, describe_ratio, is_mismatch, needed, share_due, worst_ratio
from rampgate_operator.core.sequential import log_mean
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import SampleRatio, Status, WaitingFor, read_status
from tests.core.shop import exposed
from tests.core.story import BAD, ERRORS, FAILED, GOOD, NO_DATA, NOON, Story, make_spec, steps

Ratios = tuple[SampleRatio, ...]
SECOND = timedelta(seconds=1)
WEIGHTED = [
    {"name": "off", "value": 0, "weight": 2},
    {"name": "a", "value": 1, "weight": 1},
    {"name": "b", "value": 2, "weight": 5},
    {"name": "idle", "value": 3, "weight": 0},
]
ALONE = [{"name": "off", "value": 0, "weight": 0}, {"name": "on", "value": 1}]
TWO, THREE, ONE = make_spec(), make_spec(variants=WEIGHTED), make_spec(variants=ALONE)
FAIR = {"on": 5.0, "off": 5.0, "baseline": 90.0}
"""At 10 %."""
LOST = {"on": 400.0, "off": 500.0, "baseline": 9_000.0}


def weigh(*windows: Mapping[str, float], spec: Spec = TWO, percent: float = 10) -> Ratios:
    """Add windows of ten seconds one after the other."""
    known: Ratios = ()
    for number, window in enumerate(windows):
        known = add_window(known, window, spec=spec, percent=percent, counted_to=NOON + (number + 1) * 10 * SECOND)
    return known


SHARES = [
    ("of two arms half of the percentage is treatment's", TWO, 10.0, {"on": 0.05}),
    ("of a part of a percent too", TWO, 0.01, {"on": 0.00005}),
    ("weights divide it", THREE, 40.0, {"a": 0.05, "b": 0.25}),
    ("at 100 % weights alone do", THREE, 100.0, {"a": 0.125, "b": 0.625}),
    ("with control at weight 0 it is treatment's alone", ONE, 10.0, {"on": 0.1}),
]


@pytest.mark.parametrize(("spec", "percent", "expected"), [row[1:] for row in SHARES], ids=[row[0] for row in SHARES])
def test_what_is_due_to_each_treatment(spec: Spec, percent: float, expected: dict[str, float]) -> None:
    assert {each.name: share_due(each, spec, percent) for each in spec.drawn_treatments} == pytest.approx(expected)


def test_each_treatment_is_tested_against_everybody_else() -> None:
    found = {each.treatment: each for each in weigh({"off": 10, "a": 6, "b": 24, "baseline": 60}, spec=THREE, percent=40)}
    assert {name: (each.exposures, each.due, each.of) for name, each in found.items()} == {"a": (6, 5, 100), "b": (24, 25, 100)}


def test_who_was_not_drawn_is_not_counted() -> None:
    (ratio,) = weigh({**FAIR, "override": 50.0, "ineligible": 50.0, "none": 50.0, "": 50.0})
    assert (ratio.exposures, ratio.of) == (5, 100)


@pytest.mark.parametrize(
    ("window", "spec", "percent"),
    [({"on": 0.0, "baseline": 0.0}, TWO, 10), ({}, TWO, 10), ({"on": 50.0}, ONE, 100), ({"on": 50.0, "baseline": 1.0}, ONE, 100)],
    ids=["nobody came", "nothing was scraped", "everybody is treatment's", "a process lags behind"],
)
def test_a_window_that_says_nothing_adds_nothing(window: dict[str, float], spec: Spec, percent: float) -> None:
    assert weigh(window, spec=spec, percent=percent) == ()


@pytest.mark.parametrize(("spec", "bound"), [(TWO, 1000), (ONE, 1000), (THREE, 2000)], ids=["one", "one without control", "two"])
def test_the_bound_is_shared_by_the_treatments_that_are_drawn(spec: Spec, bound: float) -> None:
    assert needed(spec) == bound


@pytest.mark.parametrize("factor", [0.5, 1.5], ids=["too few", "too many"])
def test_a_ratio_that_is_far_off_is_a_mismatch_either_way(factor: float) -> None:
    (ratio,) = weigh({"on": 500 * factor, "off": 500.0, "baseline": 9_000.0})
    assert is_mismatch(ratio, TWO)


def test_the_mismatch_is_of_the_treatment_with_the_most_evidence() -> None:
    ratios = weigh({"off": 1_000, "a": 250, "b": 2_500, "baseline": 6_000}, spec=THREE, percent=40)
    worst = worst_ratio(ratios)
    assert worst is not None
    assert (worst.treatment, is_mismatch(worst, THREE), worst_ratio(())) == ("a", True, None)


def test_after_a_mismatch_the_record_of_why_stays_as_it_is() -> None:
    told = weigh(LOST, LOST, LOST, LOST)
    assert is_mismatch(told[0], TWO)
    assert weigh(LOST, LOST, LOST, LOST, *[{"on": 900.0, "off": 500.0, "baseline": 9_000.0}] * 9) == told


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 600)), min_size=1, max_size=12))
def test_evidence_is_never_more_than_what_all_windows_together_say(windows: list[tuple[int, int, int]]) -> None:
    counts = [dict(zip(("on", "off", "baseline"), map(float, window), strict=True)) for window in windows]
    together = weigh({arm: sum(window[arm] for window in counts) for arm in FAIR})
    apart = weigh(*counts)
    assert bool(apart) == bool(together)
    for one, other in zip(apart, together, strict=True):
        if not is_mismatch(one, TWO):
            assert (one.exposures, one.of) == (other.exposures, other.of)
            assert log_mean(one.log_e_values) == pytest.approx(log_mean(other.log_e_values), abs=2e-5)


SENTENCES = [
    ("as drawn", FAIR, "on has 5 % of 100 first exposures per process where 5 % are due (e = 0.89 < 1,000)"),
    ("a little off", {"on": 75, "off": 25, "baseline": 900}, "on has 7.5 % of 1,000 first exposures per process where 5 % are due (e = "),
    ("enough", LOST, "on has 4.04 % of 9,900 first exposures per process where 5 % are due (e = 2,670 ≥ 1,000)"),
    ("far off", {"on": 300, "off": 500, "baseline": 9_200}, "(e = over 1,000,000 ≥ 1,000)"),
]  # fmt: skip


@pytest.mark.parametrize(("window", "sentence"), [row[1:] for row in SENTENCES], ids=[row[0] for row in SENTENCES])
def test_what_a_person_reads(window: dict[str, float], sentence: str) -> None:
    (ratio,) = weigh(window)
    assert sentence in describe_ratio(ratio, TWO)


def test_what_is_due_over_several_steps_is_due_by_each_steps_percentage() -> None:
    first = add_window((), {"on": 1, "baseline": 99}, spec=ONE, percent=1, counted_to=NOON)
    (both,) = add_window(first, {"on": 50, "baseline": 50}, spec=ONE, percent=50, counted_to=NOON + SECOND)
    assert "on has 25.5 % of 200 first exposures per process where 25.5 % are due" in describe_ratio(both, ONE)


# What a look brings to an Experiment, and what a mismatch holds.

LONG = {"guardrails": [ERRORS], "ramp": {"steps": [{"percent": 10, "hold": "1m"}, {"percent": 100, "hold": "1m"}]}}


def take(story: Story, *seconds: int, of: Any, look: Any = GOOD) -> None:
    """Go to the last of these seconds after the step began, and take in a look at the windows between them."""
    began = story.known.step_started_at
    assert began is not None
    since, *cuts, until = (began + second * SECOND for second in seconds)
    story.now = max(story.now, until)
    answer = exposed(of) if isinstance(of, Mapping) else of
    story.decide(story.look(look), exposures=ExposureLook(since=since, cuts=tuple(cuts), until=until, answer=answer))


def seen(story: Story) -> tuple[float, float]:
    """What counts as evidence: treatment's and all."""
    ratio = worst_ratio(story.known.sample_ratios)
    return (ratio.exposures, ratio.of) if ratio else (0, 0)


def mismatched() -> Story:
    story = Story(**LONG).ramp_to(10)
    take(story, 0, 10, of={"on": 300, "off": 500, "baseline": 9_200})
    return story


def test_a_mismatch_holds_the_next_step_and_says_what_to_do() -> None:
    story = mismatched().wait("1m").settle()
    assert (story.said, story.waiting) == (("Ramping", 0, 10.0), WaitingFor.SAMPLE_RATIO)
    said = story.condition("Progressing").message
    assert said.startswith(
        "on has 3 % of 10,000 first exposures per process where 5 % are due (e = over 1,000,000 ≥ 1,000): the results of"
    )
    assert said.endswith("To begin again, mend it and set spec.attempt to 2 or higher.")


def test_it_marks_the_results_as_invalid_and_says_so_once() -> None:
    story = Story(**LONG).ramp_to(10)
    assert (story.condition("ResultsValid").status, story.condition("ResultsValid").reason) == ("Unknown", "NotCounted")
    take(story, 0, 10, of=FAIR)
    assert (story.condition("ResultsValid").status, story.condition("ResultsValid").reason) == ("True", "AsDrawn")
    began, before = story.now - 10 * SECOND, story.known
    story.wait("10s")
    look = ExposureLook(since=began + 10 * SECOND, until=story.now, answer=exposed({"on": 300, "off": 500, "baseline": 9_200}))
    told = story.decide(story.look(), exposures=look).announcements
    assert [(each.reason, each.warning) for each in told] == [("SampleRatio", True)]
    assert (story.condition("ResultsValid").status, story.condition("ResultsValid").reason) == ("False", "SampleRatio")
    assert must_persist(before, story.known)
    assert story.wait("10s").decide_with(GOOD).announcements == ()


def test_a_mismatch_holds_the_end_of_the_ramp_too_and_rolls_nothing_back() -> None:
    story = Story(guardrails=[ERRORS], ramp=steps(100)).ramp_to(100)
    take(story, 0, 10, of={"on": 4_000, "off": 6_000})
    story.wait("1h").settle()
    assert (story.said, story.waiting) == (("Ramping", 0, 100.0), WaitingFor.SAMPLE_RATIO)


def test_a_breach_rolls_back_in_spite_of_it() -> None:
    story = mismatched().wait("1s")
    story.decide_with(BAD)
    assert (story.said[0], story.condition("ResultsValid").status) == ("RolledBack", "False")


@pytest.mark.parametrize("end", [{"ship": {"attempt": 1, "variant": "on"}}, {"killed": True}], ids=["shipped", "killed"])
def test_what_became_of_the_results_is_still_said_after_the_end(end: dict[str, Any]) -> None:
    story = mismatched().edit(**end).settle()
    assert (story.condition("ResultsValid").status, story.waiting) == ("False", None)


def test_a_new_attempt_begins_its_evidence_anew() -> None:
    story = mismatched().edit(attempt=2).ramp_to(10)
    assert (story.known.sample_ratios, story.condition("ResultsValid").status) == ((), "Unknown")


@pytest.mark.parametrize(
    "happen",
    [
        {"paused": True},
        {"guardrails": [{**ERRORS, "max": 3}]},
        {"ramp": {"steps": [{"percent": 10, "hold": "2m"}]}},
        {"ramp": {"steps": [{"percent": 50, "hold": "1m"}]}},
    ],
    ids=["paused", "another guardrail", "other steps", "higher steps"],
)
def test_no_edit_takes_a_mismatch_back(happen: dict[str, Any]) -> None:
    story = mismatched().edit(**happen).wait("1m").settle()
    assert story.waiting is WaitingFor.SAMPLE_RATIO


def test_evidence_goes_on_over_steps() -> None:
    story = Story(**LONG).ramp_to(10)
    take(story, 0, 60, of=FAIR)
    assert (story.said, story.known.exposures) == (("Ramping", 1, 100.0), None)
    take(story, 0, 10, of={"on": 52, "off": 48})
    assert seen(story) == (57, 200)


def test_only_what_was_counted_by_the_same_rules_is_evidence() -> None:
    story = Story(**LONG).ramp_to(10)
    answer = Exposed(tuple(dict(each) for each in ({"on": 70.0}, FAIR, FAIR)), (False, True, True), 1)
    take(story, 0, 10, 20, 30, of=answer)
    assert seen(story) == (10, 200)
    assert story.known.exposures is not None
    assert {each.variant: each.count for each in story.known.exposures.variants} == {"off": 10, "on": 80, "baseline": 180}


@pytest.mark.parametrize(("processes", "expected"), [(0.0, 5), (1.0, 5), (4.0, 1.25)])
def test_a_unit_that_every_process_counts_weighs_no_more_than_one(processes: float, expected: float) -> None:
    story = Story(**LONG).ramp_to(10)
    take(story, 0, 10, of=exposed(FAIR, processes=processes))
    assert seen(story)[0] == expected


@pytest.mark.parametrize("answer", [FAILED, NO_DATA, exposed({})], ids=["the source is away", "no such metric", "no sample"])
def test_where_nothing_can_be_counted_nothing_waits_and_a_person_is_told(answer: Any) -> None:
    story = Story(guardrails=[ERRORS], ramp=steps(10, 100, hold="5m")).ramp_to(10)
    take(story, 0, 130, of=answer)
    assert story.known.exposures is not None
    assert (story.known.exposures.problem or "nothing") in story.condition("ResultsValid").message
    story.now = NOON + 300 * SECOND
    assert story.settle().said == ("Ramping", 1, 100.0)


def test_an_experiment_that_counts_nothing_says_nothing_of_results() -> None:
    assert Story().ramp_to(1).known.condition("ResultsValid") is None


def test_a_clock_that_was_set_back_counts_no_window_again() -> None:
    story = Story(**{**LONG, "ramp": steps(10, hold="2h")}).ramp_to(10)
    take(story, 0, 60, of=FAIR)
    story.now -= 30 * SECOND
    story.decide()
    take(story, 0, 30, of=FAIR)
    assert seen(story) == (5, 100)
    take(story, 30, 90, of=FAIR)
    assert seen(story) == (5, 100)
    take(story, 90, 120, of=FAIR)
    assert seen(story) == (10, 200)


def test_evidence_alone_is_no_reason_to_write() -> None:
    story = Story(**LONG).ramp_to(10)
    take(story, 0, 10, of=FAIR)
    before = story.known
    take(story, 10, 20, of=FAIR)
    assert story.known.sample_ratios != before.sample_ratios
    assert not must_persist(before, story.known)


# Whatever happens on the way, the evidence is that of someone who took every window once.

EVENTS = st.lists(st.sampled_from(["look", "look", "answer", "again", "lag", "fail", "persist", "restart"]), max_size=30)


def rose(number: int) -> dict[str, float]:
    """What the window that ends at this moment brings."""
    return {"on": float(3 + number % 5), "off": 5.0, "baseline": 90.0 + number % 7}


class Days:
    """An operator that has bad days with one step."""

    def __init__(self) -> None:
        self.story = Story(guardrails=[ERRORS], ramp=steps(10, hold="7d")).ramp_to(10)
        self.persisted: Status = self.story.known
        self.looks: list[ExposureLook] = []

    def ask(self, *, lag: int = 0) -> None:
        known = self.story.wait("30s").known.exposures
        since = known.counted_to if known else NOON
        ends = [NOON + 10 * number * SECOND for number in range(100) if since <= NOON + 10 * number * SECOND <= self.story.now]
        windows = [rose(int((end - NOON) / SECOND)) for end in ends[1:]]
        answer = exposed(*windows[: len(windows) - lag], *[{}] * min(lag, len(windows)))
        self.looks.append(ExposureLook(since=since, cuts=tuple(ends[1:-1]), until=ends[-1], answer=answer))

    def happen(self, event: str) -> None:
        match event:
            case "look" | "lag":
                self.ask(lag=2 if event == "lag" else 0)
                self.story.decide(exposures=self.looks[-1])
            case "answer":
                self.ask()
            case "again" if self.looks:
                self.story.decide(exposures=self.looks[0])
            case "fail" if self.looks:
                last = self.looks[-1]
                self.story.decide(exposures=ExposureLook(since=last.since, until=last.until, answer=FAILED))
            case "persist":
                self.persisted = self.story.known
            case "restart":
                self.story.status, self.looks = read_status(self.persisted.to_wire()), []


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_late_repeated_failed_looks_and_restarts_give_the_evidence_of_one_who_took_every_window_once(events: list[str]) -> None:
    days = Days()
    for event in [*events, "look"]:
        days.happen(event)
    known = days.story.known.exposures
    assert known is not None
    over = int((known.counted_to - NOON) / SECOND)
    assert days.story.known.sample_ratios == weigh(*[rose(second) for second in range(10, over + 10, 10)])


def test_the_evidence_is_the_reference_formula() -> None:
    """After Lindon & Malek 2022: the likelihood ratio of a tilted share, averaged over ten tilts."""
    theta, logs = 0.05, list[float]()
    for tilt in (0.02, 0.05, 0.1, 0.2, 0.5, -0.02, -0.05, -0.1, -0.2, -0.5):
        tilted = theta * math.exp(tilt) / (theta * math.exp(tilt) + 1 - theta)
        logs.append(40 * math.log(tilted / theta) + 960 * math.log((1 - tilted) / (1 - theta)))
    *_, mean = accumulate(map(math.exp, logs))
    (ratio,) = weigh({"on": 40, "off": 60, "baseline": 900})
    assert log_mean(ratio.log_e_values) == pytest.approx(math.log(mean / 10), abs=1e-5)


def test_one_exposure_among_thousands_of_processes_is_little_and_no_division_by_zero() -> None:
    """Window after window of one unit each, where every process counts a unit once: three decimals of that were nothing at all."""
    (ratio,) = weigh(*[{"off": 1 / 3000, "on": 1 / 3000}] * 10, percent=100)
    assert ratio.of == pytest.approx(20 / 3000)
    assert describe_ratio(ratio, TWO).startswith("on has 50 % of 0 first exposures per process where 50 % are due")


def test_a_step_whose_first_window_has_one_exposure_among_thousands_of_processes_is_decided() -> None:
    story = Story().ramp_to(1)
    began = story.known.step_started_at
    assert began is not None
    answer = Exposed(({"baseline": 1.0},), (True,), 3000.0)
    story.wait("10s").decide(exposures=ExposureLook(since=began, until=began + 10 * SECOND, answer=answer))
    assert story.known.sample_ratios[0].of == pytest.approx(1 / 3000)


@pytest.mark.parametrize("count", [5e-324, 1e-4])
def test_a_window_with_next_to_nothing_is_no_trouble(count: float) -> None:
    """What an application that counts wrongly, or claims to be very many processes, leaves of it."""
    (ratio,) = weigh({"on": count})
    assert describe_ratio(ratio, TWO).startswith("on has 100 % of 0 first exposures per process")
