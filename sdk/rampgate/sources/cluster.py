"""Rules from the API server: list and watch of exactly one ConfigMap.

Knows the Kubernetes watch protocol: resource versions, bookmarks, 410 Gone. Must not know what keys mean.
Only the standard library: an application's process should not carry a Kubernetes client for one GET. Proxies from the environment are not
used, and redirects are not followed: the service account's token goes to the API server and nowhere else.
"""

import json
import os
import socket as socket_module
import ssl
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from random import uniform
from socket import IPPROTO_TCP, SHUT_RDWR, SO_KEEPALIVE, SOL_SOCKET, socket
from threading import Event, Thread, current_thread
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from rampgate.errors import ConfigurationError
from rampgate.snapshot import Keys
from rampgate.sources import Receiver
from rampgate.trouble import Trouble

WATCH_SECONDS = 120.0
"""The server ends a watch after about this long; a stream that then still says nothing is dead."""

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REQUEST_TIMEOUT = 10.0
_SILENCE_MARGIN = 10.0
_CLOSE_TIMEOUT = 2.0
_LONGEST_ANSWER = 16 * 1024 * 1024  # a ConfigMap holds 1 MiB; JSON may escape each byte of it
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # a peer that vanished is noticed in 30 s


class Place(NamedTuple):
    """Which ConfigMap, of which API server, and what opens it. Both files are read anew at every request: they are rotated."""

    url: str
    namespace: str
    config_map: str
    token_file: Path | None
    ca_file: Path | None

    @property
    def path(self) -> str:
        """Path of the request that lists or watches this ConfigMap's namespace."""
        return f"{urlsplit(self.url).path.rstrip('/')}/api/v1/namespaces/{quote(self.namespace, safe='')}/configmaps"


def locate(
    namespace: str | None,
    config_map: str,
    *,
    url: str | None,
    token_file: str | os.PathLike[str] | None,
    ca_file: str | os.PathLike[str] | None,
) -> Place:
    """Complete what the caller gave with the pod's service account. Raises `ConfigurationError` when something is still missing."""
    is_local = url is None
    if url is None:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise ConfigurationError("not inside a pod (KUBERNETES_SERVICE_HOST is not set): pass url, or use from_directory or from_rules")
        url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigurationError(f"url: wanted http(s)://host:port, got {url!r}")
    return Place(
        url=url,
        namespace=namespace or _account_namespace(),
        config_map=config_map,
        token_file=Path(token_file) if token_file else _ACCOUNT / "token" if is_local else None,
        ca_file=Path(ca_file) if ca_file else _ACCOUNT / "ca.crt" if is_local else None,
    )


def _account_namespace() -> str:
    try:
        return (_ACCOUNT / "namespace").read_text().strip()
    except OSError:
        raise ConfigurationError("not inside a pod: pass namespace") from None


class _RefusedError(Exception):
    """The server answered, but not with rules."""


