"""Run one command that must not outlive a given process: `python child.py PARENT_PID REMOVE -- COMMAND…`.

Knows processes only, nothing of Kubernetes; imports the standard library only, so that it starts in milliseconds and from anywhere.

Why a process of its own: the kernel's parent-death signal fires when the *thread* that forked ends, which a pytest or asyncio caller
cannot promise to outlive, and a pipe held open by the parent leaks into everything the parent forks. A pidfd of the parent does neither.
The command itself gets the parent-death signal from this single-threaded process, so killing this one with SIGKILL takes it along too.
REMOVE is a folder to delete when the parent vanished without stopping us ("" for none): nobody else is left to do it.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from types import FrameType

GRACE_SECONDS = 5.0
ORPHAN_GRACE_SECONDS = 1.0  # with nobody left to read what it would save, a server only gets in the way of the next one
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Start the command, wait until it ends, SIGTERM comes or the parent is gone; returns the command's exit status."""
    parent, remove, separator, *command = arguments
    if separator != "--" or not command:
        raise SystemExit("usage: child.py PARENT_PID REMOVE -- COMMAND…")
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, _ignore)
    parent_gone = _watch_parent(int(parent))
    process = subprocess.Popen(command, process_group=0, preexec_fn=_die_with_me)  # noqa: PLW1509 -- this process has one thread
    ended = os.pidfd_open(process.pid)
    ready, _, _ = select.select([parent_gone, ended, woken], [], [])
    if ended not in ready:
        _stop(process, ended, ORPHAN_GRACE_SECONDS if parent_gone in ready else GRACE_SECONDS)
    if parent_gone in ready and remove:
        shutil.rmtree(remove, ignore_errors=True)
    return _exit_status(process.wait())


def _watch_parent(pid: int) -> int:
    """A descriptor that becomes readable when the parent ends."""
    watch = os.pidfd_open(pid)
    if os.getppid() != pid:  # it ended before the watch began, and its number may already be somebody else's
        raise SystemExit("the parent is gone")
    return watch


def _die_with_me() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop(process: "subprocess.Popen[bytes]", ended: int, grace: float) -> None:
    """SIGTERM to the whole group, SIGKILL after `grace` seconds."""
    os.killpg(process.pid, signal.SIGTERM)
    if not select.select([ended], [], [], grace)[0]:
        os.killpg(process.pid, signal.SIGKILL)


def _exit_status(returncode: int) -> int:
    """The shell's convention: 128 + N for a command that signal N ended."""
    return 128 - returncode if returncode < 0 else returncode


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor has what the loop needs; a handler must exist for it to be written."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
