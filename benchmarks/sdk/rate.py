"""`python -m benchmarks.sdk.rate SUBJECT`: evaluations per CPU second, and their 50th and 99th percentile, of one subject in one process.

Evaluations per second of the thread's CPU time, so that neighbours on the machine count for little. Percentiles are of single calls by
the wall clock, of the calmest of ten blocks.
"""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.sdk.subjects import SUBJECTS, Evaluate

USERS = 1_000
SECONDS = 1.0
_BLOCKS, _BLOCK = 10, 20_000


def users() -> list[tuple[str, Mapping[str, Any]]]:
    """Give a thousand users with their contexts; about 61 % of them are eligible, as in facts/flags.md."""
    countries, plans = ("US", "CA", "US", "DE", "US"), ("pro", "pro", "pro", "free")
    named = [(f"user-{number}", countries[number % 5], plans[number % 4]) for number in range(USERS)]
    return [(unit, {"targetingKey": unit, "country": country, "plan": plan}) for unit, country, plan in named]


def rate(evaluate: Evaluate, *, seconds: float = SECONDS) -> float:
    """Evaluations per second of CPU time."""
    asked = users()
    rounds, began = 0, time.thread_time()
    while (spent := time.thread_time() - began) < seconds:
        for unit, context in asked:
            evaluate(unit, context)
        rounds += 1
    return rounds * len(asked) / spent


def percentiles(evaluate: Evaluate) -> tuple[float, float]:
    """Microseconds within which half, and 99 of 100 calls return."""
    asked, clock = users(), time.perf_counter_ns
    best = (float("inf"), float("inf"))
    for _ in range(_BLOCKS):
        taken = []
        for number in range(_BLOCK):
            unit, context = asked[number % USERS]
            began = clock()
            evaluate(unit, context)
            taken.append(clock() - began)
        taken.sort()
        best = min(best, (taken[_BLOCK * 99 // 100] / 1000, taken[_BLOCK // 2] / 1000))
    return best[1], best[0]


def main() -> None:
    """Measure the subject that is named, and print it as JSON."""
    evaluate = SUBJECTS[sys.argv[1]]()
    on = sum(evaluate(unit, context) for unit, context in users())
    rate(evaluate, seconds=0.2)
    p50, p99 = percentiles(evaluate)
    sys.stdout.write(json.dumps({"rate": rate(evaluate), "p50_us": p50, "p99_us": p99, "on": on}) + "\n")


if __name__ == "__main__":
    main()
