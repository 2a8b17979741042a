"""A middleware for ASGI applications: the context of each request is set once, and gates are measured over it.

Knows ASGI's scopes and messages (version 3). Must not know any framework, nor how decisions are made.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any

from rampgate.gates import Gates
from rampgate.request import Contexts, Measured, using

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PARTS = ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")
"""What a body is sent with: the last two are extensions, for files."""


class RampgateMiddleware:
    """Wraps `app`, so that within a request `gates.variant("g", default=…)` and its like need no context: it is `context(scope)`.

    It is made once for each request and each WebSocket, before anything else, so it must be quick. If it raises, the context is empty.
    `measure` names gates that are decided, hence exposed, at the beginning of every HTTP request and measured until the last part of its
    body: for gates that all requests depend on. An error is a status of 500 or more, an `Exception`, or an answer that breaks off, unless
    the client is gone.
    """

    def __init__(
        self, app: App, gates: Gates, *, context: Callable[[Scope], Mapping[str, object]], measure: str | Collection[str] = ()
    ) -> None:
        self._app = app
        self._gates = gates
        self._contexts = Contexts(context)
        self._measure = (measure,) if isinstance(measure, str) else tuple(measure)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; whatever is none, such as `lifespan`, is passed through."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        context = self._contexts(scope)
        with using(context):
            if self._measure and scope["type"] == "http":
                await _Request(Measured(self._gates, self._measure, context), receive, send).serve(self._app, scope)
            else:
                await self._app(scope, receive, send)


class _Request:
    """One HTTP request, listened to."""

    def __init__(self, measured: Measured, receive: Receive, send: Send) -> None:
        self._measured = measured
        self._receive = receive
        self._send = send
        self._is_client_gone = False

    async def serve(self, app: App, scope: Scope) -> None:
        """Run the application, and count the request at its end, unless the last part of its body was the end."""
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            self._measured.end(failed=not self._is_client_gone)
            raise
        except BaseException:  # cancelled: somebody else ended it
            self._measured.end()
            raise
        self._measured.end(failed=not self._is_client_gone)  # without effect after the last part of a body

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_client_gone = True
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on, and note its status, its last part, and that nobody listens any more."""
        if message["type"] == "http.response.start" and not self._is_client_gone:  # else it is what the hang-up came to
            self._measured.status(message["status"])
        try:
            await self._send(message)
        except OSError:  # how servers say that nobody listens any more
            self._is_client_gone = True
            raise
        if message["type"] in _PARTS and not message.get("more_body"):
            self._measured.end()
