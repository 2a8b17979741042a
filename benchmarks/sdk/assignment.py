"""`python -m benchmarks.sdk.assignment`: is the draw as even and as independent as chance, on a million units?

Three chi-square tests (Pearson), for both hash inputs: enrolment against the percentage, arms against their weights, and enrolment by one
gate against enrolment by another. Printed as JSON: each test's p-value; small ones, below one in a million, say that it is not.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable

from rampgate.bucketing import NOT_ENROLLED, HashInput, compile_draw

UNITS = 1_000_000
WEIGHTS = (1, 2, 3)


def p_value(pairs: Iterable[tuple[float, float]], *, degrees: int) -> float:
    """Chance of a chi-square statistic at least as large, of (observed, expected) counts, for one, two or three degrees of freedom."""
    statistic = sum((observed - expected) ** 2 / expected for observed, expected in pairs)
    one = math.erfc(math.sqrt(statistic / 2))
    return {
        1: one,
        2: math.exp(-statistic / 2),
        3: one + math.sqrt(2 * statistic / math.pi) * math.exp(-statistic / 2),
    }[degrees]


def test(hash_input: HashInput) -> dict[str, float]:
    """Draw a million units by two gates; give the p-values."""
    one = compile_draw("shop/one", hash_input=hash_input, basis_points=3_000, weights=WEIGHTS)
    two = compile_draw("shop/two", hash_input=hash_input, basis_points=3_000, weights=WEIGHTS)
    drawn = Counter((one(f"user-{number}"), two(f"user-{number}")) for number in range(UNITS))
    enrolled = sum(count for (arm, _), count in drawn.items() if arm != NOT_ENROLLED)
    arms = [sum(count for (arm, _), count in drawn.items() if arm == index) for index in range(len(WEIGHTS))]
    both = Counter(dict.fromkeys(((True, True), (True, False), (False, True), (False, False)), 0))
    for (first, second), count in drawn.items():
        both[first != NOT_ENROLLED, second != NOT_ENROLLED] += count
    shares = {True: 0.3, False: 0.7}
    return {
        "enrolment": p_value([(enrolled, 0.3 * UNITS), (UNITS - enrolled, 0.7 * UNITS)], degrees=1),
        "arms": p_value(((arm, enrolled * weight / sum(WEIGHTS)) for arm, weight in zip(arms, WEIGHTS, strict=True)), degrees=2),
        "two_gates": p_value(((count, shares[a] * shares[b] * UNITS) for (a, b), count in both.items()), degrees=3),
    }


def main() -> None:
    """Test both hash inputs, and print."""
    figures = {f"{name}_p_{each.value.lower()}": p for each in HashInput for name, p in test(each).items()}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
