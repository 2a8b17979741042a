"""A tiny shop that asks Rampgate which checkout to show: one process, one HTTP server.

GET  /checkout?user=ID                    a checkout: 200, or 500 when it fails
POST /checkouts                           many, as a queue's worker takes them: a JSON list of users; answers what came of each
GET  /rules?user=ID                       what this user would be shown, and by which rules; with &after=GENERATION, once they are others
GET  /metrics                             for Prometheus
POST /fault?variant=treatment&rate=0.3    make that share of a variant's checkouts fail (rate=0: none)

Knows the SDK and HTTP. Must not know the operator, the ramp or who is enrolled: it asks for a gate's value and serves it.
"""

import argparse
import json
import random
import signal
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from prometheus_client import generate_latest

from rampgate import Gates
from rampgate.integrations.prometheus import PrometheusMetrics

GATE = "new-checkout"


class CheckoutError(Exception):
    """A checkout that went wrong."""


class Shop(ThreadingHTTPServer):
    """The server, with the gates it asks and the faults it was told to have."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], gates: Gates) -> None:
        super().__init__(address, Handler)
        self.gates = gates
        self.fault_rates: dict[str, float] = {}
        """By variant: the share of its checkouts that fails."""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    server: Shop
    protocol_version = "HTTP/1.1"  # connections are kept
    wbufsize = -1  # head and body leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Serve a checkout, the rules or the metrics."""
        path, query = self._request()
        if path == "/checkout":
            self._checkout(query.get("user", ""))
        elif path == "/rules":
            self._rules(query.get("user", ""), after=query.get("after"), wait=float(query.get("wait", "30")))
        elif path == "/metrics":
            self._answer(HTTPStatus.OK, generate_latest(), "text/plain; version=0.0.4; charset=utf-8")
        else:
            self._answer_json(HTTPStatus.NOT_FOUND, {"error": "try /checkout?user=ID, /rules?user=ID or /metrics"})

    def do_POST(self) -> None:
        """Serve many checkouts, or turn a fault on or off."""
        path, query = self._request()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/checkouts":
            self._answer_json(HTTPStatus.OK, [self._check_out(user) for user in json.loads(body)])
        elif path == "/fault":
            self._fault(query)
        else:
            self._answer_json(HTTPStatus.NOT_FOUND, {"error": "try /checkouts or /fault?variant=treatment&rate=0.3"})

    def _fault(self, query: dict[str, str]) -> None:
        try:
            self.server.fault_rates[query["variant"]] = float(query["rate"])
        except (KeyError, ValueError):
            self._answer_json(HTTPStatus.BAD_REQUEST, {"error": "wanted variant=NAME and rate=NUMBER"})
            return
        self._answer_json(HTTPStatus.OK, self.server.fault_rates)

    def _checkout(self, user: str) -> None:
        came_of_it = self._check_out(user)
        self._answer_json(HTTPStatus.INTERNAL_SERVER_ERROR if came_of_it["failed"] else HTTPStatus.OK, came_of_it)

    def _check_out(self, user: str) -> dict[str, object]:
        failed = False
        with self.server.gates.measure(GATE, {"userId": user}, default=False) as measured:
            try:
                page = self._one_page_checkout() if measured.value else self._classic_checkout()
            except CheckoutError as error:
                page, failed = str(error), True
                measured.fail()
        return {"page": page, "failed": failed, "user": user, **measured.decision._asdict()}

    def _classic_checkout(self) -> str:
        self._maybe_fail("control")
        return "checkout in three pages"

    def _one_page_checkout(self) -> str:
        self._maybe_fail("treatment")
        return "checkout in one page"

    def _maybe_fail(self, variant: str) -> None:
        if random.random() < self.server.fault_rates.get(variant, 0.0):
            raise CheckoutError(f"the payment of {variant} failed")

    def _rules(self, user: str, *, after: str | None, wait: float) -> None:
        deadline = time.monotonic() + wait
        while True:
            decision = self.server.gates.decide(GATE, {"userId": user}, default=False)
            if after is None or str(decision.generation) != after or time.monotonic() > deadline:
                break
            time.sleep(0.002)
        self._answer_json(HTTPStatus.OK, decision._asdict())

    def _request(self) -> tuple[str, dict[str, str]]:
        url = urlsplit(self.path)
        return url.path, {name: values[-1] for name, values in parse_qs(url.query).items()}

    def _answer_json(self, status: HTTPStatus, body: object) -> None:
        self._answer(status, json.dumps(body).encode(), "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden method's name
        """Say nothing: hundreds of lines a second are no log."""


def main() -> None:
    """Serve until stopped."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a container's first process ignores what it does not handle
    with _gates(options) as gates, Shop((options.host, options.port), gates) as shop, suppress(KeyboardInterrupt):
        shop.serve_forever()


def _gates(options: argparse.Namespace) -> Gates:
    if options.rules is not None:
        return Gates.from_directory(options.rules, metrics=PrometheusMetrics())
    return Gates.from_cluster(
        options.namespace,
        url=options.api_server,
        token_file=options.token_file,
        ca_file=options.ca_file,
        wait=1.0,
        metrics=PrometheusMetrics(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--rules", type=Path, metavar="DIR", help="a mounted ConfigMap (default: watch the API server)")
    parser.add_argument("--namespace", help="where the rules are (default: the pod's)")
    parser.add_argument("--api-server", help="https://host:port (default: the pod's)")
    parser.add_argument("--token-file", type=Path, help="(default: the pod's service account)")
    parser.add_argument("--ca-file", type=Path, help="(default: the pod's service account)")
    return parser


if __name__ == "__main__":
    main()
