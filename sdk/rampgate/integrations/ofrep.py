"""The OpenFeature Remote Evaluation Protocol, OFREP 0.3, as an ASGI application (extra `server` has what runs it).

Knows the protocol's paths, bodies and statuses, and what a stranger may ask for. Must not know where rules come from, which server runs
it, nor any OpenFeature package; prometheus_client only when a registry is given.
Two ways to ask: of one gate, which is an exposure, and of all of them, which is none: clients fetch what they may never show.
"""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from hashlib import blake2b
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from rampgate.decision import Decision, Reason
from rampgate.gates import Gates
from rampgate.integrations.ofrep_context import LIMITS, Limits, RefusedError, read_context
from rampgate.integrations.vocabulary import Translated, metadata_of, reason_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Limits", "ofrep_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, bytes]
Count = Callable[[str, int, float], None]
"""Told the route, the status and the seconds of a request."""

BULK = "/ofrep/v1/evaluate/flags"
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
BODY_SECONDS = 10.0
"""A body that is not there after so long is not waited for."""

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_ALLOWED_HEADERS = b"authorization, content-type, if-none-match, x-api-key"
_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Response(NamedTuple):
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (_JSON,)


def ofrep_app(
    gates: Gates,
    *,
    api_keys: Callable[[], Collection[str]] | None = None,
    limits: Limits = LIMITS,
    registry: "CollectorRegistry | None" = None,
    origins: Collection[str] = (),
) -> App:
    """An ASGI application that answers OFREP from `gates`; it can be mounted in another one.

    `api_keys` gives the keys that open it at this moment, without it everybody may ask; `/healthz`, `/readyz` and `/metrics`
    are always open.
    `registry` counts the requests and is served at `/metrics`. `origins` are the web origins whose pages may ask ("*": all); none by
    default.
    """
    served, count = (None, None) if registry is None else _metrics(registry)
    return _Application(gates, api_keys=api_keys, limits=limits, metrics=served, count=count, origins=frozenset(origins))


class _Application:
    def __init__(
        self,
        gates: Gates,
        *,
        api_keys: Callable[[], Collection[str]] | None,
        limits: Limits,
        metrics: App | None,
        count: Count | None,
        origins: frozenset[str],
    ) -> None:
        self._gates = gates
        self._api_keys = api_keys
        self._limits = limits
        self._metrics = metrics
        self._count = count
        self._origins = origins
        self._encoded = Translated(_encode)
        gates.listen(on_change=lambda _: self._encoded.forget())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == BULK or path.startswith(BULK + "/"):
            await self._serve(scope, receive, send, key=path.removeprefix(BULK).removeprefix("/"))
        elif path == METRICS and self._metrics is not None:
            await self._metrics(scope, receive, send)
        elif path in (HEALTH, READY):
            await _send(send, self._health(may_be_stale=path == READY))
        else:
            await _send(send, _refusal(404, "GENERAL", f"nothing here; ask at {BULK}"))

    async def _serve(self, scope: Scope, receive: Receive, send: Send, *, key: str) -> None:
        """Answer a question for `key`, or for all gates when it is empty."""
        began = perf_counter()
        headers = dict(scope["headers"])
        try:
            response = await self._answer(scope["method"], headers, receive, key)
        except RefusedError as refused:
            response = _refusal(refused.status, refused.code, refused.details, key=key)
        await _send(send, response, self._cors(headers))
        if self._count is not None:
            self._count("single" if key else "bulk", response.status, perf_counter() - began)

    async def _answer(self, method: str, headers: Headers, receive: Receive, key: str) -> Response:
        """Check in the order in which a stranger learns least, then evaluate. Raises RefusedError."""
        if method == "OPTIONS" and self._origins:
            return Response(204, headers=_PREFLIGHT)
        if method != "POST":
            return _refusal(405, "GENERAL", "ask with POST", key=key, headers=((b"allow", b"POST"),))
        if self._api_keys is not None and not _opens(headers, self._api_keys()):
            return _refusal(401, "GENERAL", "an API key is wanted", key=key, headers=((b"www-authenticate", b"Bearer"),))
        if headers.get(b"content-type", _JSON[1]).partition(b";")[0].strip().lower() != _JSON[1]:
            raise RefusedError(415, "PARSE_ERROR", "wanted Content-Type: application/json")
        body = await _read(receive, headers, self._limits.body)
        context = read_context(body, self._limits)
        if not self._gates.is_ready:
            return _refusal(503, "GENERAL", "no rules yet", key=key, headers=((b"retry-after", b"1"),))
        return self._one(key, context) if key else self._all(body, context, headers.get(b"if-none-match", b""))

    def _one(self, key: str, context: Mapping[str, object]) -> Response:
        return self._encoded(self._gates.decide(key, context))

    def _all(self, body: bytes, context: Mapping[str, object], known: bytes) -> Response:
        """Answer for every gate.

        The entity tag is of what was asked and what is answered, so that replicas agree on it; a context that is written another way has
        another tag, which costs an answer.
        """
        names = self._gates.names()
        if len(names) > self._limits.bulk:
            raise RefusedError(400, "GENERAL", f"there are {len(names)} gates, and at most {self._limits.bulk} are answered at once")
        decisions = (self._gates.peek(name, context) for name in sorted(names))
        flags = b",".join(self._encoded(decision).body for decision in decisions if decision.reason is not Reason.UNKNOWN_GATE)
        answer = b'{"flags":[' + flags + b'],"metadata":{}}'
        tag = b'"%s"' % blake2b(body + b"\0" + answer, digest_size=16).hexdigest().encode()
        if tag in (each.strip().removeprefix(b"W/") for each in known.split(b",")):
            return Response(304, headers=((b"etag", tag),))
        return Response(200, answer, (_JSON, (b"etag", tag)))

    def _health(self, *, may_be_stale: bool) -> Response:
        """Whether all is well; stale rules are no reason to take a replica out of service: they are better than none."""
        if not self._gates.is_ready:
            return Response(503, b"no rules yet: every question is refused\n", (_TEXT,))
        if self._gates.is_stale and not may_be_stale:
            return Response(503, b"the source of the rules has not confirmed them for too long: the last good ones are served\n", (_TEXT,))
        return Response(200, b"ok\n", (_TEXT,))

    def _cors(self, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
        if not self._origins:
            return ()
        origin = headers.get(b"origin", b"")
        if "*" not in self._origins and origin.decode("latin-1") not in self._origins:
            return ((b"vary", b"Origin"),)
        return ((b"vary", b"Origin"), (b"access-control-allow-origin", origin or b"*"), (b"access-control-expose-headers", b"ETag"))


_PREFLIGHT = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", _ALLOWED_HEADERS),
    (b"access-control-max-age", b"3600"),
)


