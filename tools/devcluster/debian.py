"""Programs from the distribution: which are missing, and how Debian and its relatives install them.

Knows apt-get and where the packages put things. Must not know what the programs are for.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

INSTALL_SECONDS = 600.0


class PackageError(Exception):
    """A program is missing and cannot be installed; the message says what to install."""


def missing(programs: Mapping[str, str]) -> list[str]:
    """The packages to install for `programs`, each a name on the PATH or an absolute file, and its package; each package once."""
    return sorted({package for program, package in programs.items() if shutil.which(program) is None})


def can_install() -> bool:
    """Whether this process may install packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(programs: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Install what is missing with apt-get, after saying so; raises PackageError with the end of its output."""
    packages = missing(programs)
    if not packages:
        return
    if not can_install():
        raise PackageError(f"missing: {', '.join(packages)}; install them (Debian's names) or run as root where apt-get exists")
    report(f"apt-get install {' '.join(packages)}")
    _apt_get("update", "-q")
    _apt_get("install", "-q", "-y", "--no-install-recommends", *packages)
    if lost := missing(programs):
        raise PackageError(f"installed, but not found: {', '.join(lost)}; is /usr/sbin in the PATH?")


def _apt_get(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    if done.returncode:
        raise PackageError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
