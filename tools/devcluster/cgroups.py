"""The node's cgroups: made before the kubelet starts, removed when nothing runs in them any more.

Knows both layouts: one hierarchy per controller (v1, hybrid) and a single one (v2).
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from tools.devcluster.places import CGROUP, CGROUPS

REMOVE_SECONDS = 10.0
POLL_SECONDS = 0.05


def writable() -> bool:
    """Whether cgroups can be made here."""
    return bool(_hierarchies()) and all(os.access(hierarchy, os.W_OK) for hierarchy in _hierarchies())


def make() -> None:
    """Make the node's cgroup in every hierarchy; the kubelet makes those of pods below it. Raises OSError where that is refused."""
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)


def present() -> list[Path]:
    """The node's cgroups that are there."""
    return [cgroup for hierarchy in _hierarchies() if (cgroup := hierarchy / CGROUP).is_dir()]


def remove() -> None:
    """Remove them with all below; waits for ended processes to leave, at most REMOVE_SECONDS."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while (found := present()) and time.monotonic() < deadline:
        for cgroup in found:
            _remove(cgroup)
        time.sleep(POLL_SECONDS)


def _hierarchies() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()] if CGROUPS.is_dir() else []


def _remove(cgroup: Path) -> None:
    """Deepest first; the files of a cgroup go with it."""
    for path in sorted((path for path in cgroup.rglob("*/") if path.is_dir()), key=lambda path: -len(path.parts)):
        with suppress(OSError):  # busy: its processes are still ending
            path.rmdir()
    with suppress(OSError):
        cgroup.rmdir()