def _opens(headers: Headers, keys: Collection[str]) -> bool:
    """Whether the key that was sent is one of `keys`, in a time that says nothing about any of them."""
    scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
    sent = headers.get(b"x-api-key", b"").strip() or (bearer.strip() if scheme.lower() == b"bearer" else b"")
    found = [hmac.compare_digest(_digest(sent), _digest(key.encode())) for key in keys]
    return bool(sent) and any(found)


def _digest(key: bytes) -> bytes:
    return blake2b(key).digest()


async def _read(receive: Receive, headers: Headers, longest: int) -> bytes:
    """Read the body. Raises RefusedError when it is too long, or too long in coming."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or len(announced) > len(str(longest)) or int(announced) > longest:
        raise _too_long(longest)
    body, is_more = b"", True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while is_more and len(body) <= longest:
                message = await receive()
                body += message.get("body", b"")
                is_more = message.get("more_body", False)
    except TimeoutError:
        raise RefusedError(408, "PARSE_ERROR", f"the body did not come within {BODY_SECONDS:g} seconds") from None
    if len(body) > longest:
        raise _too_long(longest)
    return body


def _too_long(longest: int) -> RefusedError:
    return RefusedError(413, "PARSE_ERROR", f"the body is longer than {longest} bytes")


def _encode(decision: Decision) -> Response:
    """What a decision is on the wire, as an answer of its own; its body also stands in the answer for all gates."""
    if decision.reason is Reason.UNKNOWN_GATE:
        return _refusal(404, "FLAG_NOT_FOUND", "the rules have no such gate", key=decision.gate)
    if decision.variant is None:
        return _refusal(400, "PARSE_ERROR", "the gate's entry was never understood", key=decision.gate)
    value = {} if decision.value is None else {"value": decision.value}  # without a value: the caller's default
    said = {"reason": reason_of(decision), "variant": decision.variant, "metadata": metadata_of(decision)}
    try:
        return Response(200, _json({"key": decision.gate, **value, **said}))
    except (ValueError, RecursionError):
        return _refusal(400, "PARSE_ERROR", "the gate's value holds a number that JSON cannot say, or nests without end", key=decision.gate)


def _refusal(status: int, code: str, details: str, *, key: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    named = {"key": key} if key else {}
    return Response(status, _json({**named, "errorCode": code, "errorDetails": details}), (_JSON, *headers))


def _json(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()


async def _send(send: Send, response: Response, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    closing = ((b"connection", b"close"),) if response.status in (408, 413) else ()  # what is left of the body is not read
    length = () if response.status in (204, 304) else ((b"content-length", str(len(response.body)).encode()),)
    headers = [*response.headers, *length, *closing, *more]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _metrics(registry: "CollectorRegistry") -> tuple[App, Count]:
    from prometheus_client import Counter, Histogram, make_asgi_app  # noqa: PLC0415 - only those who want metrics need it

    requests = Counter("rampgate_ofrep_requests", "OFREP requests, by route and status.", ("route", "status"), registry=registry)
    durations = Histogram(
        "rampgate_ofrep_request_duration_seconds", "Duration of OFREP requests.", ("route",), registry=registry, buckets=_BUCKETS
    )

    def count(route: str, status: int, seconds: float) -> None:
        requests.labels(route, str(status)).inc()
        durations.labels(route).observe(seconds)

    return make_asgi_app(registry), count