class ClusterSource:
    """Keeps a watch open from a daemon thread. Whatever happens, it comes back, and until then the last good rules stay.

    A watch that the server ended is resumed at the last event's or bookmark's resource version. Anything else leads to a new list: 410 Gone
    and other refusals, a broken or silent connection, and a watch that ended without a word: a server that was restored from a backup is
    behind our version, and would keep every change from us. Failures in a row wait longer, with full jitter, up to 30 seconds.
    """

    def __init__(self, place: Place, *, watch_seconds: float = WATCH_SECONDS) -> None:
        self._place = place
        self._watch_seconds = watch_seconds
        self._stop = Event()
        self._socket: socket | None = None
        self._failures = 0
        self._trouble = Trouble(f"rules in ConfigMap {place.namespace}/{place.config_map}")
        self._thread: Thread | None = None
        self._receiver: Receiver | None = None

    def start(self, receiver: Receiver) -> None:
        """Begin to list and watch."""
        self._receiver = receiver
        self._thread = Thread(target=self._run, args=(receiver,), name="rampgate-cluster", daemon=True)
        self._thread.start()

    def start_in_child(self) -> None:
        """Begin with a list and a connection of its own: the inherited one is the parent's, and is left alone."""
        assert self._receiver is not None
        self._stop, self._socket, self._failures = Event(), None, 0
        self.start(self._receiver)

    def close(self) -> None:
        """End the watch at once and wait for the thread; one that is just connecting may outlive this by its timeout."""
        self._stop.set()
        connection = self._socket
        if connection is not None:
            _shut_down(connection)
        if self._thread is not None and self._thread is not current_thread():  # which ends when it comes back
            self._thread.join(_CLOSE_TIMEOUT)

    def _run(self, receiver: Receiver) -> None:
        version: str | None = None
        while not self._stop.is_set():
            try:
                version = self._watch(receiver, version or self._list(receiver))
                self._failures = 0
                self._trouble.report("")  # not after a list: who may only list is never well
            except Exception as error:  # noqa: BLE001 - whatever a server answers, this thread must live to ask again
                version = None
                self._fail(error)
            self._pause()

    def _fail(self, error: Exception) -> None:
        if not self._stop.is_set():
            self._failures += 1
            self._trouble.report(f"{type(error).__name__}: {error}")

    def _pause(self) -> None:
        if self._failures:
            self._stop.wait(uniform(0, longest_delay(self._failures)))  # noqa: S311 - spreads clients; no secret

    def _list(self, receiver: Receiver) -> str:
        with self._get({}) as response:
            body = response.read(_LONGEST_ANSWER)
        answer = json.loads(body)
        receiver.deliver(_keys(answer["items"][0]) if answer["items"] else {})
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, receiver: Receiver, version: str) -> str | None:
        """Pass events on until the server ends the stream; return the version to resume at, None when nothing was heard."""
        seconds = self._watch_seconds * uniform(0.75, 1)  # noqa: S311 - spreads clients; no secret
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(max(1, round(seconds)))}
        began, heard = monotonic(), None
        with self._get(query, silence=seconds + _SILENCE_MARGIN) as response:
            while line := response.readline(_LONGEST_ANSWER):
                heard = _take(json.loads(line), receiver)
                self._failures = 0
                self._trouble.report("")
        if heard is None and monotonic() - began < min(1, seconds / 2):
            raise HTTPException("the watch ended at once")
        return heard

    @contextmanager
    def _get(self, query: Mapping[str, str], *, silence: float = _REQUEST_TIMEOUT) -> Iterator[HTTPResponse]:
        """Ask for the ConfigMap; `silence` is how many seconds the answer's body may pause."""
        connection = self._connect()
        try:
            selector = {"fieldSelector": f"metadata.name={self._place.config_map}"}
            connection.request("GET", f"{self._place.path}?{urlencode({**selector, **query})}", headers=self._headers())
            response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                raise _RefusedError(f"{response.status} {response.reason}")
            if self._socket is not None:
                self._socket.settimeout(silence)
            yield response
        finally:
            self._socket = None
            connection.close()

    def _connect(self) -> HTTPConnection:
        server = urlsplit(self._place.url)
        host = server.hostname or ""
        if server.scheme == "https":
            tls = ssl.create_default_context(cafile=self._place.ca_file)
            connection: HTTPConnection = HTTPSConnection(host, server.port, timeout=_REQUEST_TIMEOUT, context=tls)
        else:
            connection = HTTPConnection(host, server.port, timeout=_REQUEST_TIMEOUT)
        connection.connect()
        self._socket = connection.sock
        _keep_alive(connection.sock)
        if self._stop.is_set():  # close() may have looked for the socket just before there was one
            _shut_down(connection.sock)
        return connection

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "rampgate-sdk"}
        if self._place.token_file is not None:
            token = self._place.token_file.read_text().strip()
            if not token.isprintable():  # http.client would quote it in what it raises, and so would the log
                raise ValueError(f"{self._place.token_file}: wanted a token on one line")
            headers["Authorization"] = f"Bearer {token}"
        return headers


def longest_delay(failures: int) -> float:
    """Upper bound in seconds of the pause after so many failures in a row (from 1); the pause is drawn from all of it (full jitter)."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures - 1, 10))


def _take(event: dict[str, Any], receiver: Receiver) -> str:
    """Pass one watch event on; return its resource version. A deleted ConfigMap is delivered as one without keys."""
    kind, subject = event["type"], event["object"]
    if kind == "BOOKMARK":
        receiver.confirm()
    elif kind in ("ADDED", "MODIFIED", "DELETED"):
        receiver.deliver({} if kind == "DELETED" else _keys(subject))
    else:
        raise _RefusedError(f"{kind} {subject.get('code')} {subject.get('message')}")
    return str(subject["metadata"]["resourceVersion"])


def _keys(config_map: Mapping[str, Any]) -> Keys:
    texts = (config_map.get("data") or {}).items()
    blobs = (config_map.get("binaryData") or {}).items()  # where kubectl puts bytes that are no UTF-8; a mount shows them too
    return {key: text.encode() for key, text in texts} | {key: a2b_base64(blob) for key, blob in blobs}


def _keep_alive(connection: socket) -> None:
    connection.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket_module, name):
            connection.setsockopt(IPPROTO_TCP, getattr(socket_module, name), value)


def _shut_down(connection: socket) -> None:
    """Wake a thread that reads from this connection; below TLS, whose state must not be pulled from under the reader."""
    with suppress(OSError):
        socket.shutdown(connection, SHUT_RDWR)
