"""What is known of a detached cluster from outside: a lock file that says whether it lives, and a state file that says where.

Knows files only. The lock is the truth: the kernel drops it whenever and however the keeper ends, so no stale number is ever trusted.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.devcluster.binaries import cache_directory


class AlreadyRunningError(Exception):
    """Another keeper holds this directory."""


@dataclass(frozen=True)
class State:
    """Where a running cluster is reached."""

    api_server: str
    ca_file: str
    kubeconfigs: dict[str, str]
    prometheus: str | None
    prometheus_targets: str | None
    node: str | None
    """The name of the node that runs pods; None = a control plane alone."""


def default_directory() -> Path:
    """Where `up` keeps the cluster nobody named."""
    return cache_directory() / "devcluster" / "default"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Be the keeper of a directory for the length of the block; raises AlreadyRunningError when somebody is."""
    directory.mkdir(parents=True, exist_ok=True)
    with _lock_file(directory).open("a+") as lock:
        if not _try_lock(lock.fileno(), fcntl.LOCK_EX):
            raise AlreadyRunningError(f"a cluster already runs in {directory}")
        _state_file(directory).unlink(missing_ok=True)  # a killed keeper's must not pass for ours
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            _state_file(directory).unlink(missing_ok=True)


def keeper(directory: Path) -> int | None:
    """The process id of the keeper of a directory, None when nothing runs there."""
    try:
        with _lock_file(directory).open() as lock:
            return None if _try_lock(lock.fileno(), fcntl.LOCK_SH) else int(lock.read() or 0) or None
    except FileNotFoundError:
        return None


def write(directory: Path, state: State) -> None:
    """Publish a state in one step: whoever reads sees all of it or none."""
    partial = _state_file(directory).with_suffix(".partial")
    partial.write_text(json.dumps(asdict(state), indent=2) + "\n")
    partial.rename(_state_file(directory))


def read(directory: Path) -> State | None:
    """The state of a running cluster; None while it starts and when none runs."""
    if keeper(directory) is None:
        return None
    try:
        return State(**json.loads(_state_file(directory).read_text()))
    except FileNotFoundError:
        return None


def _lock_file(directory: Path) -> Path:
    return directory / "keeper.lock"


def _state_file(directory: Path) -> Path:
    return directory / "state.json"


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
