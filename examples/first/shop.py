"""The smallest application with a gate: 2,000 users check out one after the other, and Prometheus can ask how that went.

`python examples/first/shop.py API_SERVER TOKEN_FILE CA_FILE PORT FAULT`: while the file FAULT is there, the new checkout fails.
"""

import itertools
import sys
import time
from contextlib import suppress
from pathlib import Path

from prometheus_client import start_http_server

from rampgate import Gates
from rampgate.integrations.prometheus import PrometheusMetrics


class CheckoutError(Exception):
    """A checkout that went wrong."""


def checkout(gates: Gates, user: str, *, fault: Path) -> str:
    """Serve one checkout: which one is the gate's to say, and what leaves the block as an exception counts as an error."""
    with gates.measure("one-page", {"userId": user}, default=False) as decision:
        if not decision.value:
            return "three pages"
        if fault.exists():
            raise CheckoutError("the payment failed")
        return "one page"


def main() -> None:
    """Serve checkouts until stopped."""
    api_server, token_file, ca_file, port, fault = sys.argv[1:]
    start_http_server(int(port), addr="127.0.0.1")  # /metrics
    # In a pod all but `metrics` is left out: its service account says where and who it is.
    with Gates.from_cluster("shop", url=api_server, token_file=token_file, ca_file=ca_file, metrics=PrometheusMetrics()) as gates:
        for number in itertools.cycle(range(2000)):
            with suppress(CheckoutError):
                checkout(gates, f"user-{number}", fault=Path(fault))
            time.sleep(0.005)


if __name__ == "__main__":
    main()
