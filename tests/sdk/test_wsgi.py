"""rampgate.integrations.wsgi: a context for each request, and gates measured over it; behind wsgiref's server, and a real gunicorn."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from prometheus_client import CollectorRegistry

from rampgate import Gates
from rampgate.gates import request_context
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.integrations.wsgi import RampgateMiddleware
from rampgate.rules import render_entry
from tests.sdk.entries import entry
from tests.sdk.waiting import eventually

OVERRIDDEN = {"percent": 0, "overrides": [{"variant": "treatment", "units": ["qa"]}]}
Start = Callable[..., Any]
Environ = dict[str, Any]


def unit_of_path(environ: Environ) -> dict[str, object]:
    return {"userId": environ["PATH_INFO"].strip("/")}


class Measured:
    """Gates whose `qa` is treated, with metrics, and a middleware around what is to be served."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.gates = Gates.from_rules({"g": entry(**OVERRIDDEN)}, metrics=PrometheusMetrics(self.registry))
        self.started: list[str] = []

    def app(self, serve: Any, **options: Any) -> RampgateMiddleware:
        return RampgateMiddleware(serve, self.gates, **{"context": unit_of_path, **options})

    def ask(self, app: Any, path: str = "/u", *, parts: int = 100) -> list[bytes]:
        """Serve one request without a server, of whose body at most so many parts are read."""
        environ: Environ = {"PATH_INFO": path, "wsgi.file_wrapper": FileWrapper}
        setup_testing_defaults(environ)
        body = app(environ, lambda status, headers, *exc_info: self.started.append(status))
        try:
            return [chunk for chunk, _ in zip(body, range(parts), strict=False)]
        finally:
            if hasattr(body, "close"):
                body.close()

    def requests(self, variant: str = "baseline") -> tuple[float | None, ...]:
        labels = {"gate": "g", "variant": variant}
        return tuple(self.registry.get_sample_value("rampgate_requests_total", {**labels, "outcome": each}) for each in ("ok", "error"))

    def variant(self) -> bytes:
        return self.gates.variant("g", default="none").encode()


@pytest.fixture
def measured() -> Iterator[Measured]:
    made = Measured()
    yield made
    made.gates.close()


class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


