"""Free ports on the loopback interface, and the one question asked of a server there: does this path answer 200?

Knows sockets and HTTP, not what listens.
"""

import secrets
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path

HOST = "127.0.0.1"
# Below the kernel's ephemeral range (from 32768): a port we gave back for a while (a stopped API server) is not taken by somebody's
# outgoing connection, and two clusters that start together hardly ever draw the same one.
FIRST_PORT, PORTS = 20_000, 10_000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now; raises OSError when a hundred draws were all taken."""
    for _ in range(100):
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port between {FIRST_PORT} and {FIRST_PORT + PORTS}")


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
