"""One process of the application of benchmarks/rollback.py: it serves requests of many gates at a steady rate, and each gate has its fault.

Reads one line of JSON from its standard input: by gate, the Unix time at which its fault begins. When that input ends, it prints by gate
what the treatment served since then. Knows the SDK. Must not know the operator, nor what is measured.
"""

import argparse
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from math import inf
from threading import Thread

from prometheus_client import start_http_server

from rampgate import Gates
from rampgate.integrations.prometheus import PrometheusMetrics

TICK = 0.02
USUAL = 0.01
"""The share of requests that fail, whatever users see."""
USERS = 1_000_000


@dataclass
class Served:
    """What one gate's treatment served since its fault began."""

    gate: str
    rate: float
    """The share of its requests that fail then."""
    due: float = 0.0
    """When its next request comes."""
    fault_at: float = inf
    requests: int = 0
    last_at: float = 0.0


class Shop:
    """Serves until told to end."""

    def __init__(self, gates: Gates, faults: dict[str, float]) -> None:
        self._gates = gates
        self.served = {gate: Served(gate, rate) for gate, rate in faults.items()}
        self.is_over = False

    def serve(self, per_second: float) -> None:
        """Serve every gate's requests as they fall due; the gates take turns, so that not all of them come at once."""
        for served in self.served.values():
            served.due = time.time() + random.random() / per_second
        while not self.is_over:
            now = time.time()
            for served in self.served.values():
                while served.due <= now:
                    self._serve_one(served, now)
                    served.due += 1 / per_second
            time.sleep(TICK)

    def _serve_one(self, served: Served, now: float) -> None:
        with self._gates.measure(served.gate, {"userId": f"user-{random.randrange(USERS)}"}, default=False) as measured:
            is_broken = measured.value and now >= served.fault_at
            if is_broken:
                served.requests, served.last_at = served.requests + 1, now
            if random.random() < (served.rate if is_broken else USUAL):
                measured.fail()


def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", type=json.loads, help="by gate, the share of the treatment's requests that its fault breaks")
    for name in ("--namespace", "--api-server", "--token-file", "--ca-file"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--per-second", type=float, required=True, help="requests of each gate")
    options = parser.parse_args()
    start_http_server(options.port, addr="127.0.0.1")
    place = {"url": options.api_server, "token_file": options.token_file, "ca_file": options.ca_file}
    with Gates.from_cluster(options.namespace, **place, metrics=PrometheusMetrics()) as gates:
        shop = Shop(gates, options.faults)
        serving = Thread(target=shop.serve, args=(options.per_second,), daemon=True)
        serving.start()
        for line in sys.stdin:
            for gate, at in json.loads(line).items():
                shop.served[gate].fault_at = at
        shop.is_over = True
        serving.join()
    sys.stdout.write(json.dumps({gate: asdict(served) for gate, served in shop.served.items()}))


if __name__ == "__main__":
    main()
