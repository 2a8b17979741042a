"""A process to be scraped: real HTTP on loopback, in the test's own process so that its counts are known exactly."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Self

import requests

from tools.devcluster.loopback import free_port
from tools.devcluster.prometheus import Prometheus

Labels = Mapping[str, str]
PATIENCE, POLL = 60.0, 0.05


class Exporter:
    """Serves `/metrics` with whatever was `set`; `restart` forgets all of it and comes back on the same port."""

    def __init__(self, prometheus: Prometheus, *, job: str, namespace: str) -> None:
        self._lines: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._past: list[tuple[str, tuple[tuple[str, str], ...], float, int]] = []
        self._setting, self._marks = RLock(), 0
        self._server = self._serve()
        self._prometheus, self._job, self._namespace = prometheus, job, namespace
        prometheus.add_target(job, self._address, {"namespace": namespace})

    def set(self, metric: str, value: float, **labels: str) -> None:
        with self._setting:
            self._lines[metric, tuple(sorted(labels.items()))] = value

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a scrape see all that is set in the block, or nothing of it: a client shows no histogram whose buckets lag behind."""
        with self._setting:
            yield

    def wait_until_scraped(self) -> None:
        """Wait until Prometheus knows all that was set. It is asked, for a scrape that has begun may still time out."""
        self._marks += 1
        self.set("exporter_marks", self._marks)
        query = {"query": f'exporter_marks{{job="{_escape(self._job)}"}} == {self._marks}'}
        deadline = time.monotonic() + PATIENCE
        with requests.Session() as session:
            session.trust_env = False
            while not session.get(f"{self._prometheus.url}/api/v1/query", params=query, timeout=PATIENCE).json()["data"]["result"]:
                assert time.monotonic() < deadline, f"after {PATIENCE:g} s nobody has scraped {self._job}"
                time.sleep(POLL)

    def lived(self, metric: str, values: Mapping[int, float], **labels: str) -> None:
        """Say what a counter had been, by milliseconds since the epoch: one scrape brings all of it. Within the hour, and ascending."""
        self._past += [(metric, tuple(sorted(labels.items())), value, at) for at, value in values.items()]

    def restart(self) -> None:
        self.vanish()
        self.appear()

    def vanish(self) -> None:
        """Stop answering; the target stays configured, as with a pod that is gone."""
        self._server.shutdown()
        self._server.server_close()

    def appear(self) -> None:
        """Come back on the same port, with nothing counted yet."""
        self._lines = {}
        self._server = self._serve(self._server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._prometheus.remove_target(self._job, self._address)
        self.vanish()

    @property
    def _address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def _serve(self, port: int | None = None) -> ThreadingHTTPServer:
        """Listen: on a port that is nobody else's for good, be the exporter away for a while, or no target any more."""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter._text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The test's output is not a server's log."""

        server = ThreadingHTTPServer(("127.0.0.1", port or free_port()), Handler)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    def _text(self) -> str:
        past = [f"{metric}{{{_show(labels)}}} {value} {at}\n" for metric, labels, value, at in self._past]
        with self._setting:
            now = list(self._lines.items())
        return "".join([*past, *(f"{metric}{{{_show(labels)}}} {value}\n" for (metric, labels), value in now)])


def _show(labels: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
