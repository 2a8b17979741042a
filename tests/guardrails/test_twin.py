"""The twin is the product, thousands of ramps at once: the same evidence, the same end."""

from datetime import timedelta
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm, log_mean
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase
from rampgate_operator.simulation.plan import Compared, plan
from rampgate_operator.simulation.product import Played, play
from rampgate_operator.simulation.scheduled import Scheduled
from rampgate_operator.simulation.twin import Ended, run
from rampgate_operator.simulation.world import Counts, World, incident, shares
from tests.guardrails.ramps import LOOKS, counters, ramp_of

CONTROL_TOO = [{"name": "off", "value": False}, {"name": "on", "value": True}, {"name": "new", "value": True, "weight": 2}]
TO_ALL = {"steps": [{"percent": percent, "hold": "15m"} for percent in (5, 50, 100)]}
FORMS = [
    {"name": "orders", "errorRate": {}, "maxIncrease": "10%"},
    {"name": "slow", "slowerThan": "300ms", "maxIncrease": "20%", "dispersion": {"factor": 3}},
    {"name": "latency", "latency": {"buckets": ["100ms", "300ms", "1s"]}, "maxIncrease": "5%"},
]
PROVEN = counters("orders", maxIncrease="100%", onInconclusive="Hold")
CASES: dict[str, tuple[Spec, dict[str, Any], int]] = {
    "harm that takes long to find": (ramp_of(), {"per_second": 10, "harm": {"orders": 2.0}}, 80),
    "no harm, in an incident": (ramp_of(), {"per_second": 100, "pattern": incident}, 20),
    "hardly any traffic": (ramp_of(), {"per_second": 0.2, "harm": {"orders": 5.0}}, 20),
    "two guardrails, two treatments and a margin": (
        ramp_of(counters("orders", maxIncrease="10%"), counters("payments", maxIncrease="5%"), variants=CONTROL_TOO),
        {"per_second": 20, "harm": {"payments": 2.0}},
        20,
    ),
    "every form that compares": (ramp_of(*FORMS), {"per_second": 20, "harm": {"latency": 1.5}}, 20),
    "steps that wait for proof": (ramp_of(PROVEN), {"per_second": 20}, 20),
    "up to everybody": (ramp_of(ramp=TO_ALL), {"per_second": 10}, 10),
    "up to everybody, with proof": (ramp_of(counters("orders", maxIncrease="50%"), ramp=TO_ALL), {"per_second": 5}, 10),
}
RATES = {"latency": (0.3, 0.05, 0.01)}


@cache
def both(case: str) -> tuple[list[Played], Ended, Scheduled]:
    spec, of_the_world, ramps = CASES[case]
    planned = plan(spec)
    world = World(rates={tested.name: RATES.get(tested.name, (0.01,)) for tested in planned.guardrails}, **of_the_world)
    drawn = Scheduled(planned, world, number=ramps, chance=np.random.default_rng(7))
    played = [play(spec, partial(drawn.at, ramp), most_looks=drawn.looks) for ramp in range(ramps)]
    return played, run(planned, drawn.of, number=ramps, most_looks=drawn.looks), drawn


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_the_twin_ends_as_the_product_does(case: str) -> None:
    played, ended, drawn = both(case)
    planned, names = drawn.planned, [guardrail.name for guardrail in drawn.planned.guardrails]
    for ramp, one in enumerate(played):
        latch = one.status.latch
        phase = Phase.RAMPING if ended.held[ramp] else Phase.ROLLED_BACK if ended.by[ramp] >= 0 else Phase.COMPLETED
        told = (phase, ended.looks[ramp], planned.percents[ended.step[ramp]], names[ended.by[ramp]] if ended.by[ramp] >= 0 else None)
        assert told == (one.status.phase, one.looks, latch.from_percent if latch else one.status.percent, latch and latch.guardrail)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_the_twin_has_the_product_s_evidence(case: str) -> None:
    """To 1e-9 that of the functions the product calls, for the same batches; status has it rounded down, by up to 1e-6 at every look."""
    spec, (played, ended, drawn) = CASES[case][0], both(case)
    for ramp, one in enumerate(played):
        for index, tested in enumerate(drawn.planned.guardrails):
            known = one.status.guardrail(tested.name)
            assert known is not None
            for arm, treatment in enumerate(spec.drawn_treatments):
                exact = evidence_of(drawn, ramp, tested, arm=arm, percents=percents_of(one))
                stands = [each for found in known.evidence if found.treatment == treatment.name for each in found.log_e_values or ()]
                assert ended.log_e[ramp, index, arm] == pytest.approx(exact, abs=1e-9)
                assert -1e-9 <= exact - log_mean(stands or NO_EVIDENCE) <= 1e-6 * LOOKS


def percents_of(one: Played) -> list[float]:
    """What was served while each look counted."""
    rises = [(each.at, each.percent) for each in one.status.history if each.percent > 0]
    ends = [*(at for at, _ in rises[1:]), one.at]
    return [percent for (at, percent), end in zip(rises, ends, strict=True) for _ in range((end - at) // timedelta(minutes=1))]


def evidence_of(drawn: Scheduled, ramp: int, tested: Compared, *, arm: int, percents: list[float]) -> float:
    """What the functions of core/sequential.py make of these batches."""
    logs: list[float] = []
    for bound in range(len(tested.bounds)):
        evidence = NO_EVIDENCE
        for look, percent in enumerate(percents):
            total, events = (column[ramp * drawn.looks + look] for column in (drawn.counts.totals, drawn.counts.events[tested.name]))
            total = total[[arm, -1]]
            if total.all() and not (percent == 100 and drawn.planned.blind):
                own, others = shares(drawn.planned.spec, np.array([percent]))[0, [arm, -1]] if tested.is_per_unit else total
                batch = Batch(own, events[arm, bound], others, events[-1, bound]).scaled(tested.cluster)
                evidence = add_harm(evidence, batch, limit=tested.limit)
        logs += evidence
    return log_mean(logs)


def test_two_hundred_ramps_are_compared() -> None:
    assert sum(ramps for _, _, ramps in CASES.values()) == 200


@pytest.mark.parametrize(("on_breach", "held", "step"), [("Hold", True, 0), ("Notify", False, 3)])
def test_a_breach_that_rolls_nothing_back_may_hold(on_breach: str, held: bool, step: int) -> None:
    spec = ramp_of(counters("orders", onBreach=on_breach))
    ended = run(plan(spec), lambda ramps, _percent, _over: counts(ramps.size, (60, 12), (5940, 59)), number=3)
    assert (ended.by.tolist(), ended.held.tolist(), ended.step.tolist()) == ([-1] * 3, [held] * 3, [step] * 3)


def test_a_step_lasts_until_it_has_its_exposures() -> None:
    steps = [{"percent": 1, "hold": "2m", "minExposures": 300}, {"percent": 2, "hold": "2m"}]
    ended = run(plan(ramp_of(ramp={"steps": steps})), lambda ramps, _percent, _over: counts(ramps.size, (60, 0), (5940, 59)), number=1)
    assert ended.looks[0] == 5 + 2


def counts(ramps: int, treatment: tuple[int, int], comparison: tuple[int, int]) -> Counts:
    """The same look for all: requests and failures."""
    totals, events = (np.tile([one, other], (ramps, 1)) for one, other in zip(treatment, comparison, strict=True))
    return Counts(totals=totals, events={"orders": events[..., None]})
