"""A middleware for WSGI applications: the context of each request is set once, and gates are measured over it.

Knows PEP 3333. Must not know any framework, nor how decisions are made.
Application and body run in a copy of the thread's context variables: whatever becomes of the body, and whichever thread reads it on, the
next request of this thread finds nothing of this one.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from rampgate.gates import Gates, request_context
from rampgate.request import Contexts, Measured

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class RampgateMiddleware:
    """Wraps `app`, so that within a request `gates.variant("g", default=…)` and its like need no context: it is `context(environ)`.

    It is made once for each request, before anything else, so it must be quick. If it raises, the context is empty.
    `measure` names gates that are decided, hence exposed, at the beginning of every request and measured until the last part of its body:
    for gates that all requests depend on. An error is a status of 500 or more, or an `Exception`.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        gates: Gates,
        *,
        context: Callable[["WSGIEnvironment"], Mapping[str, object]],
        measure: str | Collection[str] = (),
    ) -> None:
        self._app = app
        self._gates = gates
        self._contexts = Contexts(context)
        self._measure = (measure,) if isinstance(measure, str) else tuple(measure)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve a request."""
        context = self._contexts(environ)
        measured = Measured(self._gates, self._measure, context)
        within = copy_context()
        within.run(request_context.set, context)
        try:
            body = within.run(self._app, environ, _listening(start_response, measured))
        except BaseException as error:
            measured.end(failed=isinstance(error, Exception))
            raise
        if _is_complete(body, environ):
            measured.end()
            return body
        return _Body(body, within, measured)


def _listening(start_response: "StartResponse", measured: Measured) -> "StartResponse":
    """Start a response likewise, and tell its status."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: object) -> Callable[[bytes], object]:
        code = status[:3]
        measured.status(int(code) if code.isdecimal() else 0)
        return start_response(status, headers, *exc_info)  # type: ignore[arg-type]  # whatever the application gave

    return start


def _is_complete(body: object, environ: "WSGIEnvironment") -> bool:
    """Whether no code of the application's is left to run: then the server may see the body itself, its length or its file."""
    file_wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(body, (list, tuple)) or (isinstance(file_wrapper, type) and isinstance(body, file_wrapper))


class _Body:
    """A body, read within its request."""

    def __init__(self, body: Iterable[bytes], within: Context, measured: Measured) -> None:
        self._body = body
        self._within = within
        self._measured = measured
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._parts is None:
                self._parts = self._within.run(iter, self._body)
            return self._within.run(next, self._parts)
        except BaseException as error:
            self._measured.end(failed=isinstance(error, Exception) and not isinstance(error, StopIteration))
            raise

    def close(self) -> None:
        """Close the application's body, as the server does at the end; a client that hung up is no error."""
        close = getattr(self._body, "close", None)
        try:
            if close is not None:
                self._within.run(close)
        except Exception:
            self._measured.end(failed=True)
            raise
        finally:
            self._measured.end()
