"""Free ports on the loopback interface, and the one question asked of a server there: does this path answer 200?

Knows sockets and HTTP, not what listens.
"""

import fcntl
import os
import secrets
import socket
import ssl
import tempfile
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

HOST = "127.0.0.1"
# Below the kernel's ephemeral range (from 32768): a port we gave back for a while (a stopped API server) is not taken by somebody's
# outgoing connection.
FIRST_PORT, PORTS = 20_000, 10_000
CLAIMS = Path(tempfile.gettempdir()) / f"rampgate-ports-{os.getuid()}"
"""A byte for each port: who locks it was given the port, and has it to the end of its process, whether something listens there or not."""
_ours: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, given to no other process of this user while this one lives.

    Raises OSError when a hundred draws were all taken.
    """
    for _ in range(100):
        port = FIRST_PORT + secrets.randbelow(PORTS)
        if port not in _ours and _is_free(port) and _claim(port):
            _ours.add(port)
            return port
    raise OSError(f"no free port between {FIRST_PORT} and {FIRST_PORT + PORTS}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Whether nobody else was given it: a server listens seconds after its port was drawn, and a stopped one not at all for a while."""
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


@cache
def _claims() -> int:
    """The file, never closed: that would give up all that was claimed."""
    return os.open(CLAIMS, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def answers(url: str, *, ca_file: Path | None = None, token: str | None = None, timeout: float = 2.0) -> bool:
    """Whether GET `url` gives status 200 within `timeout` seconds; never raises for what a starting server does."""
    try:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
        with _opener(ca_file).open(request, timeout=timeout) as response:
            return bool(response.status == 200)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _opener(ca_file: Path | None) -> urllib.request.OpenerDirector:
    """No proxy from the environment: loopback is never behind one."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if ca_file is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca_file))))
    return urllib.request.build_opener(*handlers)
