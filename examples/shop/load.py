"""Users of the shop: each in turn checks out at one of the processes, at a steady rate, some of them with one request.

Prints one line of JSON twice a second: what the users were shown so far. Knows HTTP and the shop's address, nothing else.
"""

import argparse
import itertools
import json
import math
import signal
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from examples.shop.tally import Tally

TIMEOUT = 5.0
LATEST = 0.5
"""Seconds a worker may be behind its schedule before it gives the rest up: a busy machine must not be answered by a flood."""


class Load:
    """Workers that share the users, the tally and a rate."""

    def __init__(self, *, users: int, rate: float, until: float, keep_alive: bool = True) -> None:
        self._users = itertools.cycle(f"user-{number}" for number in range(users))
        self._rate, self._until, self._keep_alive = rate, until, keep_alive
        self._tally = Tally()
        self._lock = threading.Lock()

    def run(self, shops: list[str], *, workers_each: int, batch: int) -> None:
        """Send requests, each for `batch` users, until the time is over, and print what came of them."""
        pause = batch * len(shops) * workers_each / self._rate
        for shop in shops * workers_each:
            threading.Thread(target=self._work, args=(shop, pause, batch), daemon=True).start()
        while time.monotonic() < self._until:
            time.sleep(0.5)
            with self._lock:
                summary = self._tally.summary()
            print(json.dumps(summary), flush=True)

    def _work(self, shop: str, pause: float, batch: int) -> None:
        connection = HTTPConnection(urlsplit(shop).netloc, timeout=TIMEOUT)
        due = time.monotonic()
        while time.monotonic() < self._until:
            with self._lock:
                users = list(itertools.islice(self._users, batch))
            self._check_out(connection, users)
            if not self._keep_alive:
                connection.close()
            due = max(due + pause, time.monotonic() - LATEST)
            time.sleep(max(0.0, due - time.monotonic()))

    def _check_out(self, connection: HTTPConnection, users: list[str]) -> None:
        try:
            connection.request("POST", "/checkouts", json.dumps(users))
            answers = json.loads(connection.getresponse().read())
        except (OSError, HTTPException, ValueError):
            connection.close()  # the next request opens it again
            with self._lock:
                self._tally.unanswered += len(users)
            return
        with self._lock:
            for answer in answers:
                self._tally.add(answer["user"], answer, failed=answer["failed"])


def main() -> None:
    """Run for as long as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shops", nargs="+", metavar="URL", help="http://host:port of each process")
    parser.add_argument("--users", type=int, default=3000, help="distinct users (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=400.0, help="checkouts a second in all (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="checkouts that one request asks for (default: %(default)s)")
    each = "open a connection for each request, so that a Service spreads them over its pods"
    parser.add_argument("--spread", action="store_true", help=each)
    parser.add_argument("--seconds", type=float, default=math.inf, help="how long (default: until it is stopped)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a container's first process ignores what it does not handle
    load = Load(users=options.users, rate=options.rate, until=time.monotonic() + options.seconds, keep_alive=not options.spread)
    with suppress(KeyboardInterrupt):
        load.run(options.shops, workers_each=2, batch=options.batch)


if __name__ == "__main__":
    main()
