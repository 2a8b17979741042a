"""The kinds of ramps that are played, and one kind played: so many ramps, from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase
from rampgate_operator.simulation.plan import plan
from rampgate_operator.simulation.product import play
from rampgate_operator.simulation.scheduled import Scheduled
from rampgate_operator.simulation.twin import run
from rampgate_operator.simulation.world import Flags, Pattern, Whole, World, arriving, constant, drift, incident
from tests.guardrails.ramps import RAMP, counters, ramp_of

BASE_RATE = 0.01
RATES = (10, 100, 1000)
PATTERNS: dict[str, Pattern] = {"constant": constant, "drift": drift, "incident": incident}
HARMS = (2.0, 5.0, 1.2)
SEED = 20_261_126


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of ramps.

    Attributes:
        name: what they have in common.
        kind: which bar is theirs.
        spec: the Experiment.
        world: what is so.
        is_product: whether they go through the product's own path; else through its twin.
    """

    name: str
    kind: str
    spec: Spec
    world: World
    is_product: bool = True


class Outcome(NamedTuple):
    """Of each ramp: whether it was rolled back, after how many looks and requests of treatments, and whether it was held for ever."""

    rolled_back: Flags
    looks: Whole
    treated: Whole
    held: Flags


def cells() -> Iterator[Cell]:
    """Give them all, the slow ones first."""
    one, three = ramp_of(), ramp_of(*(counters(name) for name in ("orders", "payments", "logins")))
    for rate in RATES:
        yield Cell(name=f"no harm, three guardrails, constant, {rate}/s", kind="any", spec=three, world=_world(rate, three))
    for rate in RATES:
        for name, pattern in PATTERNS.items():
            yield Cell(name=f"no harm, {name}, {rate}/s", kind="aa50", spec=one, world=_world(rate, one, pattern=pattern))
            for times in (20, 100):
                longer, looks = _longer(times), times * sum(looks for _, looks in RAMP)
                told = f"no harm, {name}, {rate}/s, {looks:,} looks"
                yield Cell(name=told, kind="any", spec=longer, world=_world(rate, one, pattern=pattern), is_product=False)
    for harm in HARMS:
        for rate in RATES:
            yield Cell(name=f"{harm:g} times the errors, {rate}/s", kind=f"x{harm:g}", spec=one, world=_world(rate, one, harm=harm))


def _longer(times: int) -> Spec:
    return ramp_of(ramp={"steps": [{"percent": percent, "hold": f"{times * looks}m"} for percent, looks in RAMP]})


def _world(rate: float, spec: Spec, *, pattern: Pattern = constant, harm: float = 1.0) -> World:
    names = [guardrail.name for guardrail in spec.guardrails or ()]
    return World(per_second=rate, rates=dict.fromkeys(names, (BASE_RATE,)), harm={names[0]: harm}, pattern=pattern)


def measure(cell: Cell, *, ramps: int, seed: tuple[int, ...]) -> Outcome:
    """Play so many ramps."""
    chance, planned = np.random.default_rng(seed), plan(cell.spec)
    if not cell.is_product:
        ended = run(planned, arriving(cell.spec, cell.world, chance), number=ramps, most_looks=planned.scheduled)
        return Outcome(ended.by >= 0, ended.looks, ended.treated, ended.held)
    drawn = Scheduled(planned, cell.world, number=ramps, chance=chance)
    played = [
        play(cell.spec, lambda look, name, ramp=ramp: drawn.at(ramp, look, name), most_looks=planned.scheduled) for ramp in range(ramps)
    ]
    looks = np.array([one.looks for one in played])
    return Outcome(
        np.array([one.status.phase is Phase.ROLLED_BACK for one in played]),
        looks,
        drawn.treated(looks),
        np.array([one.status.phase is Phase.RAMPING for one in played]),
    )
