"""The worlds that an Experiment is tried in: one in which nothing is worse, and one for each harm. Must not know how ramps are played."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rampgate_operator.core.spec import Spec
from rampgate_operator.simulation.plan import compared
from rampgate_operator.simulation.world import World


class UnusableError(ValueError):
    """The Experiment, or what is said of its world, cannot be simulated; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A world, and by how much it is worse for the first treatment in one guardrail; no guardrail: by nothing."""

    guardrail: str | None
    harm: float
    world: World


def left_out(spec: Spec) -> dict[str, str]:
    """Give what of the guardrails is not simulated, and why."""
    reasons: dict[str, str] = {}
    for guardrail in spec.guardrails or ():
        if not guardrail.is_counted:
            reasons[guardrail.name] = "a query may be of anything"
        elif guardrail.max_increase is None:
            reasons[guardrail.name] = "max alone compares with nothing: it does not depend on the ramp"
        elif guardrail.max is not None:
            reasons[guardrail.name] = "max; its maxIncrease is"
    return reasons


def assumed(spec: Spec) -> dict[str, str]:
    """Give what of the guardrails that are simulated only a cluster can say, and what is taken for it."""
    return {
        guardrail.name: f"dispersion is measured over {guardrail.measured_over}: here events are independent, and it is 1"
        for guardrail in compared(spec)
        if guardrail.measured_over is not None
    }


def scenarios(spec: Spec, *, per_second: float, rates: Mapping[str, tuple[float, ...]], harms: Sequence[float]) -> tuple[Scenario, ...]:
    """Give the worlds: no harm first. `rates` are by guardrail, or of the name "" for all others that need one rate.

    Raises:
        UnusableError: nothing can be compared, or a rate is missing or of nothing.
    """
    tested = compared(spec)
    if not tested:
        raise UnusableError("no guardrail with maxIncrease: what can be simulated are comparisons of what is counted")
    known = {guardrail.name for guardrail in tested}
    unknown = sorted(rates.keys() - known - {""})
    if unknown:
        raise UnusableError(f"no guardrail named {unknown[0]} is simulated; there are {', '.join(sorted(known))}")
    found = {guardrail.name: rates.get(guardrail.name) or rates.get("") for guardrail in tested}
    complete = {name: rate for name, rate in found.items() if rate is not None}
    for guardrail in tested:
        _check(guardrail.name, complete.get(guardrail.name), len(guardrail.latency.buckets) if guardrail.latency else 1)
    healthy = Scenario(guardrail=None, harm=1.0, world=World(per_second=per_second, rates=complete))
    worse = (
        Scenario(guardrail=name, harm=harm, world=World(per_second=per_second, rates=complete, harm={name: harm}))
        for name in complete
        for harm in harms
    )
    return (healthy, *worse)


def _check(name: str, rates: tuple[float, ...] | None, bounds: int) -> None:
    if rates is None:
        raise UnusableError(f"guardrail {name} needs a rate: --base-rate {name}=1%")
    if len(rates) != bounds:
        shares = "the shares of requests above each of its buckets" if bounds > 1 else "no more"
        raise UnusableError(
            f"guardrail {name} needs {bounds} rate{'s' if bounds > 1 else ''}, {shares}: --base-rate {name}={_example(bounds)}"
        )
    if any(later > earlier for earlier, later in pairwise(rates)):
        raise UnusableError(f"the rates of guardrail {name} must fall: what is slower than a bound is slower than every lower one")


def _example(bounds: int) -> str:
    return ",".join(f"{percent}%" for percent in (30, 10, 3, 1, 0.3)[:bounds])