def get(port: int, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


@contextmanager
def listening(app: Any) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, Threading, Quiet) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_request_is_decided_by_its_own_context_until_the_last_part_of_its_body(measured: Measured) -> None:
    def serve(environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        for _ in range(3):
            yield measured.variant() + b" "

    with listening(measured.app(serve)) as port:
        said = [get(port, path).split() for path in ("/qa", "/u", "/qa")]
    assert said == [[b"treatment"] * 3, [b"control"] * 3, [b"treatment"] * 3]


def test_requests_whose_bodies_are_read_in_turns_by_one_thread_do_not_mix(measured: Measured) -> None:
    def serve(environ: Environ, start: Start) -> Iterator[bytes]:
        for _ in range(2):
            yield measured.variant()

    app = measured.app(serve)
    bodies = [iter(app({"PATH_INFO": path}, lambda *started: None)) for path in ("/qa", "/u")]
    assert [next(body) for body in bodies * 2] == [b"treatment", b"control"] * 2
    assert request_context.get() == {}


def test_after_a_request_there_is_no_context_even_if_it_failed_or_was_never_read(measured: Measured) -> None:
    def fail(environ: Environ, start: Start) -> list[bytes]:
        assert request_context.get() == {"userId": "u"}
        raise ZeroDivisionError

    def fail_later(environ: Environ, start: Start) -> Iterator[bytes]:
        yield measured.variant()
        raise ZeroDivisionError

    for serve, parts in ((fail, 9), (fail_later, 9), (fail_later, 0)):
        with suppress(ZeroDivisionError):
            measured.ask(measured.app(serve), parts=parts)
        assert request_context.get() == {}


class Closing:
    """A body that says when it is closed, and by which context."""

    def __init__(self) -> None:
        self.closed: list[object] = []

    def __iter__(self) -> Iterator[bytes]:
        yield from (b"a", b"b")

    def close(self) -> None:
        self.closed.append(request_context.get())


def test_a_body_is_closed_within_its_request(measured: Measured) -> None:
    body = Closing()
    assert measured.ask(measured.app(lambda environ, start: body)) == [b"a", b"b"]
    assert body.closed == [{"userId": "u"}]


def test_a_body_that_is_complete_is_given_to_the_server_as_it_is(measured: Measured, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"file")
    with (tmp_path / "file").open("rb") as file:
        for body in ([b"a"], (b"a", b"b"), FileWrapper(file)):
            app = measured.app(lambda environ, start, body=body: body, measure=["g"])
            assert app({"PATH_INFO": "/u", "wsgi.file_wrapper": FileWrapper}, lambda *started: None) is body
    assert measured.requests() == (3, 0)


def ok(start: Start) -> Iterable[bytes]:
    start("404 Not Found", [])
    return [b"a"]


def ok_in_parts(start: Start) -> Iterable[bytes]:
    start("200 OK", [])
    yield from (b"a", b"b")


def by_status(start: Start) -> Iterable[bytes]:
    start("503 Service Unavailable", [])
    yield b"a"


def by_exception(start: Start) -> Iterable[bytes]:
    raise ZeroDivisionError


def by_exception_midway(start: Start) -> Iterable[bytes]:
    start("200 OK", [])
    yield b"a"
    raise ZeroDivisionError


def by_thinking_better_of_it(start: Start) -> Iterable[bytes]:
    start("200 OK", [])
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        start("500 Internal Server Error", [], sys.exc_info())
    return [b"a"]


def interrupted(start: Start) -> Iterable[bytes]:
    raise SystemExit


def with_a_status_that_is_none(start: Start) -> Iterable[bytes]:
    start("", [])
    return [b"a"]


@pytest.mark.parametrize(
    ("serve", "counted"),
    [
        (ok, (1, 0)),
        (ok_in_parts, (1, 0)),
        (by_status, (0, 1)),
        (by_exception, (0, 1)),
        (by_exception_midway, (0, 1)),
        (by_thinking_better_of_it, (0, 1)),
        (interrupted, (1, 0)),
        (with_a_status_that_is_none, (1, 0)),
    ],
)
def test_gates_are_measured_over_a_request(measured: Measured, serve: Any, counted: tuple[int, int]) -> None:
    app = measured.app(lambda environ, start: serve(start), measure="g")
    for _ in range(2):
        with suppress(ZeroDivisionError, SystemExit):
            measured.ask(app)
    assert measured.requests() == tuple(2 * each for each in counted)


class FailingAtTheEnd(Closing):
    """A body whose close fails."""

    def close(self) -> None:
        raise ZeroDivisionError


def test_a_body_that_cannot_be_closed_is_an_error_unless_it_was_sent(measured: Measured) -> None:
    app = measured.app(lambda environ, start: FailingAtTheEnd(), measure="g")
    for parts, counted in ((1, (0, 1)), (9, (1, 1))):
        with pytest.raises(ZeroDivisionError):
            measured.ask(app, parts=parts)
        assert measured.requests() == counted


def test_a_client_that_hung_up_is_no_error(measured: Measured) -> None:
    def serve(environ: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        yield from (b"a", b"b", b"c")

    measured.ask(measured.app(serve, measure=["g"]), parts=1)
    assert measured.requests() == (1, 0)


def test_a_context_that_cannot_be_made_is_empty_and_said_once(measured: Measured, caplog: pytest.LogCaptureFixture) -> None:
    app = measured.app(lambda environ, start: [measured.variant()], context=lambda environ: environ["no such"])
    assert [measured.ask(app) for _ in range(3)] == [[b"control"]] * 3
    assert len([each for each in caplog.records if "context of requests" in each.getMessage()]) == 1


APPLICATION = """
import threading
from rampgate import Gates
from rampgate.gates import request_context
from rampgate.integrations.wsgi import RampgateMiddleware

gates = Gates.from_rules({"g": ENTRY})
together = threading.Barrier(2, timeout=30)

def serve(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    yield b""
    together.wait()
    yield gates.variant("g", default="none").encode()

within = RampgateMiddleware(serve, gates, context=lambda environ: {"userId": environ["PATH_INFO"].strip("/")})

def application(environ, start):
    if environ["PATH_INFO"] == "/outside":
        start("200 OK", [("Content-Type", "text/plain")])
        return [repr(dict(request_context.get())).encode()]
    return within(environ, start)
"""


@contextmanager
def gunicorn(folder: Path) -> Iterator[int]:
    """Two threads, which serve one request after another."""
    (folder / "served.py").write_text(f"ENTRY = {render_entry(entry(**OVERRIDDEN))!r}\n" + APPLICATION)
    command = [sys.executable, "-m", "gunicorn", "served:application", "--chdir", str(folder), "--bind", "127.0.0.1:0", "--threads", "2"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--worker-tmp-dir", str(folder)], stderr=log, stdout=log)
    try:
        assert eventually(lambda: "Listening at: http://127.0.0.1:" in (folder / "log").read_text(), within=60)
        yield int((folder / "log").read_text().partition("Listening at: http://127.0.0.1:")[2].split()[0])
    finally:
        process.terminate()
        process.wait(30)


def test_requests_in_threads_that_are_used_again_do_not_see_each_others_context(tmp_path: Path) -> None:
    with gunicorn(tmp_path) as port, ThreadPoolExecutor(2) as clients:
        for _ in range(5):
            said = list(clients.map(lambda path: get(port, path), ("/qa", "/u")))
            assert said == [b"treatment", b"control"]
            assert get(port, "/outside") == b"{}"
