"""Anytime-valid evidence against an absolute limit: is the rate above what was allowed?

The e-value of a beta prior that is cut off below the limit (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021, one-sided beta-binomial
mixture). Knows counts. Must not know comparisons, guardrails or status.
"""

from math import exp, lgamma, log, log1p

_PRIOR = 0.5
"""Both parameters of the beta prior (Jeffreys)."""

_TINY = 1e-300
_PRECISION = 1e-15
_MOST_STEPS = 100_000


def log_above(events: float, total: float, *, limit: float, prior: tuple[float, float] = (_PRIOR, _PRIOR)) -> float:
    """Log e-value of "the rate is at most `limit`" (0 < limit < 1) after `events` of `total`; large when it is not."""
    a, b = prior
    after = _log_beta(a + events, b + total - events) + log_upper_beta(a + events, b + total - events, limit)
    before = _log_beta(a, b) + log_upper_beta(a, b, limit)
    return after - before - events * log(limit) - (total - events) * log1p(-limit)


def log_upper_beta(a: float, b: float, x: float) -> float:
    """Logarithm of the upper tail 1 - I_x(a, b) of the beta distribution, precise where the tail is tiny (DLMF 8.17.22)."""
    if x < (a + 1) / (a + b + 2):  # the fraction of the lower tail converges fast, and the upper one is not small
        return log1p(-exp(min(0.0, _log_fraction(a, b, x))))
    return min(0.0, _log_fraction(b, a, 1 - x))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _log_fraction(a: float, b: float, x: float) -> float:
    """Logarithm of I_x(a, b) by its continued fraction, evaluated after Lentz (Thompson & Barnett 1986)."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _MOST_STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + numerator * d)
            c = _away_from_zero(1 + numerator / c)
            fraction *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return a * log(x) + b * log1p(-x) - log(a) - _log_beta(a, b) + log(fraction)


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
