"""The OFREP application behind a real uvicorn on loopback, and how tests talk to it: plain HTTP, nothing hidden."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Thread
from typing import Any, NamedTuple

import uvicorn

from rampgate.integrations.ofrep import App

FLAGS = "/ofrep/v1/evaluate/flags"
JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def fields(self) -> Any:
        return json.loads(self.body)


class Asked(NamedTuple):
    """A server that listens."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, JSON if headers is None else headers)
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
        finally:
            connection.close()

    def evaluate(self, gate: str = "", context: object = None, headers: dict[str, str] | None = None) -> Answer:
        """Ask for one gate, or for all of them."""
        body = json.dumps({} if context is None else {"context": context}).encode()
        return self.request("POST", f"{FLAGS}/{gate}" if gate else FLAGS, body, {**JSON, **(headers or {})})


@contextmanager
def listening(app: App) -> Iterator[Asked]:
    """Run an application until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False))
        thread = Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield Asked(bound.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
