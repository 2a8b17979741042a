"""One server process: started under child.py's watch, waited for, stopped.

Knows nothing of what it runs. Whoever uses it says by a probe what "ready" means.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.devcluster.child import GRACE_SECONDS

CHILD = Path(__file__).with_name("child.py")
POLL_SECONDS = 0.05
LOG_TAIL_LINES = 15


class ServerError(Exception):
    """A server ended or did not become ready in time; the message carries the end of its log."""


def supervised(command: Sequence[str | Path], *, remove: Path | None = None) -> list[str]:
    """The command line that runs `command` so that it cannot outlive this process; then `remove` is deleted too."""
    return [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), str(remove or ""), "--", *map(str, command)]


class Server:
    """A command with a log file that can be started and stopped any number of times, and that ends with this process at the latest."""

    def __init__(self, name: str, command: Sequence[str | Path], *, log: Path, remove: Path | None = None) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._remove = remove
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there; says nothing about readiness."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process that watches over it, and takes it along however it ends; None when it is stopped."""
        return self._process.pid if self._process else None

    def start(self, is_ready: Callable[[], bool], *, timeout: float = 60.0) -> None:
        """Start it and return once `is_ready` says so; raises ServerError when it ends first or `timeout` seconds pass."""
        if self.running:
            return
        self.begin()
        self.wait(is_ready, timeout=timeout)

    def begin(self) -> None:
        """Start it without waiting, for what takes long and may be started beside others; `wait` comes later."""
        with self.log.open("ab") as log:
            # No proxy of the environment: servers speak with each other alone, and never outside this machine.
            # A session of its own: Ctrl-C in a terminal reaches only us, and we stop the servers in order.
            self._process = subprocess.Popen(
                supervised(self._command, remove=self._remove),
                env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, is_ready: Callable[[], bool], *, timeout: float = 60.0) -> None:
        """Return once `is_ready` says so; raises ServerError when it ends first or `timeout` seconds pass, and stops it then."""
        try:
            self._wait_until(is_ready, timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it and wait until it is gone; nothing happens when it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(GRACE_SECONDS * 2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait_until(self, is_ready: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not is_ready():
            if not self.running:
                raise ServerError(f"{self.name} ended before it was ready:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} was not ready within {timeout:.0f} s:\n{self._log_tail()}")
            time.sleep(POLL_SECONDS)

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
