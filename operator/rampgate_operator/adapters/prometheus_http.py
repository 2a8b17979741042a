"""One HTTP query to a Prometheus, bounded in every direction.

Knows how a source is reached and what can go wrong on the way. Must not know what a query means or what is made of its answer.

prometheus-api-client is used as far as it is safe: its `PrometheusConnect` holds the URL and mounts the retry policy on our session. Its
`custom_query` is not used, because it drops `resultType` and `warnings`, reads a body of any size, follows redirects and puts the raw
body of an error into its exception.

A session and a connection per query: a kept connection may be closed by its server just as the next query is sent on it. Without retries
that would be a failure which is nobody's fault, and under `onError: Rollback` a rollback. Sessions are not made for many threads either.

Bounds: no retries (the next look is the retry), no redirects, no proxies and no .netrc from the environment, no cookies, a timeout per
read, a cap on bytes while they arrive, and `Call.abandon` for a server that sends one byte now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from urllib3.util import Retry

from rampgate_operator.core.looks import Failed, FailureReason
from rampgate_operator.settings import SourceSettings

_CONNECT_SECONDS = 3.0
_LONGEST_IN_URL = 3000
"""Characters of a query that is sent by GET. Proxies take some 8 KB of URL, and escaping triples some of them; longer ones go by POST."""
_CHUNK = 1 << 16
_ERROR_BYTES = 1 << 16
_HEADERS = {
    "Accept": "application/json",
    # A compressed body of few bytes could unpack to any size.
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of any source at most.

    Attributes:
        memory: how far back the last value is sought of a counter that came back after a gap; a gap longer than this counts it from 0.
        max_series: of one counter; more is TooLarge.
        max_together_series: of the metrics of many gates; more is asked again in halves.
        max_value_bytes: of an answer that should be one number.
        max_series_bytes: of an answer of raw samples: 16 MiB are some 600,000 samples, and about 100 MB while they are read.
        max_together_bytes: of the metrics of many gates.
    """

    memory: timedelta = timedelta(hours=6)
    max_series: int = 10_000
    max_value_bytes: int = 1 << 20
    max_series_bytes: int = 16 << 20
    max_together_series: int = 50_000
    max_together_bytes: int = 32 << 20


DEFAULT_LIMITS = Limits()


class SourceError(Exception):
    """A source gave no usable answer. The next look is the retry.

    Attributes:
        failed: why, ready to be handed out.
        is_by_data: whether what was asked for may be the cause, so that a part of it may be answered.
    """

    def __init__(self, reason: FailureReason, message: str, *, is_by_data: bool = False) -> None:
        super().__init__(message)
        self.failed = Failed(reason, message)
        self.is_by_data = is_by_data or reason in {FailureReason.TOO_LARGE, FailureReason.TIMEOUT}


@dataclass(frozen=True, slots=True)
class Payload:
    """A complete HTTP answer."""

    status: int
    body: bytes | bytearray


