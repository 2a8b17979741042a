"""The namespaces that a node lives in: mounts, network and processes of its own.

Knows unshare, nsenter and the cable to the host. Must not know what runs inside.
A node is removed by ending its first process: no list of mounts, interfaces and chains could be as complete as the kernel's.
"""

import subprocess
import sys
from pathlib import Path
from typing import Self

from tools.devcluster.places import DATA, HOST_ADDRESS, LINK, LINK_PREFIX, NODE_ADDRESS, POD_RANGE, RUN, SERVICE_RANGE, UPLINK
from tools.devcluster.server import Server, ServerError

INIT = Path(__file__).with_name("init.py")
PID_FILE = RUN / "init.pid"
UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child")


def refusal() -> str | None:
    """What the kernel says when it is asked for such namespaces and a mount in them; None when it grants them."""
    done = subprocess.run([*UNSHARE, "--", "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, text=True, check=False)
    return done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else None


class Enclosure:
    """An empty node: namespaces with a first process, and a cable to the host.

    Ends with this process at the latest; when that vanished, `remove` is deleted too.
    """

    def __init__(self, *, log: Path, remove: Path | None) -> None:
        self._init = Server("init", [*UNSHARE, "--", sys.executable, "-I", "-S", INIT, RUN, DATA], log=log, remove=remove)

    def start(self) -> Self:
        """Make it and plug the cable in; raises ServerError when namespaces, mounts or interfaces are refused."""
        for folder in (RUN, DATA):
            folder.mkdir(parents=True, exist_ok=True)
        self._init.start(PID_FILE.exists)
        try:
            self._connect()
        except BaseException:
            self.stop()
            raise
        return self

    def inside(self, command: list[str | Path]) -> list[str | Path]:
        """The command line that runs `command` in the node."""
        return ["nsenter", f"--target={self._pid}", "--mount", "--net", "--pid", "--", *command]

    def stop(self) -> None:
        """End it with all that runs in it."""
        self._init.stop()
        PID_FILE.unlink(missing_ok=True)

    @property
    def _pid(self) -> int:
        return int(PID_FILE.read_text())

    def _connect(self) -> None:
        """Host and pods reach each other by routes: no address translation, and the host does not become a router."""
        _ip("link", "add", LINK, "type", "veth", "peer", "name", UPLINK, "netns", str(self._pid))
        _ip("address", "add", f"{HOST_ADDRESS}/{LINK_PREFIX}", "dev", LINK)
        _ip("link", "set", LINK, "up")
        self._ip_inside("link", "set", "lo", "up")
        self._ip_inside("address", "add", f"{NODE_ADDRESS}/{LINK_PREFIX}", "dev", UPLINK)
        self._ip_inside("link", "set", UPLINK, "up")
        self._ip_inside("route", "add", "default", "via", HOST_ADDRESS)
        for addresses in (POD_RANGE, SERVICE_RANGE):
            _ip("route", "add", addresses, "via", NODE_ADDRESS)

    def _ip_inside(self, *arguments: str) -> None:
        _run(self.inside(["ip", *arguments]))


def _ip(*arguments: str) -> None:
    _run(["ip", *arguments])


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"`{' '.join(map(str, command))}` failed: {done.stderr.strip()}")
