"""Users who come back: twenty requests each in the course of a ramp, and a few users for whom most requests fail.

Counts by request, and first exposures and first errors of each user on each step, as the SDK counts them. Knows users and chance. Must not
know how evidence is made of them.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.guardrails.cells import SEED
from rampgate_operator.core.counted import EVENTS, REQUESTS, TOTAL
from rampgate_operator.core.dispersion import Counted, dispersion
from rampgate_operator.core.spec import BASELINE
from rampgate_operator.core.status import Phase
from rampgate_operator.simulation.product import play
from rampgate_operator.simulation.world import Flags, Numbers, Whole
from tests.guardrails.ramps import LOOKS, RAMP, ramp_of

USERS, A_LOOK, SHAPE = 20_000, 0.4, 0.3
"""Requests of a user at a look: gamma-Poisson, 20 in a ramp on average, most of them from few users."""
SICK, SICK_FAILS, WELL_FAILS = 0.01, 0.5, 0.002
"""One user in a hundred meets an error at every other request, the others hardly ever."""
ARMS = ("on", BASELINE)
Counts = Mapping[str, Mapping[str, float]]


def serve(looks: int, chance: np.random.Generator) -> Whole:
    """Give how many requests each user makes at each look."""
    return chance.poisson(chance.gamma(SHAPE, A_LOOK / SHAPE, USERS)[:, None], (USERS, looks))


def fails(worse: Numbers, chance: np.random.Generator) -> Numbers:
    """Give how often each user meets an error; `worse` says how many times as many fail."""
    return np.where(chance.random(USERS) < SICK * worse, SICK_FAILS, np.minimum(1.0, WELL_FAILS * worse))


def measured(chance: np.random.Generator) -> tuple[float, float]:
    """Give the dispersion of a time before the ramp: from look to look, and between twenty groups of users, in the median of some tries."""
    tries = []
    for _ in range(TRIES):
        served = serve(LOOKS, chance)
        failed = chance.binomial(served, fails(np.ones(USERS), chance)[:, None])
        windows = [Counted(float(events), float(total)) for events, total in zip(failed.sum(axis=0), served.sum(axis=0), strict=True)]
        events, totals = (each.reshape(GROUPS, -1).sum(axis=1) for each in (failed, served))
        due = totals * events.sum() / totals.sum()
        tries.append((dispersion(windows), max(1.0, float(((events - due) ** 2 / due).sum() / (GROUPS - 1)))))
    over_time, between = np.median(tries, axis=0)
    return round(float(over_time), 1), round(float(between), 1)


def ramp_of_users(harm: float, chance: np.random.Generator) -> tuple[list[Counts], list[Counts]]:
    """Give what each look of a ramp brings, counted by user and by request; with harm, so many times as many fail in treatment."""
    drawn, served = chance.random(USERS), serve(LOOKS, chance)
    seed = int(chance.integers(2**32))
    by_user: list[Counts] = []
    by_request: list[Counts] = []
    first = 0
    for percent, looks in RAMP:
        treated = drawn < percent / 100
        often = fails(np.where(treated, harm, 1.0), np.random.default_rng(seed))  # the same users are sick on every step
        requests = served[:, first : first + looks]
        failed = chance.binomial(requests, often[:, None])
        columns = (
            _by_arm(requests, treated),
            _by_arm(failed, treated),
            _by_arm(_firsts(requests), treated),
            _by_arm(_firsts(failed), treated),
        )
        for look in range(looks):
            requested, erred, exposed, met = ({arm: float(column[arm][look]) for arm in ARMS} for column in columns)
            by_request.append({TOTAL: requested, EVENTS: erred})
            by_user.append({TOTAL: exposed, EVENTS: met, REQUESTS: requested})
        first += looks
    return by_user, by_request


def _firsts(counts: Whole) -> Whole:
    """Mark the look at which each user is counted for the first time on a step."""
    seen = counts.cumsum(axis=1) > 0
    return np.diff(seen.astype(int), axis=1, prepend=0)


def _by_arm(counts: Whole, treated: Flags) -> Mapping[str, Whole]:
    return {"on": counts[treated].sum(axis=0), BASELINE: counts[~treated].sum(axis=0)}


DEFAULT = "errorRate per Unit"


def forms() -> dict[str, dict[str, Any]]:
    """Give the guardrails that are tried."""
    over_time, between = measured(np.random.default_rng(SEED))
    by_request = {"name": "errors", "errorRate": {"per": "Request"}, "maxIncrease": "0%"}
    return {
        DEFAULT: {"name": "errors", "errorRate": {}, "maxIncrease": "0%"},
        "errorRate per Request": by_request,
        f"the same, dispersion {over_time:g} (from look to look)": by_request | {"dispersion": {"factor": over_time}},
        f"the same, dispersion {between:g} (between groups of users)": by_request | {"dispersion": {"factor": between}},
    }


HARMS = (1.0, 2.0)
CHUNK, TRIES, GROUPS = 25, 5, 20


def play_users(harm: float, first: int, ramps: int) -> list[dict[str, int]]:
    """Play so many ramps, each with every form; gives the look at which each form rolled back, 0 for never."""
    chance = np.random.default_rng((SEED, round(harm), first))
    specs = {name: ramp_of(guardrail) for name, guardrail in forms().items()}
    found = []
    for _ in range(ramps):
        by_user, by_request = ramp_of_users(harm, chance)
        ends = {}
        for name, spec in specs.items():
            counts = by_user if name.endswith("Unit") else by_request
            played = play(spec, partial(_at, counts), most_looks=LOOKS)
            ends[name] = played.looks if played.status.phase is Phase.ROLLED_BACK else 0
        found.append(ends)
    return found


def _at(counts: list[Counts], look: int, _guardrail: str) -> Counts:
    return counts[look]


def tell_users(ramps: int, say: Callable[[str], None]) -> dict[str, float]:
    """Say how often each form rolls back, and when, with and without harm; gives the share of the default without harm."""
    parts = [(harm, first, min(CHUNK, ramps - first)) for harm in HARMS for first in range(0, ramps, CHUNK)]
    found: dict[float, list[dict[str, int]]] = {harm: [] for harm in HARMS}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for part, ends in zip(parts, pool.map(play_users, *zip(*parts, strict=True)), strict=True):
            found[part[0]] += ends
    for name in found[HARMS[0]][0]:
        looks = {harm: np.array([each[name] for each in found[harm]]) for harm in HARMS}
        told = ", ".join(f"× {harm:g}: {(at > 0).mean():.1%}, look {_median(at):.0f}" for harm, at in looks.items())
        say(f"users of 20 requests, {ramps:,} ramps, {name}: rolled back {told}")
    healthy = [each[DEFAULT] > 0 for each in found[1.0]]
    return {"aa_false_rollback_of_users": sum(healthy) / len(healthy)}


def _median(looks: Whole) -> float:
    return float(np.median(looks[looks > 0])) if looks.any() else 0.0
