"""core/dispersion: how much more events vary than independent ones, from windows in which nobody is treated."""

from math import exp
from random import Random

import pytest

from rampgate_operator.core.dispersion import CONFIDENCE, WINDOWS, Counted, chi_square_quantile, dispersion

# scipy 1.17.1, scipy.stats.chi2.ppf(probability, freedom)
QUANTILES = [
    (0.05, 10, 3.940299),
    (0.05, 19.5581395349, 10.525719),
    (0.05, 29, 17.708366),
    (0.1, 10, 4.865182),
    (0.1, 19.5581395349, 12.092112),
    (0.1, 29, 19.767744),
    (0.1, 60, 46.458888),
    (0.5, 10, 9.341818),
    (0.5, 29, 28.336127),
]


@pytest.mark.parametrize(("probability", "freedom", "expected"), QUANTILES)
def test_quantiles_of_chi_square_are_those_of_scipy_within_a_percent(probability: float, freedom: float, expected: float) -> None:
    assert chi_square_quantile(probability, freedom) == pytest.approx(expected, rel=0.01)


def test_the_one_that_is_used_is_exact_to_a_thousandth() -> None:
    assert chi_square_quantile(1 - CONFIDENCE, 2 * 29**2 / (3 * 30 - 4)) == pytest.approx(12.092112, rel=1e-3)


def test_it_is_computed_as_by_hand() -> None:
    """Four windows: three differences of 30 events each, and 2 * 3² / (3 * 4 - 4) degrees of freedom."""
    windows = [Counted(100, 1000), Counted(130, 1000), Counted(100, 1000), Counted(130, 1000)]
    rate = 460 / 4000
    variance = 30**2 / (1000 * rate * (1 - rate)) / 2
    assert dispersion(windows) == pytest.approx(variance * 2.25 / chi_square_quantile(0.1, 2.25))


@pytest.mark.parametrize("events", [0, 50], ids=["none", "all"])
def test_without_any_event_or_without_any_other_there_is_nothing_to_measure(events: int) -> None:
    assert dispersion([Counted(events, 50)] * WINDOWS) == 1


def test_events_that_are_more_regular_than_chance_are_taken_for_independent() -> None:
    assert dispersion([Counted(10, 100)] * WINDOWS) == 1


def poisson(mean: float, chance: Random) -> int:
    drawn, product = 0, chance.random()
    while product > exp(-mean):
        drawn, product = drawn + 1, product * chance.random()
    return drawn


def measured(cluster: int, chance: Random, *, drift: float = 0.0) -> float:
    """A measurement of 30 windows in which events come so many at once, and half as many more at the end as at the beginning."""
    means = [20 * (1 + drift * window / WINDOWS) for window in range(WINDOWS)]
    return dispersion([Counted(cluster * poisson(mean, chance), 20_000) for mean in means])


@pytest.mark.parametrize("drift", [0.0, 0.5], ids=["steady", "drifting"])
@pytest.mark.parametrize("cluster", [5, 20])
def test_clusters_are_measured_with_the_confidence_that_is_promised(cluster: int, drift: float) -> None:
    chance = Random(17)
    factors = [measured(cluster, chance, drift=drift) for _ in range(600)]
    assert sum(factor >= cluster for factor in factors) >= 0.87 * len(factors)  # 90 % but for three standard errors
    assert sorted(factors)[300] <= 2 * cluster
