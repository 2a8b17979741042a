"""`python -m benchmarks.failover`: how long nobody leads, with the default lease: after SIGKILL of the leader, and when it is told to end.

Two real processes on a real API server; measured until the other one watches. `--record` writes benchmarks/results/failover.json.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.scale import CHECKOUT, record, say
from tests.apiserver.team import Operator, wait_until
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl
from tools.devcluster.prometheus import Prometheus

RESULTS = Path(__file__).parent / "results" / "failover.json"
ROUNDS = 3
ENDS: dict[str, Callable[[Operator], object]] = {"failover_s": Operator.kill, "hand_over_s": Operator.stop}


def measure(end: Callable[[Operator], object], cluster: Cluster, prometheus: Prometheus, directory: Path) -> float:
    """End a leader, and give the seconds until the one that stood by watches."""
    namespace = f"t-{secrets.token_hex(4)}"
    kubectl(cluster, "create", "namespace", namespace)
    one, two = (
        Operator(cluster, prometheus, namespace, log=directory / f"{namespace}-{name}.log", identity=name, lease="10s") for name in "ab"
    )
    one.start()
    two.start(until="standing by")
    began = time.monotonic()
    end(one)
    wait_until(lambda: two.lines("watching") == 1, "the other one watches", two.log.read_text)
    took = time.monotonic() - began
    two.kill()
    return took


def main() -> int:
    """Measure each end some times, print the longest, and with `--record` write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.failover", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/failover.json")
    options = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory(prefix="rampgate-bench-") as directory, Cluster.start() as cluster, Prometheus.launch() as prometheus:
        apply_crds(cluster, CHECKOUT / "crds")
        for name, end in ENDS.items():
            took = [measure(end, cluster, prometheus, Path(directory)) for _ in range(ROUNDS)]
            say(f"{name}: {', '.join(f'{seconds:.2f}' for seconds in took)}")
            figures[name] = max(took)
    record(figures, RESULTS if options.record else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
