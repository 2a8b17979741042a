"""core/targets: who reported exposures, and by which rules."""

from __future__ import annotations

import math

import pytest

from rampgate_operator.core.counting import Sample, Series
from rampgate_operator.core.targets import by_target, count_processes, settled

EDGES = (10, 20, 30)
A, B = {"instance": "a", "namespace": "shop"}, {"instance": "b", "namespace": "shop"}


def exposed(target: dict[str, str], *samples: Sample, variant: str = "control") -> Series:
    return Series({"__name__": "rampgate_first_exposures_total", "gate": "g", "variant": variant, **target}, samples)


def ran(target: dict[str, str], *samples: Sample) -> Series:
    return Series({"__name__": "rampgate_rules_generation", "gate": "g", **target}, samples)


def processes(target: dict[str, str], *samples: Sample) -> Series:
    return Series({"__name__": "rampgate_processes", **target}, samples)


IN_BOTH: tuple[Sample, ...] = ((5, 0.0), (15, 1.0), (25, 2.0))
IN_FIRST: tuple[Sample, ...] = ((5, 0.0), (15, 1.0))
OLD, NEW = 6.0, 7.0
SETTLED = [
    ("all have run them all along", [exposed(A, *IN_BOTH)], [ran(A, (5, NEW), (15, NEW), (25, NEW))], (True, True)),
    ("later rules are as good", [exposed(A, *IN_BOTH)], [ran(A, (5, 8.0), (15, 9.0), (25, 9.0))], (True, True)),
    (
        "rules that changed within a window do not count for it",
        [exposed(A, *IN_BOTH)],
        [ran(A, (5, OLD), (15, NEW), (25, NEW))],
        (False, True),
    ),
    ("a sample at the very beginning is the beginning's", [exposed(A, *IN_BOTH)], [ran(A, (10, NEW), (15, NEW), (25, NEW))], (True, True)),
    ("a new process begins with its first sample", [exposed(A, (15, 1.0))], [ran(A, (15, NEW))], (True, False)),
    ("what a target told before a gap does not count", [exposed(A, *IN_BOTH)], [ran(A, (-10, NEW), (15, OLD), (25, NEW))], (False, False)),
    ("one of two is late", [exposed(A, *IN_BOTH), exposed(B, *IN_BOTH)], [ran(A, (5, NEW)), ran(B, (5, OLD), (15, NEW))], (False, True)),
    ("one of two does not tell", [exposed(A, *IN_BOTH), exposed(B, *IN_FIRST)], [ran(A, (5, NEW))], (False, True)),
    ("one without exposures is late", [exposed(A, *IN_BOTH)], [ran(A, (5, NEW)), ran(B, (15, OLD))], (False, True)),
    ("one that had gone before the window does not matter", [exposed(A, *IN_BOTH), exposed(B, (5, 1.0))], [ran(A, (5, NEW))], (True, True)),
    ("nobody reported", [], [], (False, False)),
]


@pytest.mark.parametrize(("exposures", "generations", "expected"), [row[1:] for row in SETTLED], ids=[row[0] for row in SETTLED])
def test_a_window_is_settled_when_all_ran_the_rules_from_its_beginning(
    exposures: list[Series], generations: list[Series], expected: tuple[bool, ...]
) -> None:
    assert settled(by_target(exposures), by_target(generations), edges=EDGES, generation=7, margin=20) == expected


PROCESSES = [
    ("a process a target", [exposed(A, *IN_BOTH), exposed(B, *IN_BOTH)], [processes(A, (15, 1.0)), processes(B, (15, 1.0))], 2.0),
    ("variants are no processes", [exposed(A, *IN_BOTH), exposed(A, *IN_BOTH, variant="treatment")], [processes(A, (15, 1.0))], 1.0),
    ("workers of a target add up", [exposed(A, *IN_BOTH), exposed(B, *IN_BOTH)], [processes(A, (15, 4.0)), processes(B, (15, 2.0))], 6.0),
    ("the most that there were", [exposed(A, *IN_BOTH)], [processes(A, (15, 4.0), (25, 2.0))], 4.0),
    ("what was long before or after is not counted", [exposed(A, *IN_BOTH)], [processes(A, (-15, 8.0), (15, 2.0), (35, 8.0))], 2.0),
    ("a target that does not tell is one", [exposed(A, *IN_BOTH), exposed(B, *IN_BOTH)], [processes(A, (15, 3.0))], 4.0),
    (
        "one that is scraped less often than looked at counts",
        [exposed(A, *IN_BOTH), exposed(B, (5, 1.0))],
        [processes(A, (15, 1.0)), processes(B, (5, 3.0))],
        4.0,
    ),
    ("a target that has gone long ago is none", [exposed(A, *IN_BOTH), exposed(B, (-15, 1.0))], [processes(B, (15, 9.0))], 1.0),
    ("a target that has exposed nobody is none", [exposed(A, *IN_BOTH), exposed(B, (5, 0.0), (15, 0.0))], [processes(B, (15, 9.0))], 1.0),
    ("NaN is no number of processes", [exposed(A, *IN_BOTH)], [processes(A, (15, math.nan))], 1.0),
    (
        "what no float can sum up is more than anybody has",
        [exposed(A, *IN_BOTH), exposed(B, *IN_BOTH)],
        [processes(A, (15, 1.7e308)), processes(B, (15, 1.7e308))],
        2e6,
    ),
    ("nobody is one", [], [], 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("exposures", "gauges", "expected"), [row[1:] for row in PROCESSES], ids=[row[0] for row in PROCESSES])
def test_the_processes_of_those_that_reported_are_counted(exposures: list[Series], gauges: list[Series], expected: float) -> None:
    assert count_processes(by_target(exposures), by_target(gauges), edges=EDGES, margin=20) == expected