class _Session(requests.Session):
    """A session without redirects.

    `allow_redirects=False` is not enough: it still prepares the next request, and for that reads all of the redirect's body, however long.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the name is the overridden method's
        """Find none."""
        return None


def _new_session(source: SourceSettings) -> requests.Session:
    session = _Session()
    session.trust_env = False
    session.verify = True if source.ca_file is None else str(source.ca_file)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _authorization(source: SourceSettings) -> dict[str, str]:
    if source.token_file is None:
        return {}
    token = source.token_file.read_text("utf-8").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise ValueError("the token is empty or no printable ASCII")
    return {"Authorization": f"Bearer {token}"}


def _open(source: SourceSettings, session: requests.Session, params: Mapping[str, str]) -> requests.Response:
    """Send the query and read the answer's head.

    Raises:
        OSError: token or CA file cannot be read, or any `requests` exception.
        ValueError: token is not printable text.
    """
    seconds = source.timeout.total_seconds()
    client = PrometheusConnect(url=str(source.url).rstrip("/"), session=session, retry=Retry(0, read=False, redirect=False, status=False))
    is_long = len(params["query"]) > _LONGEST_IN_URL
    return session.request(
        "POST" if is_long else "GET",
        f"{client.url}/api/v1/query",
        params=None if is_long else params,
        data=params if is_long else None,
        headers={**_HEADERS, **_authorization(source)},
        timeout=(min(_CONNECT_SECONDS, seconds), seconds),
        allow_redirects=False,
        stream=True,
    )


@dataclass(slots=True, eq=False)
class Call:
    """What one thread is doing, so that another can stop it."""

    name: str
    source: SourceSettings
    limits: Limits
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _response: requests.Response | None = None
    _abandoned: bool = False

    def abandon(self) -> None:
        """Nobody waits any more: end a read that is under way, and start no further one."""
        with self._lock:
            self._abandoned = True
            if self._response is not None:
                _shut(self._response)

    def get(self, params: Mapping[str, str], *, max_bytes: int) -> Payload:
        """Ask and read the whole answer, in this thread.

        Raises:
            SourceError: whatever went wrong.
        """
        if self._abandoned:
            raise SourceError(FailureReason.TIMEOUT, f"Metrics source {self.name} took too long before this request.")
        with _new_session(self.source) as session:
            try:
                response = _open(self.source, session, params)
            except (OSError, ValueError) as error:
                raise _before_an_answer(error, self) from error
            try:
                self._remember(response)
                return _read(response, max_bytes=max_bytes, name=self.name)
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                raise _within_an_answer(error, self.name) from error
            finally:
                self._remember(None)
                response.close()

    def _remember(self, response: requests.Response | None) -> None:
        with self._lock:
            self._response = response
            if self._abandoned and response is not None:
                _shut(response)


def _shut(response: requests.Response) -> None:
    # Only this wakes a thread that waits in a read; close() would wait for it. Nothing is lost when the body has ended already.
    with suppress(ValueError, RuntimeError, OSError):
        response.raw.shutdown()


def _read(response: requests.Response, *, max_bytes: int, name: str) -> Payload:
    if 300 <= response.status_code < 400:
        raise SourceError(
            FailureReason.REDIRECT,
            f"Metrics source {name} answers with a redirect (HTTP {response.status_code}), which is not followed: configure its final URL.",
        )
    if response.status_code != requests.codes.ok:
        # The status says enough when the explanation is longer than any of Prometheus'.
        return Payload(response.status_code, _up_to(response, _ERROR_BYTES))
    body = _up_to(response, max_bytes)
    if len(body) > max_bytes:
        raise SourceError(
            FailureReason.TOO_LARGE,
            f"The answer of metrics source {name} has more than {max_bytes} bytes: aggregate in the query, or use a recording rule.",
        )
    return Payload(response.status_code, body)


def _up_to(response: requests.Response, size: int) -> bytearray:
    """Read the body, but stop soon after `size` bytes."""
    body = bytearray()
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > size:
            break
    return body


def _before_an_answer(error: OSError | ValueError, call: Call) -> SourceError:
    name = call.name
    if isinstance(error, requests.exceptions.SSLError):
        return SourceError(FailureReason.UNREACHABLE, f"TLS to metrics source {name} failed: check the URL's scheme and the CA file.")
    if isinstance(error, requests.exceptions.Timeout):
        return SourceError(
            FailureReason.TIMEOUT, f"Metrics source {name} gave no answer in time: it is overloaded, or the query is too heavy."
        )
    if isinstance(error, requests.exceptions.ConnectionError):
        said = f"No connection to metrics source {name} ({call.source.shown_url}): check that it runs and that its URL is right."
        return SourceError(FailureReason.UNREACHABLE, said)
    if isinstance(error, requests.exceptions.RequestException):
        return SourceError(FailureReason.UNREACHABLE, f"The request to metrics source {name} could not be made: check its URL.")
    return SourceError(
        FailureReason.UNAUTHORIZED, f"The token file or the CA file of metrics source {name} cannot be read: check both files."
    )


def _within_an_answer(error: Exception, name: str) -> SourceError:
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return SourceError(FailureReason.TIMEOUT, f"Metrics source {name} stopped in the middle of its answer.")
    return SourceError(FailureReason.UNREACHABLE, f"Metrics source {name} closed the connection in the middle of its answer.")
