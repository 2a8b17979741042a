"""`python -m benchmarks.guardrails.peers`: the same simulated ramps, judged by us and by rules of others, as tables of Markdown.

Theirs are rules as their documents and sources state them, rebuilt here from that and nothing else of them: Argo Rollouts' failureLimit,
Flagger's threshold, Kayenta's Mann-Whitney judge (98 % Hodges-Lehmann interval, tolerance 0.25), GrowthBook's asymptotic confidence
sequence (Waudby-Smith et al. 2024, one-sided, tuned for 5,000). Each cell: rolled back, median look, median requests of treatment.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import numpy as np

from benchmarks.guardrails.cells import BASE_RATE, RATES, SEED
from benchmarks.scale import say
from rampgate_operator.simulation.plan import Plan, plan
from rampgate_operator.simulation.scheduled import Scheduled
from rampgate_operator.simulation.twin import run
from rampgate_operator.simulation.world import Flags, Numbers, Pattern, Whole, World, constant, incident
from tests.guardrails.ramps import LOOKS, RAMP, counters, ramp_of

WORLDS: dict[str, tuple[float, Pattern]] = {
    "no harm": (1.0, constant),
    "no harm, drift and incident": (1.0, incident),
    "1 → 5 %": (5.0, constant),
    "1 → 2 %": (2.0, constant),
    "1 → 1.2 %": (1.2, constant),
}
ALPHA, TUNED_FOR = 0.05, 5000
CONFIDENCE, TOLERANCE = 0.98, 0.25
NAME = "orders"
ENDS = np.cumsum([looks for _, looks in RAMP])
NEVER = LOOKS


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What rules may look at: requests and failures of treatment and comparison, ramps × looks, and what draws them."""

    treated: Numbers
    failed: Numbers
    others: Numbers
    others_failed: Numbers
    drawn: Scheduled
    cohort: tuple[Numbers, Numbers]
    """Requests and failures of a part of control that is as large as treatment."""


Rule = Callable[[Seen], Whole]
"""Gives the look, from 0, at which each ramp is rolled back; NEVER for none."""


def first(flags: Flags) -> Whole:
    """Give the first look at which it holds."""
    return np.where(flags.any(axis=1), flags.argmax(axis=1), NEVER)


def too_many(failing: Flags, *, more_than: int) -> Whole:
    """Failing looks are counted over the whole ramp."""
    return first(np.asarray(failing.cumsum(axis=1) > more_than))


def above(seen: Seen, *, rate: float, more_than: int) -> Whole:
    """A look fails when treatment's rate is above a limit; one without requests has no rate, and passes."""
    return too_many(np.asarray(seen.failed > rate * seen.treated), more_than=more_than)


def above_control(seen: Seen, *, times: float, more_than: int) -> Whole:
    """A look fails when treatment's rate is so many times control's."""
    return too_many(np.asarray(seen.failed * seen.others > times * seen.others_failed * seen.treated), more_than=more_than)


def kayenta(seen: Seen) -> Whole:
    """Judge each step once, at its end, by its looks as points."""
    found = np.full(len(seen.treated), NEVER)
    rates, control = seen.failed / np.maximum(seen.treated, 1), seen.others_failed / np.maximum(seen.others, 1)
    for end, (_, points) in zip(ENDS, RAMP, strict=True):
        window = slice(end - points, end)
        differences = np.sort((rates[:, window, None] - control[:, None, window]).reshape(len(rates), -1), axis=1)
        spread = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * math.sqrt(points * points * (2 * points + 1) / 12)
        low = differences[:, max(0, math.floor(points * points / 2 - spread))]
        estimate = np.median(differences, axis=1)
        found = np.where((found == NEVER) & (low > TOLERANCE * np.abs(estimate)) & (estimate > 0), end - 1, found)
    return found


