"""rampgate.bucketing under random ramps: nobody moves, nobody is dropped, and shares are what they should be."""

import math
from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate.bucketing import NOT_ENROLLED, HashInput, arm_bounds, compile_draw, enroll_bound

HASH_INPUTS = st.sampled_from(HashInput)
UNITS = st.text(min_size=1)
WEIGHTS = st.lists(st.integers(0, 1000), min_size=1, max_size=16).filter(any)
RAMPS = st.lists(st.integers(0, 10_000), min_size=2, max_size=6).map(sorted)
MANY = [f"unit-{number}" for number in range(5_000)]


@given(salt=st.text(), units=st.lists(UNITS, max_size=30), weights=WEIGHTS, ramp=RAMPS, hash_input=HASH_INPUTS)
def test_raising_the_percentage_never_moves_or_removes_a_unit(
    salt: str, units: list[str], weights: list[int], ramp: list[int], hash_input: HashInput
) -> None:
    draws = [compile_draw(salt, hash_input=hash_input, basis_points=step, weights=weights) for step in ramp]
    for unit in units:
        arms = [arm for draw in draws if (arm := draw(unit)) != NOT_ENROLLED]
        assert len(set(arms)) <= 1
        assert [draw(unit) for draw in draws] == [NOT_ENROLLED] * (len(draws) - len(arms)) + arms


@given(salt=st.text(), units=st.lists(UNITS, max_size=30), weights=WEIGHTS, hash_input=HASH_INPUTS)
def test_nobody_is_enrolled_at_0_and_everybody_at_100_into_an_arm_with_weight(
    salt: str, units: list[str], weights: list[int], hash_input: HashInput
) -> None:
    nobody = compile_draw(salt, hash_input=hash_input, basis_points=0, weights=weights)
    everybody = compile_draw(salt, hash_input=hash_input, basis_points=10_000, weights=weights)
    for unit in units:
        arm = everybody(unit)
        assert nobody(unit) == NOT_ENROLLED
        assert arm != NOT_ENROLLED
        assert weights[arm] > 0


@settings(max_examples=10, deadline=None)
@given(salt=st.text(max_size=20), weights=WEIGHTS, ramp=RAMPS, hash_input=HASH_INPUTS)
def test_of_ten_thousand_units_none_moves_or_is_dropped_on_the_way_up(
    salt: str, weights: list[int], ramp: list[int], hash_input: HashInput
) -> None:
    draws = [compile_draw(salt, hash_input=hash_input, basis_points=step, weights=weights) for step in ramp]
    arms = [[draw(f"unit-{number}") for number in range(10_000)] for draw in draws]
    for lower, higher in pairwise(arms):
        assert all(before in (NOT_ENROLLED, after) for before, after in zip(lower, higher, strict=True))


@given(hashed=st.integers(0, 2**32 - 1), basis_points=st.integers(0, 10_000), weights=WEIGHTS)
def test_the_bounds_that_hashes_are_compared_with_say_what_the_specification_says(
    hashed: int, basis_points: int, weights: list[int]
) -> None:
    for near in (hashed, enroll_bound(basis_points), enroll_bound(basis_points) - 1):
        assert (near < enroll_bound(basis_points)) == (near * 10_000 >> 32 < basis_points)
    for bound, running in zip(arm_bounds(weights), accumulate(weights), strict=True):
        for near in (hashed, bound, bound - 1):
            assert (near < bound) == (near * sum(weights) >> 32 < running)


def is_plausible(count: int, total: int, share: float) -> bool:
    """Within six standard deviations of a binomial: one honest draw in 500 million fails."""
    return abs(count - total * share) <= 6 * math.sqrt(total * share * (1 - share)) + 1


@settings(max_examples=25, deadline=None)
@given(
    salt=st.text(max_size=20),
    weights=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    percent=st.integers(1, 100),
    hash_input=HASH_INPUTS,
)
def test_shares_of_enrolment_and_arms_are_binomial(salt: str, weights: list[int], percent: int, hash_input: HashInput) -> None:
    draw = compile_draw(salt, hash_input=hash_input, basis_points=percent * 100, weights=weights)
    arms = [arm for unit in MANY if (arm := draw(unit)) != NOT_ENROLLED]
    assert is_plausible(len(arms), len(MANY), percent / 100)
    for index, weight in enumerate(weights):
        assert is_plausible(arms.count(index), len(arms), weight / sum(weights))


@settings(max_examples=25, deadline=None)
@given(salts=st.lists(st.text(max_size=20), min_size=2, max_size=2, unique=True), hash_input=HASH_INPUTS)
def test_two_gates_enrol_independently_of_each_other(salts: list[str], hash_input: HashInput) -> None:
    one, other = (compile_draw(salt, hash_input=hash_input, basis_points=5_000, weights=[1]) for salt in salts)
    both = sum(NOT_ENROLLED not in (one(unit), other(unit)) for unit in MANY)
    assert is_plausible(both, len(MANY), 0.25)
