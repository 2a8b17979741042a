"""`python -m benchmarks.sdk`: every figure of the SDK in one run, some minutes. `--record` writes benchmarks/results/sdk.json.

Run it by `make bench-sdk`, which installs what is compared with into an environment of its own. Rates and percentiles are ratios within a
round: each round runs every subject in a fresh process, one after another, and the median of seven rounds' ratios counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.scale import record, say
from benchmarks.sdk.subjects import SUBJECTS

CHECKOUT = Path(__file__).parents[2]
RESULTS = CHECKOUT / "benchmarks" / "results" / "sdk.json"
PYTHON = CHECKOUT / ".venv-bench" / "bin" / "python"
ROUNDS = 7
COUNTED = "rampgate_counted"


def run(module: str, *arguments: str, python: Path | str = PYTHON) -> dict[str, float]:
    """Give the JSON that a measurement prints."""
    command = [str(python), "-m", module, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)  # noqa: S603 - our own modules
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}: {ended.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return measured


def rates() -> dict[str, float]:
    """Ratios of evaluations per CPU second and of 99th percentiles, and the rates themselves in millions."""
    rounds = []
    for number in range(ROUNDS):
        rounds.append({name: run("benchmarks.sdk.rate", name) for name in SUBJECTS})
        say(f"round {number + 1} of {ROUNDS}: " + ", ".join(f"{name} {one['rate'] / 1e6:.3f}" for name, one in rounds[-1].items()) + " M/s")

    def ratio(one: str, other: str, figure: str = "rate") -> float:
        return statistics.median(each[one][figure] / each[other][figure] for each in rounds)

    return {
        "rate_vs_eppo": ratio(COUNTED, "eppo"),
        "rate_vs_flagd": ratio(COUNTED, "flagd"),
        "rate_vs_inline": ratio(COUNTED, "inline"),
        "rate_uncounted_vs_eppo": ratio("rampgate", "eppo"),
        "rate_new_units_vs_eppo": ratio("rampgate_new_units", "eppo"),
        "openfeature_rate_vs_flagd": ratio("rampgate_openfeature", "flagd"),
        "p99_vs_eppo": ratio(COUNTED, "eppo", "p99_us"),
        **{f"{name}_m_per_s": statistics.median(each[name]["rate"] for each in rounds) / 1e6 for name in SUBJECTS},
        **{f"{name}_p99_us": statistics.median(each[name]["p99_us"] for each in rounds) for name in SUBJECTS},
    }


def reloads() -> dict[str, float]:
    """The longest that an evaluation is held up while gates are replaced, in milliseconds."""
    figures = {}
    for name, gates, changed in (("1000", 1_000, 1_000), ("4000", 4_000, 4_000), ("one_of_1000", 1_000, 1)):
        measured = run("benchmarks.sdk.reload", str(gates), str(changed))
        say(f"reload of {changed} among {gates}: {measured}")
        figures |= {f"reload_{figure.replace('_ms', '')}_ms_{name}": value for figure, value in measured.items()}
    return figures


def main() -> int:
    """Measure, print, and with `--record` write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/sdk.json")
    options = parser.parse_args()
    if not PYTHON.exists():
        parser.error("what the SDK is compared with is not installed: make bench-sdk does it")
    figures = {**rates(), **reloads(), **run("benchmarks.sdk.footprint"), **run("benchmarks.sdk.assignment")}
    figures |= run("benchmarks.ofrep", python=sys.executable)
    record(figures, RESULTS if options.record else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
