"""A server that goes wrong on command. It injects faults that a real Prometheus cannot be made to have; it is no stand-in for one."""

from __future__ import annotations

import asyncio
import gzip
import socketserver
import threading
from collections import deque
from typing import Self

from tools.devcluster.loopback import free_port

SECRET = "s3cr3t-of-some-internal-service"
VALUE = b'{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}'


def answer(status: str, body: bytes | str, *headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Content-Type: application/json", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


def success(kind: str, result: str) -> bytes:
    return answer("200 OK", f'{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}')


def error(status: str, kind: str, text: str = SECRET) -> bytes:
    return answer(status, f'{{"status":"error","errorType":"{kind}","error":"{text}"}}')


# Around asking.ANY_TIME: what a gate of one tenant counted, and what another tenant calls the same.
BEFORE, WITHIN = 1767225530, 1767225590
COUNTER = '"metric":{"__name__":"rampgate_requests_total","namespace":"shop","gate":"x","variant":"on"}'
NATIVE = '"metric":{"__name__":"rampgate_requests_total","namespace":"evil","gate":"x"}'


def exposures(tenant: str, instance: str) -> str:
    """A target of a tenant's that has exposed units of the gate x."""
    labels = f'"__name__":"rampgate_first_exposures_total","namespace":"{tenant}","gate":"x","variant":"on","instance":"{instance}"'
    return f'{{"metric":{{{labels}}},"values":[[{BEFORE},"1"],[{WITHIN},"3"]]}}'


def told_processes(tenant: str, instance: str, count: str) -> str:
    """How many processes that target says it has."""
    labels = f'"__name__":"rampgate_processes","namespace":"{tenant}","instance":"{instance}"'
    return f'{{"metric":{{{labels}}},"values":[[{WITHIN},"{count}"]]}}'


FAULTS: dict[str, bytes] = {
    "fine": answer("200 OK", VALUE),
    "redirect": answer("302 Found", SECRET, "Location: /fine/api/v1/query"),
    "permanent-redirect": answer("308 Permanent Redirect", SECRET, "Location: http://127.0.0.1:1/"),
    "internal": answer("500 Internal Server Error", f"<html>{SECRET}</html>"),
    "unavailable": answer("503 Service Unavailable", SECRET),
    "gave-up": error("503 Service Unavailable", "timeout"),
    "own-trouble": error("500 Internal Server Error", "internal"),
    "throttled": answer("429 Too Many Requests", SECRET),
    "unauthorized": answer("401 Unauthorized", SECRET),
    "forbidden": answer("403 Forbidden", SECRET),
    "missing": answer("404 Not Found", SECRET),
    "other-400": answer("400 Bad Request", SECRET),
    "invented-error": error("418 I'm a teapot", SECRET),
    "execution": error("422 Unprocessable Entity", "execution"),
    "too-many-samples": error(
        "422 Unprocessable Entity", "execution", "query processing would load too many samples into memory in query execution"
    ),
    "too-many-series": error("422 Unprocessable Entity", "422", "the number of matching timeseries exceeds 300000"),
    "quotes-limit": error("422 Unprocessable Entity", "execution", "found duplicate series for {gate='limit-of-max'}"),
    "bad-data": error("400 Bad Request", "bad_data", "x" * 150 + "\\u0000\\n\\u001b[31m" + "é" * 500),
    "html": answer("200 OK", f"<html>{SECRET}</html>"),
    "empty": answer("200 OK", ""),
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "other-json": answer("200 OK", f'["{SECRET}"]'),
    "error-with-200": answer("200 OK", f'{{"status":"error","error":"{SECRET}"}}'),
    "partial": answer("200 OK", '{"status":"success","isPartial":true,"data":{"resultType":"scalar","result":[1,"7"]}}'),
    "exposures": success("matrix", f"[{exposures('shop', 'a')},{exposures('evil', 'a')},{exposures('evil', 'b')}]"),
    "endless-processes": success(
        "matrix",
        f"[{told_processes('shop', 'a', '2')},{told_processes('evil', 'a', '1.7e308')},{told_processes('evil', 'b', '1.7e308')}]",
    ),
    "no-result": answer("200 OK", '{"status":"success","data":{}}'),
    "number-for-text": success("scalar", "[1,7]"),
    "words-for-number": success("scalar", f'[1,"{SECRET}"]'),
    "vector-of-nonsense": success("vector", '[{"metric":{},"value":"x"}]'),
    "matrix-of-nonsense": success("matrix", '[{"metric":{},"values":[["x"]]}]'),
    "huge-time": success("matrix", '[{"metric":{},"values":[[1e999,"1"]]}]'),
    "labels-of-nonsense": success("matrix", '[{"metric":{"variant":[]},"values":[[1,"1"]]}]'),
    "invented-kind": success("tensor", "[]"),
    "histogram": success("vector", '[{"metric":{},"histogram":[1,{}]}]'),
    "histograms": success("matrix", '[{"metric":{},"histograms":[[1,{}]]}]'),
    "no-series": success("matrix", "[]"),
    "one-histogram": success(
        "matrix", f'[{{{COUNTER},"values":[[{BEFORE},"1"],[{WITHIN},"9"]]}},{{{NATIVE},"histograms":[[{WITHIN},{{}}]]}}]'
    ),
    "without-base": success("matrix", f'[{{{COUNTER},"values":[[{WITHIN},"9"]]}}]'),
    "last-histogram": success("vector", f'[{{{COUNTER},"value":[{BEFORE},"2"]}},{{{NATIVE},"histogram":[{BEFORE},{{}}]}}]'),
    "deep": answer("200 OK", "[" * 200_000),
    "deep-for-a-stack": answer("200 OK", "[" * 99_000),
    "compressed": answer("200 OK", gzip.compress(VALUE), "Content-Encoding: gzip"),
    "endless": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
    "endless-redirect": b"HTTP/1.1 302 Found\r\nLocation: /fine/api/v1/query\r\n\r\n",
    "endless-error": b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
    "cut-short": answer("200 OK", VALUE)[:-9],
    "no-http": b"SSH-2.0-" + SECRET.encode() + b"\r\n",
    "closed": b"",
    "silent": b"",
    "stops-half-way": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    "dripping-body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    "dripping-head": b"HTTP/1.1 200 OK\r\nX-Drip: ",
    "held": answer("200 OK", VALUE),
}


class Faulty(socketserver.ThreadingTCPServer):
    """`url(fault)` answers every query with that fault, or with the first of `instead` whose text is in the request.

    Records what it was asked, and how many it held at once.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), _Handler)  # one that no Prometheus scrapes still: requests are counted
        self.requests: deque[bytes] = deque()
        self.instead: dict[bytes, str] = {}
        self.release = threading.Event()
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.held = self.most_held = 0
        self.arrivals = threading.Semaphore(0)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{fault}/"

    async def arrived(self) -> None:
        """Wait for one more query."""
        assert await asyncio.to_thread(self.arrivals.acquire, timeout=20), "no further query came"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.release.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that hangs up on a fault is what the tests are about."""


class _Handler(socketserver.StreamRequestHandler):
    server: Faulty

    def handle(self) -> None:
        head = b"".join(iter(lambda: self.rfile.readline(), b"\r\n"))
        self.server.requests.append(head)
        usual = head.split()[1].split(b"/")[1].decode()
        fault = next((fault for text, fault in self.server.instead.items() if text in head), usual)
        if fault == "held":
            self._hold()
        else:
            self.server.arrivals.release()
        self.wfile.write(FAULTS[fault])
        if fault in {"silent", "stops-half-way"}:
            self.server.ending.wait(30)
        while fault.startswith("endless"):
            self.wfile.write(b" " * 65536)
        while fault.startswith("dripping") and not self.server.ending.wait(0.05):
            self.wfile.write(b" ")

    def _hold(self) -> None:
        # Over before the answer goes out: a client may send its next query before this thread runs again.
        with self.server.lock:
            self.server.held += 1
            self.server.most_held = max(self.server.most_held, self.server.held)
        self.server.arrivals.release()  # once it is counted: who waits for it may let all of them go
        self.server.release.wait(30)
        with self.server.lock:
            self.server.held -= 1
