"""A relay in front of a real Prometheus that goes wrong on command: what comes through is real, until it does not."""

import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Self

from tests.adapters.faulty import FAULTS

LARGE = 100_000_000
SLOW = 10.5
Fault = Callable[[BaseHTTPRequestHandler, "Source"], None]


def internal(handler: BaseHTTPRequestHandler, source: "Source") -> None:
    """500."""
    handler.wfile.write(FAULTS["internal"])


def redirect(handler: BaseHTTPRequestHandler, source: "Source") -> None:
    """302 to where the answer would be right."""
    handler.wfile.write(f"HTTP/1.1 302 Found\r\nLocation: {source.origin}{handler.path}\r\nContent-Length: 0\r\n\r\n".encode())


def slow(handler: BaseHTTPRequestHandler, source: "Source") -> None:
    """The right answer, after more than the source's `timeout` of 10 s."""
    source.ending.wait(SLOW)
    source.relay(handler)


def large(handler: BaseHTTPRequestHandler, source: "Source") -> None:
    """100 MB that begin like an answer."""
    begin = b'{"status":"success","data":{"resultType":"vector","result":['
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % LARGE + begin)
    for _ in range(len(begin), LARGE, 1 << 20):
        handler.wfile.write(b" " * (1 << 20))


class Source(ThreadingHTTPServer):
    """`url` is as good as the Prometheus behind it, until `fault` is set."""

    daemon_threads = True

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.fault: Fault | None = None
        self.asked = 0
        self.ending = Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def relay(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass on what the real Prometheus says."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.origin + handler.path, timeout=10) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up on a fault is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Source

    def do_GET(self) -> None:
        self.server.asked += 1
        (self.server.fault or (lambda handler, source: source.relay(handler)))(self, self.server)

    def log_message(self, *_: object) -> None:
        """The test's output is not a server's log."""
