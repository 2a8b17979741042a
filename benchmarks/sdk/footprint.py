"""`python -m benchmarks.sdk.footprint`: what `import rampgate` costs over bare Python, and whether threads lose a count.

Printed as JSON: milliseconds and MB (resident) that the import adds, each the median of some fresh processes, and how many of 4 threads'
evaluations were not counted.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading

from benchmarks.sdk.subjects import GATE, entry

PROCESSES, THREADS, EVALUATIONS = 15, 4, 250_000
_MEASURE = """
import sys, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
before, began = resident(), time.perf_counter()
if sys.argv[1]:
    __import__(sys.argv[1])
print((time.perf_counter() - began) * 1000, resident() - before)
"""


def imported(module: str, folder: str) -> tuple[float, float]:
    """Milliseconds and MB of an import, from bytecode as an installed package has it, which is kept in `folder`; of nothing, for ""."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": folder}
    command = [sys.executable, "-c", _MEASURE, module]

    def run() -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()  # noqa: S603 - ours

    run()  # writes the bytecode
    runs = [run() for _ in range(PROCESSES)]
    return statistics.median(float(took) for took, _ in runs), statistics.median(float(grown) for _, grown in runs)


def lost() -> int:
    """How many evaluations of four threads, on one gate at once, are missing in its count."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - the import of rampgate is measured without it

    from rampgate import Gates  # noqa: PLC0415
    from rampgate.integrations.prometheus import PrometheusMetrics  # noqa: PLC0415

    registry = CollectorRegistry()
    gates = Gates.from_rules({GATE: entry(percent=100)}, metrics=PrometheusMetrics(registry))

    def evaluate() -> None:
        for number in range(EVALUATIONS):
            gates.value(GATE, {"targetingKey": f"u{number % 1000}", "country": "US", "plan": "pro"}, default=False)

    threads = [threading.Thread(target=evaluate) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = registry.get_sample_value("rampgate_exposures_total", {"gate": GATE, "variant": "on", "reason": "ENROLLED"}) or 0
    first = registry.get_sample_value("rampgate_first_exposures_total", {"gate": GATE, "variant": "on"}) or 0
    return round(THREADS * EVALUATIONS - counted + abs(1000 - first))


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        bare, (took, grown) = imported("", folder), imported("rampgate", folder)
    sys.stdout.write(json.dumps({"import_ms": took - bare[0], "import_rss_mb": grown - bare[1], "counts_lost": lost()}) + "\n")


if __name__ == "__main__":
    main()
