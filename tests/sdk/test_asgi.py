"""rampgate.integrations.asgi: a context for each request, and gates measured over it; behind a real uvicorn, and message by message."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rampgate import Gates
from rampgate.gates import request_context
from rampgate.integrations.asgi import Message, RampgateMiddleware, Receive, Scope, Send
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.request import using
from tests.sdk.entries import entry
from tests.sdk.ofrep_server import listening

OVERRIDDEN = {"percent": 0, "overrides": [{"variant": "treatment", "units": ["qa"]}]}
Serve = Callable[[Send], Awaitable[None]]
PARTS = 3


class Measured:
    """Gates whose `qa` is treated, with metrics, and a middleware around what is to be served."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.gates = Gates.from_rules({"g": entry(**OVERRIDDEN)}, metrics=PrometheusMetrics(self.registry))

    def app(self, serve: Any, **options: Any) -> RampgateMiddleware:
        return RampgateMiddleware(serve, self.gates, **{"context": unit_of_path, **options})

    def requests(self, gate: str = "g", variant: str = "baseline") -> tuple[float | None, ...]:
        labels = {"gate": gate, "variant": variant}
        return tuple(self.registry.get_sample_value("rampgate_requests_total", {**labels, "outcome": each}) for each in ("ok", "error"))

    def variant(self) -> str:
        return self.gates.variant("g", default="none")


@pytest.fixture
def measured() -> Any:
    made = Measured()
    yield made
    made.gates.close()


def unit_of_path(scope: Scope) -> dict[str, object]:
    return {"userId": scope["path"].strip("/")}


async def start(send: Send, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})


async def part(send: Send, body: str, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body.encode(), "more_body": more})


async def drive(app: Any, path: str = "/u", *, kind: str = "http", incoming: tuple[Message, ...] = (), send: Send | None = None) -> None:
    """Serve one request, without a server."""
    messages = iter(incoming)

    async def receive() -> Message:
        return next(messages)

    async def forget(message: Message) -> None:
        pass

    await app({"type": kind, "path": path}, receive, send or forget)


def test_a_request_is_decided_by_its_own_context_until_the_last_part_of_its_body(measured: Measured) -> None:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        for _ in range(PARTS):
            await part(send, measured.variant() + " ", more=True)
        await part(send, measured.variant())

    with listening(measured.app(serve)) as server:
        said = {path: server.request("GET", path).body.decode().split() for path in ("/qa", "/u", "/qa")}
    assert said == {"/qa": ["treatment"] * (PARTS + 1), "/u": ["control"] * (PARTS + 1)}


def test_requests_at_the_same_time_do_not_see_each_others_context(measured: Measured) -> None:
    together = asyncio.Barrier(4)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await together.wait()
        await start(send)
        await part(send, await asyncio.to_thread(measured.variant))

    with listening(measured.app(serve)) as server, ThreadPoolExecutor(4) as clients:
        said = list(clients.map(lambda path: server.request("GET", path).body, ("/qa", "/u", "/qa", "/v")))
    assert said == [b"treatment", b"control", b"treatment", b"control"]


async def test_after_a_request_there_is_no_context_even_if_it_failed(measured: Measured) -> None:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        assert request_context.get() == {"userId": "u"}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await drive(measured.app(serve))
    assert request_context.get() == {}


