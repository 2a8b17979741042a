"""A process that serves requests through the SDK, and keeps books of its own: what it counted, and what of it has been scraped.

Run as `python -m tests.apiserver.counting_shop PORT`. Told on its standard input, it answers each line with one line of JSON: by variant,
how many requests it has served and how many of them failed, since it began.
    serve N     serves N requests of new units; of every arm each tenth fails
    scraped     waits until two scrapes have begun after the last request: the first of them is stored by then
"""

import json
import sys
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Condition, Thread

from prometheus_client import generate_latest

from rampgate import Gates
from rampgate.integrations.prometheus import PrometheusMetrics
from tests.sdk.entries import entry

GATE = "new-checkout"
ONE_FAILS_IN = 10


class Books:
    """What the process knows without asking its metrics."""

    def __init__(self) -> None:
        self.served: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._scrapes, self._changed = 0, Condition()

    def add(self, variant: str) -> bool:
        """Note a request; tell whether it is one that fails."""
        booked = self.served[variant]
        booked[0] += 1
        fails = booked[0] % ONE_FAILS_IN == 0
        booked[1] += fails
        return fails

    def scrape(self) -> None:
        """Note that a scrape begins."""
        with self._changed:
            self._scrapes += 1
            self._changed.notify_all()

    def wait_for_scrapes(self, number: int) -> None:
        """Wait until so many more have begun."""
        with self._changed:
            wanted = self._scrapes + number
            self._changed.wait_for(lambda: self._scrapes >= wanted)


def expose(port: int, books: Books) -> None:
    """Serve the metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            books.scrape()
            body = generate_latest()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Standard error is the test's."""

    ThreadingHTTPServer.allow_reuse_address = True
    Thread(target=ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever, daemon=True).start()


def main() -> None:
    """Obey until the input ends."""
    books, units = Books(), count()
    with Gates.from_rules({GATE: entry(gate=GATE, salt=f"shop/{GATE}")}, metrics=PrometheusMetrics()) as gates:
        expose(int(sys.argv[1]), books)
        for line in sys.stdin:
            match line.split():
                case ["serve", number]:
                    for _ in range(int(number)):
                        with gates.measure(GATE, {"userId": f"user-{next(units)}"}) as measured:
                            if books.add(measured.decision.label):
                                measured.fail()
                case ["scraped"]:
                    books.wait_for_scrapes(3)  # one may have begun before the last request ended
            sys.stdout.write(json.dumps(books.served) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
