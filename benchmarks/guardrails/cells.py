"""The kinds of ramps that are played, and one kind played: so many ramps, from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase
from rampgate_operator.simulation.plan import plan
from rampgate_operator.simulation.product import play
from rampgate_operator.simulation.scheduled import Scheduled
from rampgate_operator.simulation.twin import run
from rampgate_operator.simulation.world import Flags, Pattern, Whole, World, arriving, constant, drift, incident
from tests.guardrails.ramps import LOOKS, RAMP, counters, ramp_of

BASE_RATE = 0.01
RATES = (10, 100, 1000)
PATTERNS: dict[str, Pattern] = {"constant": constant, "drift": drift, "incident": incident}
SEED = 20_261_126


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of ramps.

    Attributes:
        name: what they have in common.
        kind: which bar is theirs; empty for none.
        spec: the Experiment.
        world: what is so.
    """

    name: str
    kind: str
    spec: Spec
    world: World

    @property
    def is_short(self) -> bool:
        """Whether the product's own path can play it in reasonable time."""
        return plan(self.spec).scheduled <= LOOKS


class Outcome(NamedTuple):
    """Of each ramp: whether it was rolled back, after how many looks and requests of treatments, and whether it was held for ever."""

    rolled_back: Flags
    looks: Whole
    treated: Whole
    held: Flags


def cells() -> Iterator[Cell]:
    """Give them all, the slow ones first."""
    one, three = ramp_of(), ramp_of(*(counters(name) for name in ("orders", "payments", "logins")))
    for rate, (name, pattern), times in product(RATES, PATTERNS.items(), (100, 20)):
        told = f"no harm, {name}, {rate}/s, {times * LOOKS:,} looks"
        yield Cell(name=told, kind="any", spec=_longer(times), world=_world(rate, one, pattern=pattern))
    yield from _of_design()
    for rate in RATES:
        yield Cell(name=f"no harm, three guardrails, {rate}/s", kind="any", spec=three, world=_world(rate, three))
    for rate, (name, pattern) in product(RATES, PATTERNS.items()):
        yield Cell(name=f"no harm, {name}, {rate}/s", kind="aa50", spec=one, world=_world(rate, one, pattern=pattern))
    for harm, rate in (*product((2.0, 5.0), RATES), (1.2, 100)):
        yield Cell(name=f"{harm:g} times the errors, {rate}/s", kind=f"x{harm:g}", spec=one, world=_world(rate, one, harm=harm))


def _of_design() -> Iterator[Cell]:
    """What people really get: three guardrails with margins, control and treatment of equal weight, up to everybody."""
    spec = ramp_of(
        {"name": "errors", "errorRate": {}, "maxIncrease": "10%"},
        {"name": "slow", "slowerThan": "300ms", "maxIncrease": "20%"},
        counters("orders", maxIncrease="5%"),
        variants=[{"name": "off", "value": False}, {"name": "on", "value": True}],
        ramp={"steps": [{"percent": percent, "hold": hold} for percent, hold in ((1, "10m"), (10, "1h"), (50, "4h"), (100, "24h"))]},
        interval="30s",
    )
    rates = {"errors": (BASE_RATE,), "slow": (5 * BASE_RATE,), "orders": (BASE_RATE,)}
    for title, harm in (("no harm", {}), *((f"{harm:g} times the errors", {"errors": harm}) for harm in (2.0, 1.2))):
        yield Cell(
            name=f"an Experiment with margins, {title}, 100/s", kind="", spec=spec, world=World(per_second=100, rates=rates, harm=harm)
        )


def _longer(times: int) -> Spec:
    return ramp_of(ramp={"steps": [{"percent": percent, "hold": f"{times * looks}m"} for percent, looks in RAMP]})


def _world(rate: float, spec: Spec, *, pattern: Pattern = constant, harm: float = 1.0) -> World:
    names = [guardrail.name for guardrail in spec.guardrails or ()]
    return World(per_second=rate, rates=dict.fromkeys(names, (BASE_RATE,)), harm={names[0]: harm}, pattern=pattern)


def play_twin(cell: Cell, *, ramps: int, seed: tuple[int, ...]) -> Outcome:
    """Play so many ramps as arrays."""
    planned, chance = plan(cell.spec), np.random.default_rng(seed)
    ended = run(planned, arriving(cell.spec, cell.world, chance), number=ramps, most_looks=planned.scheduled)
    return Outcome(ended.by >= 0, ended.looks, ended.treated, ended.held)


def play_product(cell: Cell, *, ramps: int, seed: tuple[int, ...]) -> Outcome:
    """Play so many ramps through the product's own look, verdict and decision."""
    planned = plan(cell.spec)
    drawn = Scheduled(planned, cell.world, number=ramps, chance=np.random.default_rng(seed))
    played = [play(cell.spec, partial(drawn.at, ramp), most_looks=planned.scheduled) for ramp in range(ramps)]
    looks = np.array([one.looks for one in played])
    phases = np.array([one.status.phase for one in played])
    return Outcome(phases == Phase.ROLLED_BACK, looks, drawn.treated(looks), phases == Phase.RAMPING)