async def test_a_request_that_is_given_up_elsewhere_ends_without_a_word_and_changes_no_other(measured: Measured) -> None:
    """As an event loop that ends does with what it did not finish, and a collector of garbage."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    begun = measured.app(serve)({"type": "http", "path": "/u"}, None, None)  # type: ignore[arg-type]
    copy_context().run(begun.send, None)
    with using({"userId": "qa"}):
        begun.close()
        assert measured.variant() == "treatment"


async def test_a_thread_that_a_request_starts_has_no_context(measured: Measured) -> None:
    said: list[str] = []

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        thread = Thread(target=lambda: said.append(measured.variant()))
        thread.start()
        thread.join()
        said.append(measured.variant())

    await drive(measured.app(serve), "/qa")
    assert said == ["control", "treatment"]


async def test_a_websocket_has_a_context_and_is_not_measured(measured: Measured) -> None:
    said: list[str] = []

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        said.append(measured.variant())

    await drive(measured.app(serve, measure=["g"]), "/qa", kind="websocket")
    assert said == ["treatment"]
    assert measured.requests(variant="override") == (None, None)


async def test_what_is_no_request_passes_through(measured: Measured) -> None:
    passed = []

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append((scope["type"], receive, send, request_context.get()))

    async def nothing(*message: Message) -> Message:
        return {}

    await measured.app(serve)({"type": "lifespan"}, nothing, nothing)  # type: ignore[arg-type]
    assert passed == [("lifespan", nothing, nothing, {})]


@pytest.mark.parametrize("made", [KeyError("userId"), None, 5], ids=repr)
async def test_a_context_that_cannot_be_made_is_empty_and_said_once(
    measured: Measured, made: object, caplog: pytest.LogCaptureFixture
) -> None:
    served = []

    def make(scope: Scope) -> Any:
        if isinstance(made, Exception):
            raise made
        return made

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        served.append(request_context.get())

    app = measured.app(serve, context=make)
    for _ in range(3):
        await drive(app, "/qa")
    assert served == [{}, {}, {}]
    assert len([each for each in caplog.records if "context of requests" in each.getMessage()]) == 1


async def answer(send: Send, status: int) -> None:
    await start(send, status)
    await part(send, "")


async def ok(send: Send) -> None:
    await answer(send, 404)


async def ok_from_a_file(send: Send) -> None:
    await start(send)
    await send({"type": "http.response.pathsend", "path": "/page"})


async def by_status(send: Send) -> None:
    await answer(send, 503)


async def by_exception(send: Send) -> None:
    await start(send)
    raise ZeroDivisionError


async def by_breaking_off(send: Send) -> None:
    await start(send)
    await part(send, "half", more=True)


async def by_saying_nothing(send: Send) -> None:
    pass


async def cancelled(send: Send) -> None:
    raise asyncio.CancelledError


async def failing_afterwards(send: Send) -> None:
    await answer(send, 200)
    raise ZeroDivisionError("in a background task")


@pytest.mark.parametrize(
    ("serve", "counted"),
    [
        (ok, (1, 0)),
        (ok_from_a_file, (1, 0)),
        (by_status, (0, 1)),
        (by_exception, (0, 1)),
        (by_breaking_off, (0, 1)),
        (by_saying_nothing, (0, 1)),
        (cancelled, (1, 0)),
        (failing_afterwards, (1, 0)),
    ],
)
async def test_gates_are_measured_over_a_request(measured: Measured, serve: Serve, counted: tuple[int, int]) -> None:
    app = measured.app(lambda scope, receive, send: serve(send), measure="g")
    with suppress(ZeroDivisionError, asyncio.CancelledError):
        await drive(app)
    assert measured.requests() == counted
    with suppress(ZeroDivisionError, asyncio.CancelledError):
        await drive(app)
    assert measured.requests() == tuple(2 * each for each in counted)


async def test_a_client_that_hung_up_is_no_error(measured: Measured) -> None:
    async def stop(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        if (await receive())["type"] == "http.disconnect":
            return

    async def apologise(scope: Scope, receive: Receive, send: Send) -> None:
        """As a framework does when reading the body raised."""
        await receive()
        await answer(send, 500)

    async def go_on(scope: Scope, receive: Receive, send: Send) -> None:
        await part(send, "")

    async def gone(message: Message) -> None:
        raise ConnectionResetError

    for serve in (stop, apologise):
        await drive(measured.app(serve, measure=["g"]), incoming=({"type": "http.disconnect"},))
    with pytest.raises(ConnectionResetError):
        await drive(measured.app(go_on, measure=["g"]), send=gone)
    assert measured.requests() == (3, 0)


def test_a_measured_request_behind_a_server_is_counted_with_its_status(measured: Measured) -> None:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, 500 if scope["path"] == "/bad" else 200)

    with listening(measured.app(serve, measure=["g", "other"])) as server:
        statuses = [server.request("GET", path).status for path in ("/bad", "/good")]
    assert statuses == [500, 200]
    assert (measured.requests(), measured.requests("other", "none")) == ((1, 1), (1, 1))
