"""Build the devcluster's binaries into the cache, once per version, in whatever order and number processes ask for them.

Knows `go build`, the lock and the rename that make it safe. What is built from what is binaries.py's.
"""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.devcluster.binaries import Binary, cache_directory, locate
from tools.devcluster.golang import find_go, go_environment
from tools.devcluster.server import supervised

PROGRESS_SECONDS = 15.0
LOG_TAIL_LINES = 20
Report = Callable[[str], None]


class BuildError(Exception):
    """go build failed; the message carries the end of its output."""


def ensure(binary: Binary, report: Report) -> Path:
    """The program's path; builds it first when nobody has. `report` gets lines of progress.

    Raises BuildError or GoError. A build that is killed leaves nothing that a later one could take for finished.
    """
    if found := locate(binary.name):
        return found
    with _lock(report):
        # Whoever held the lock before us may have built it.
        return locate(binary.name) or _build(binary, report)


def _build(binary: Binary, report: Report) -> Path:
    go = find_go(binary.source, report)
    partial = binary.directory.with_name(f"{binary.directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    started = time.monotonic()
    _run([go, "build", *binary.flags, "-o", partial / binary.name, binary.package], binary, report)
    shutil.rmtree(binary.directory, ignore_errors=True)
    partial.rename(binary.directory)
    report(f"built {binary.name} {binary.version} in {time.monotonic() - started:.0f} s")
    return binary.directory / binary.name


def _run(command: list[str | Path], binary: Binary, report: Report) -> None:
    """Run go build under watch, so that no compiler outlives us, and report the seconds while it works."""
    log = binary.directory.with_name(f"{binary.directory.name}.log")
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            supervised(command), cwd=binary.source, env=go_environment(), stdout=output, stderr=output, start_new_session=True
        )
        try:
            while process.poll() is None:
                report(
                    f"building {binary.name} {binary.version} ({binary.first_build} the first time) … {time.monotonic() - started:.0f} s"
                )
                _wait(process, PROGRESS_SECONDS)
        finally:
            process.terminate()
            process.wait()
    if process.returncode:
        tail = "\n".join(log.read_text().splitlines()[-LOG_TAIL_LINES:])
        raise BuildError(f"building {binary.name} {binary.version} failed ({log}):\n{tail}")
    log.unlink()


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


@contextmanager
def _lock(report: Report) -> Iterator[None]:
    """One build at a time on this machine: two at once would compile the same packages twice, and share Go's installation."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that builds")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
