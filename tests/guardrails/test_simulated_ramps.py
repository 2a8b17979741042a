"""Two hundred ramps through the product: what is promised of harm, and of its absence. `make bench-guardrails` plays 10,000 of each."""

import math
from functools import partial

import numpy as np
import pytest

from rampgate_operator.core.status import Phase
from rampgate_operator.simulation.plan import plan
from rampgate_operator.simulation.product import Played, begin, play
from rampgate_operator.simulation.scheduled import Scheduled
from rampgate_operator.simulation.world import World, constant, incident
from tests.guardrails.ramps import LOOKS, ramp_of

RAMPS, PROMISE = 200, 0.05
AT_MOST = PROMISE + 3 * math.sqrt(PROMISE * (1 - PROMISE) / RAMPS)
SPEC = ramp_of()


def played(world: World, *, ramps: int) -> tuple[list[Played], Scheduled]:
    drawn = Scheduled(plan(SPEC), world, number=ramps, chance=np.random.default_rng(11))
    return [play(SPEC, partial(drawn.at, ramp), most_looks=LOOKS) for ramp in range(ramps)], drawn


@pytest.mark.timeout(600)  # on a busy machine
def test_equal_arms_are_rolled_back_no_more_often_than_promised() -> None:
    ended = [
        one
        for pattern in (constant, incident)
        for one in played(World(per_second=10, rates={"orders": (0.01,)}, pattern=pattern), ramps=RAMPS // 2)[0]
    ]
    phases = [one.status.phase for one in ended]
    assert {one.looks for one in ended if one.status.phase is Phase.COMPLETED} == {LOOKS}
    assert phases.count(Phase.COMPLETED) + phases.count(Phase.ROLLED_BACK) == RAMPS
    assert phases.count(Phase.ROLLED_BACK) <= AT_MOST * RAMPS


@pytest.mark.timeout(600)
def test_twice_the_errors_are_found_before_many_have_met_them() -> None:
    ended, drawn = played(World(per_second=100, rates={"orders": (0.01,)}, harm={"orders": 2.0}), ramps=RAMPS)
    assert {one.status.phase for one in ended} == {Phase.ROLLED_BACK}
    assert np.median(drawn.treated(np.array([one.looks for one in ended]))) <= 1300


def test_what_never_begins_is_not_played() -> None:
    with pytest.raises(ValueError, match="it waits for Approval"):
        begin(ramp_of(ramp={"steps": [{"percent": 1, "hold": "1m", "approval": True}]}))
