"""The made-up world is the one that was described."""

import numpy as np
import pytest

from rampgate_operator.simulation.world import World, constant, draw, drift, incident, shares
from tests.guardrails.ramps import ramp_of

LOOKS = 4000
THREE = ramp_of(
    variants=[
        {"name": "off", "value": False, "weight": 2},
        {"name": "on", "value": True},
        {"name": "new", "value": True},
        {"name": "never", "value": True, "weight": 0},
    ]
)
OVER = np.arange(50) / 50


def test_control_and_baseline_are_one_column_behind_the_treatments() -> None:
    assert shares(THREE, np.array([0.0, 10.0, 100.0])).tolist() == [[0, 0, 1], [0.025, 0.025, 0.95], [0.25, 0.25, 0.5]]


def test_as_many_requests_come_and_fail_as_was_said_and_harm_is_in_the_first_treatment() -> None:
    world = World(per_second=100, rates={"orders": (0.01,)}, harm={"orders": 3.0})
    counts = draw(THREE, world, percent=np.full(LOOKS, 40.0), over=np.zeros(LOOKS), chance=np.random.default_rng(1))
    assert counts.totals.mean(axis=0) == pytest.approx([600, 600, 4800], rel=0.005)
    assert counts.events["orders"][..., 0].sum(axis=0) / counts.totals.sum(axis=0) == pytest.approx([0.03, 0.01, 0.01], rel=0.02)


def test_what_is_slower_than_a_bound_is_slower_than_every_lower_one() -> None:
    world = World(per_second=10, rates={"slow": (0.5, 0.1, 0.1)}, harm={"slow": 4.0})
    counts = draw(THREE, world, percent=np.full(LOOKS, 40.0), over=np.zeros(LOOKS), chance=np.random.default_rng(1))
    slower = counts.events["slow"]
    assert (np.diff(slower, axis=-1) <= 0).all()
    assert (slower.sum(axis=0) / counts.totals.sum(axis=0)[:, None])[[0, -1]] == pytest.approx(
        np.array([[1.0, 0.4, 0.4], [0.5, 0.1, 0.1]]), rel=0.02
    )


def test_rates_stay_or_swing_or_triple_for_a_fifth_of_the_ramp() -> None:
    assert constant(OVER).tolist() == [1.0]
    assert (drift(OVER).min(), drift(OVER).max()) == pytest.approx((0.5, 1.5), abs=0.02)
    hit = incident(OVER) / drift(OVER)
    assert sorted(set(hit.round(9).tolist())) == [1.0, 3.0]
    assert np.flatnonzero(hit > 2).tolist() == list(range(24, 34))
