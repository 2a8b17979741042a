"""Threads that look for a witness: a watch of the API server, and pollers of the shop's processes and of Prometheus.

Knows HTTP, the watch protocol and Prometheus' answers. Must not know the story. All of them are independent of the operator and the SDK.
"""

import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from math import isfinite
from typing import Any
from urllib.parse import quote, urlsplit

from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

TIMEOUT = 5.0
WATCH_SECONDS = 3600
"""How long one connection lasts; then it is opened again."""
PAUSE_AFTER_TROUBLE = 0.1

Json = Any


class Sources:
    """The threads, and the event that ends them."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def watch(self, cluster: Cluster, path: str, take: Callable[[Json, float], None]) -> None:
        """Call `take(object, seen_at)` for every state of the objects under an API path, deletions left out."""

        def stream() -> None:
            connection = HTTPSConnection(
                urlsplit(cluster.url).netloc, timeout=WATCH_SECONDS, context=ssl.create_default_context(cafile=str(cluster.ca_file))
            )
            try:
                token = cluster.token(Role.ADMIN)
                connection.request("GET", f"{path}?watch=1&timeoutSeconds={WATCH_SECONDS}", headers={"Authorization": f"Bearer {token}"})
                response = _accepted(connection)  # a kind that has just been established may be refused for a moment
                while line := response.readline():
                    event = json.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        take(event["object"], time.time())
            finally:
                connection.close()

        _repeat(stream, name=f"watch {path}", every=PAUSE_AFTER_TROUBLE, until=threading.Event())

    def poll(self, url: str, take: Callable[[Json, float, float], None], *, every: float) -> None:
        """Call `take(answer, asked_at, answered_at)` for the JSON that GET `url` answers, again and again; `every` is in seconds."""
        parts = urlsplit(url)
        connection = HTTPConnection(parts.netloc, timeout=TIMEOUT)

        def ask() -> None:
            asked_at = time.time()
            try:
                connection.request("GET", f"{parts.path}?{parts.query}")
                answer = json.loads(_accepted(connection).read())
            except (OSError, HTTPException, ValueError):
                connection.close()
                raise
            take(answer, asked_at, time.time())

        _repeat(ask, name=f"poll {url}", every=every, until=self._closed)

    def close(self) -> None:
        """End the pollers. Watches go on until this process ends, so that a kept demo still says what happens."""
        self._closed.set()


def _repeat(action: Callable[[], None], *, name: str, every: float, until: threading.Event) -> None:
    def loop() -> None:
        while not until.is_set():
            due = time.monotonic() + every
            try:
                action()
            except (OSError, HTTPException, ValueError):
                due = time.monotonic() + max(every, PAUSE_AFTER_TROUBLE)  # it is being started, stopped or restarted
            until.wait(max(0.0, due - time.monotonic()))

    threading.Thread(target=loop, name=name, daemon=True).start()


def _accepted(connection: HTTPConnection) -> HTTPResponse:
    """Give the answer; HTTPException unless its status is 200."""
    response = connection.getresponse()
    if response.status != HTTPStatus.OK:
        raise HTTPException(f"{response.status} {response.reason}")
    return response


def query_url(prometheus: str, query: str) -> str:
    """Give the URL of an instant query."""
    return f"{prometheus}/api/v1/query?query={quote(query, safe='')}"


def reading(answer: Json) -> float | None:
    """Give the one number of an instant query's answer; None when there is none, or no finite one."""
    result = answer.get("data", {}).get("result", [])
    value = float(result[0]["value"][1]) if len(result) == 1 else None
    return value if value is not None and isfinite(value) else None


def get(url: str) -> str:
    """GET a text. Raises OSError when there is none."""
    return _fetch(urllib.request.Request(url))


def post(url: str) -> None:
    """POST without a body. Raises OSError when it is not accepted."""
    _fetch(urllib.request.Request(url, method="POST"))


def _fetch(request: urllib.request.Request) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=TIMEOUT) as response:
        return bytes(response.read()).decode()