def growthbook(seen: Seen, *, cohort: bool) -> Whole:
    """Compare totals since the ramp began, with a cohort of control's or with all other traffic."""
    others = seen.cohort if cohort else (seen.others, seen.others_failed)
    counts = [each.cumsum(axis=1) for each in (seen.treated, seen.failed, *others)]
    n, x, m, y = (np.maximum(counts[0], 2), counts[1], np.maximum(counts[2], 2), counts[3])
    p, q, total = x / n, y / m, n + m
    error = np.sqrt(p * (1 - p) / (n - 1) + q * (1 - q) / (m - 1))
    a = 2 * ALPHA
    rho = (-2 * math.log(a) + math.log(1 - 2 * math.log(a))) / TUNED_FOR
    grown = total * rho + 1
    radius = error * np.sqrt(total * 2 * grown / (total**2 * rho) * np.log(1 + np.sqrt(grown) / (2 * ALPHA)))
    return first(np.asarray((p - q > radius) & (x + y > 0)))


def ours(seen: Seen) -> Whole:
    """One guardrail with maxIncrease 0 %, as the operator tests it."""
    ended = run(seen.drawn.planned, seen.drawn.of, number=len(seen.treated), most_looks=LOOKS)
    return np.where(ended.by >= 0, ended.looks - 1, NEVER)


RULES: dict[str, Rule] = {
    "**Rampgate**, `maxIncrease: 0%`": ours,
    "Argo Rollouts, errors > 2 %, failureLimit 0 (its default)": partial(above, rate=0.02, more_than=0),
    "Argo Rollouts, errors > 2 %, failureLimit 3": partial(above, rate=0.02, more_than=3),
    "Argo Rollouts, errors > 5 %, failureLimit 3": partial(above, rate=0.05, more_than=3),
    "Flagger, success < 99 %, threshold 10 (its documents)": partial(above, rate=0.01, more_than=9),
    "a query, treatment > 1.5 × control, failureLimit 3": partial(above_control, times=1.5, more_than=3),
    "Kayenta's judge, once a step": kayenta,
    "GrowthBook's sequence, as laid out there: a cohort of equal size": partial(growthbook, cohort=True),
    "the same sequence, against all other traffic": partial(growthbook, cohort=False),
}


def see(planned: Plan, *, rate: float, harm: float, pattern: Pattern, ramps: int) -> Seen:
    """Draw ramps in a world; all rules see the same."""
    chance = np.random.default_rng((SEED, int(rate), round(10 * harm), pattern is incident))
    world = World(per_second=rate, rates={NAME: (BASE_RATE,)}, harm={NAME: harm}, pattern=pattern)
    drawn = Scheduled(planned, world, number=ramps, chance=chance)
    totals = drawn.counts.totals.reshape(ramps, LOOKS, 2).astype(float)
    events = drawn.counts.events[NAME][..., 0].reshape(ramps, LOOKS, 2).astype(float)
    alike = Scheduled(planned, World(per_second=rate, rates=world.rates, pattern=pattern), number=ramps, chance=chance).counts
    cohort = (column[:, 0].reshape(ramps, LOOKS).astype(float) for column in (alike.totals, alike.events[NAME][..., 0]))
    return Seen(
        treated=totals[..., 0],
        failed=events[..., 0],
        others=totals[..., 1],
        others_failed=events[..., 1],
        drawn=drawn,
        cohort=(next(cohort), next(cohort)),
    )


def told(seen: Seen, ended: Whole, *, is_harmed: bool) -> str:
    """Say how many were rolled back; of harm that most were, also when."""
    is_back = ended < NEVER
    share = f"{100 * is_back.mean():.3g} %"
    if not is_harmed or is_back.mean() < 0.5:
        return share
    served = seen.treated.cumsum(axis=1)[np.arange(len(ended)), np.minimum(ended, LOOKS - 1)]
    return f"{share}, {np.median(ended[is_back]) + 1:.0f}, {np.median(served[is_back]):,.0f}"


def main() -> None:
    """Print a table for each rate."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guardrails.peers", description=__doc__)
    parser.add_argument("--ramps", type=int, default=10_000, help="how many in each cell (default: %(default)s)")
    options = parser.parse_args()
    planned = plan(ramp_of(counters(NAME)))
    for rate in RATES:
        columns = []
        for harm, pattern in WORLDS.values():
            seen = see(planned, rate=rate, harm=harm, pattern=pattern, ramps=options.ramps)
            columns.append([told(seen, rule(seen), is_harmed=harm > 1) for rule in RULES.values()])
        say(f"\n| {rate} requests/s | {' | '.join(WORLDS)} |\n|---|{'--:|' * len(WORLDS)}")
        for name, *cells in zip(RULES, *columns, strict=True):
            say(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
