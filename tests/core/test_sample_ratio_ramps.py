"""Simulated ramps of fifty looks, 6,000 first exposures each: fair draws are no alarm, and a loss of one in twenty is found."""

import math
from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest

from rampgate_operator.core.sample_ratio import add_window, is_mismatch
from rampgate_operator.core.status import SampleRatio
from tests.core.story import NOON, make_spec

SPEC = make_spec(variants=[{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True}])
RAMP = [(1, 10), (5, 10), (25, 15), (50, 15)]
EACH = 6_000
BITS = 20
RAMPS, PROMISE = 2_000, 0.001
AT_MOST = PROMISE + 3 * math.sqrt(PROMISE * (1 - PROMISE) / RAMPS)


def _bits(number: int, share: float, chance: Random) -> int:
    """Draw among so many units, each a bit: one random bit for each binary digit of the share, of all units at once."""
    digits = round(share * 2**BITS)
    units, last = 0, (digits & -digits).bit_length() - 1
    for digit in range(last, BITS):
        bits = chance.getrandbits(number)
        units = units | bits if digits >> digit & 1 else units & bits
    return units


def drawn(number: int, share: float, chance: Random) -> int:
    """How many of so many units are drawn."""
    return _bits(number, share, chance).bit_count()


def looks(kept: float, chance: Random) -> Iterator[tuple[float, dict[str, float]]]:
    """What each look counts while only a part of treatment's exposures is kept."""
    for percent, number in RAMP:
        for _ in range(number):
            on = drawn(EACH, percent / 100, chance)
            counted = on if kept == 1 else drawn(on, kept, chance)
            yield percent, {"on": float(counted), "baseline": float(EACH - on)}


def alarm(ramp: Iterator[tuple[float, dict[str, float]]]) -> int | None:
    """At which look a ramp alarms; None when it never does."""
    known: tuple[SampleRatio, ...] = ()
    for number, (percent, counts) in enumerate(ramp, 1):
        known = add_window(known, counts, spec=SPEC, percent=percent, counted_to=NOON + number * timedelta(minutes=1))
        if is_mismatch(known[0], SPEC):
            return number
    return None


@pytest.mark.timeout(600)  # on a busy machine
def test_fair_draws_are_an_alarm_no_more_often_than_promised() -> None:
    chance = Random(3)
    found = [alarm(looks(1.0, chance)) for _ in range(RAMPS)]
    assert sum(look is not None for look in found) <= AT_MOST * RAMPS


def test_a_loss_of_one_exposure_in_twenty_is_found_by_look_25() -> None:
    chance = Random(5)
    found = sorted(alarm(looks(0.95, chance)) or math.inf for _ in range(101))
    assert found[50] <= 25


def returning(chance: Random) -> Iterator[tuple[float, dict[str, float]]]:
    """The worst case of a unit that is counted at each step: all of them come back, in the same order, and nobody ever leaves his arm."""
    number = EACH * 10
    half = chance.getrandbits(number)
    quarter = half & chance.getrandbits(number)
    twentieth = quarter & _bits(number, 0.2, chance)
    enrolled = {1: twentieth & _bits(number, 0.2, chance), 5: twentieth, 25: quarter, 50: half}
    for percent, looked in RAMP:
        seen = number // looked
        for look in range(looked):
            on = (enrolled[percent] >> look * seen & (1 << seen) - 1).bit_count()
            yield percent, {"on": float(on), "baseline": float(seen - on)}


RETURNING = 0.003
"""Of 26,000 such ramps 0.29 % were an alarm; of as many in which nobody comes back 0.04 %."""


@pytest.mark.timeout(600)  # on a busy machine
def test_units_that_come_back_at_every_step_are_an_alarm_three_times_as_often_and_no_more() -> None:
    chance = Random(13)
    found = [alarm(returning(chance)) for _ in range(RAMPS)]
    assert sum(look is not None for look in found) <= (RETURNING + 3 * math.sqrt(RETURNING * (1 - RETURNING) / RAMPS)) * RAMPS
