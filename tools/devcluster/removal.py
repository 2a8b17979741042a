"""What a node leaves on the machine when it is killed, and how that is removed.

Knows the places of places.py and how the node's processes are told from others. Works without any part of the node: they may all be dead.
"""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

from tools.devcluster import cgroups
from tools.devcluster.places import DATA, LINK, RUN

FIRST_PROCESS = f"init.py {RUN} {DATA}"
"""How the command lines of enclosure.py's first process, and of those that watch over it, end; from whatever checkout."""
CONFIGURED = f"={DATA}/"
"""How those of the parts mention their configurations."""
END_SECONDS = 20.0
POLL_SECONDS = 0.05


class RemovalError(Exception):
    """Something of a node stays; the message lists it."""


def leftovers() -> list[str]:
    """What of a node is on this machine: processes, mounts, the link, cgroups, folders. Empty is clean; a running node has some of each."""
    processes = [f"process {pid}: {line}" for pid, line in _processes().items()]
    link = [f"interface {LINK}"] if _link_exists() else []
    mounts = [f"mount {line.split()[4]}" for line in Path("/proc/self/mountinfo").read_text().splitlines() if RUN.name in line]
    groups = [f"cgroup {path}" for path in cgroups.present()]
    return [*processes, *link, *mounts, *groups, *(f"folder {path}" for path in (RUN, DATA) if path.exists())]


def is_under_way() -> bool:
    """Whether folders alone are left of a node, which somebody removes just now: processes and the link are gone before."""
    return not _processes() and not _link_exists() and any(folder.exists() for folder in (RUN, DATA))


def remove() -> None:
    """End and remove whatever a node left; raises RemovalError when something stays. Never while a node is wanted."""
    for pid, line in _processes().items():
        if FIRST_PROCESS in line:  # with the first process go all others, and with them mounts and interfaces
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + END_SECONDS
    while (_processes() or _link_exists()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    cgroups.remove()
    for folder in (RUN, DATA):
        shutil.rmtree(folder, ignore_errors=True)
    if left := leftovers():
        raise RemovalError("a node is not removed completely:\n  " + "\n  ".join(left))


def _link_exists() -> bool:
    return Path("/sys/class/net", LINK).exists()


def _processes() -> dict[int, str]:
    """Processes of the node by what their command lines mention: all but those of pods, which cannot outlive them."""
    lines = {int(entry.name): _command_line(entry) for entry in Path("/proc").glob("[0-9]*")}
    return {pid: line for pid, line in lines.items() if pid != os.getpid() and any(mark in line for mark in (FIRST_PROCESS, CONFIGURED))}


def _command_line(process: Path) -> str:
    with suppress(OSError):  # it ended while we looked
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""
