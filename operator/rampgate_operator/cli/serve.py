"""`rampgate serve`: answer OFREP, for OpenFeature clients in any language, by the rules of a ConfigMap."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampgate import Gates
from rampgate.errors import ConfigurationError
from rampgate.integrations.ofrep_context import LIMITS, Limits
from rampgate.trouble import Trouble

if TYPE_CHECKING:
    from rampgate.exposure import Observer

logger = logging.getLogger("rampgate.serve")
DEFAULT_NAME = "feature-gates"
LONGEST_DRAIN = 10
"""Seconds for requests under way once a signal came."""
LONGEST_HEAD = 80 * 1024
"""Bytes of a request's line and headers, beside those that came in one piece with its beginning."""
BACKLOG = 2048
EPILOG = """\
paths: POST /ofrep/v1/evaluate/flags/GATE and POST /ofrep/v1/evaluate/flags
  GET /readyz (there are rules), /healthz (and they are not stale), /metrics
the API key is sent as X-API-Key or as Authorization: Bearer; what is read with GET wants none
exit status: 0 stopped by a signal, 2 wrong usage, no rules to look for, no key in the key file, or the address is taken,
  3 the extra `server` is not installed
"""


class UsageError(Exception):
    """What was asked for cannot be tried; the message says why."""


def add_to(subcommands: Any) -> None:  # noqa: ANN401  # argparse's type is private
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "serve",
        help="answer OpenFeature clients over HTTP (OFREP)",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rules = parser.add_mutually_exclusive_group(required=True)
    rules.add_argument("--rules", type=Path, metavar="DIR", help="where the ConfigMap with the rules is mounted")
    rules.add_argument("--namespace", "-n", help="watch the ConfigMap of this namespace, with the pod's service account")
    rules.add_argument("--config-map", type=Path, metavar="FILE", help="the ConfigMap as `kubectl get configmap NAME -o json` prints it")
    parser.add_argument("--name", help=f"the ConfigMap's name, with --namespace (default: {DEFAULT_NAME})")
    parser.add_argument("--listen", default="127.0.0.1:8016", metavar="HOST:PORT", help="(default: %(default)s)")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="one key a line, any of them opens; read again when it changes")
    parser.add_argument("--cors-origin", action="append", default=[], metavar="ORIGIN", help="a web origin whose pages may ask; * for all")
    parser.add_argument("--wait", type=float, default=5.0, metavar="SECONDS", help="for the first rules (default: %(default)s)")
    parser.add_argument("--max-body", type=_count, default=LIMITS.body, metavar="BYTES", help="(default: %(default)s)")
    parser.add_argument("--max-context", type=_count, default=LIMITS.context, metavar="VALUES", help="(default: %(default)s)")
    parser.add_argument("--max-depth", type=_count, default=LIMITS.depth, metavar="LEVELS", help="of a context (default: %(default)s)")
    parser.add_argument("--max-bulk", type=_count, default=LIMITS.bulk, metavar="GATES", help="at once (default: %(default)s)")
    parser.set_defaults(run=run, extra="server")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; returns the exit status that EPILOG explains."""
    import uvicorn
    from prometheus_client import CollectorRegistry

    from rampgate.integrations.ofrep import ofrep_app
    from rampgate.integrations.prometheus import PrometheusMetrics

    logging.basicConfig(format="[%(asctime)s] [%(levelname)s] %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # its warnings are a line for every stranger who speaks no HTTP
    _at_a_signal(lambda: sys.exit(0))
    registry = CollectorRegistry()
    try:
        keys = None if arguments.api_key_file is None else KeyFile(arguments.api_key_file)
        listening = _listen(arguments.listen)
        gates = _gates(arguments, PrometheusMetrics(registry))
    except UsageError as error:
        sys.stderr.write(f"rampgate serve: {error}\n")
        return 2
    limits = Limits(body=arguments.max_body, context=arguments.max_context, depth=arguments.max_depth, bulk=arguments.max_bulk)
    with gates, listening:
        app = ofrep_app(gates, api_keys=keys, limits=limits, registry=registry, origins=arguments.cors_origin)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_bounded_http(),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=LONGEST_DRAIN,
            )
        )
        # uvicorn listens for signals once it runs, drains, and then raises what it heard anew, for whoever listened before: here, nobody
        _at_a_signal(lambda: setattr(server, "should_exit", True))
        _say_where(listening, is_open=keys is None)
        server.run(sockets=[listening])
    return 0


def _bounded_http() -> type[asyncio.Protocol]:
    """HTTP/1.1 by httptools, which reads a header without end until memory is full, and trailers too.

    Whoever sends more than `LONGEST_HEAD` with which neither a request begins nor a body goes on is not listened to any longer.
    """
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Bounded(HttpToolsProtocol):
        read = 0

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.read = 0

        def on_body(self, body: bytes) -> None:
            self.read = 0  # it has a limit of its own
            super().on_body(body)

        def data_received(self, data: bytes) -> None:
            self.read += len(data)
            super().data_received(data)
            if self.read > LONGEST_HEAD:
                self.transport.close()

    return Bounded


def _at_a_signal(stop: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


def _gates(arguments: argparse.Namespace, metrics: "Observer") -> Gates:
    if arguments.name is not None and arguments.namespace is None:
        raise UsageError("--name goes with --namespace")
    if arguments.namespace is not None:
        try:
            return Gates.from_cluster(arguments.namespace, arguments.name or DEFAULT_NAME, wait=arguments.wait, metrics=metrics)
        except ConfigurationError:
            raise UsageError("--namespace is for a pod, whose service account it uses; elsewhere give --rules or --config-map") from None
    if arguments.config_map is not None:
        if not arguments.config_map.is_file():
            raise UsageError(f"{arguments.config_map}: there is no such file")
        return Gates.from_file(arguments.config_map, wait=arguments.wait, metrics=metrics)
    if not arguments.rules.is_dir():
        raise UsageError(f"{arguments.rules}: there is no such directory")
    return Gates.from_directory(arguments.rules, wait=arguments.wait, metrics=metrics)


class KeyFile:
    """The API keys of a file. Raises UsageError when there is none to begin with.

    Later on, a file that cannot be read leaves the last keys in force, for it is being replaced; one without keys lets nobody in.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, ...] | None = None
        self._keys: tuple[str, ...] = ()
        self._trouble = Trouble("API keys")
        try:
            self._look()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: {getattr(error, 'strerror', None) or 'no UTF-8'}") from None
        if not self._keys:
            raise UsageError(f"{file}: wanted one API key a line, found none")

    def __call__(self) -> tuple[str, ...]:
        """Give the keys of this moment."""
        try:
            self._look()
        except (OSError, UnicodeDecodeError):  # said once: whoever asks need not have a key
            self._trouble.report(f"{self._file} cannot be read: the last ones stay")
        else:
            self._trouble.report("")
        return self._keys

    def _look(self) -> None:
        status = self._file.stat()
        seen = status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
        if seen != self._seen:
            lines = self._file.read_text(encoding="utf-8").splitlines()
            self._keys, self._seen = tuple(key for line in lines if (key := line.strip())), seen


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        return socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "wanted HOST:PORT"
        raise UsageError(f"cannot listen on {address}: {reason}") from None


def _say_where(listening: socket.socket, *, is_open: bool) -> None:
    host, port = listening.getsockname()[:2]
    logger.info("listening on http://%s:%s", f"[{host}]" if ":" in host else host, port)
    if is_open and not ip_address(host).is_loopback:
        logger.warning("EVERYBODY who reaches %s:%s may ask: give --api-key-file, or listen on 127.0.0.1", host, port)
