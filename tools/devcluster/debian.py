"""Programs from the distribution: which are missing, and how Debian and its relatives install them.

Knows apt-get and where the packages put things. Must not know what the programs are for.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

INSTALL_SECONDS = 600.0


class PackageError(Exception):
    """A program is missing and cannot be installed; the message says what to install."""


def missing(programs: Mapping[str, str]) -> list[str]:
    """The packages to install for `programs`, a name on the PATH or an absolute file to its package; each package once."""
    return sorted({package for program, package in programs.items() if find(program) is None})


def find(program: str) -> Path | None:
    """Where a program is: also in the folders of administrators, which a user's PATH may lack."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    return Path(found) if found else None


def can_install() -> bool:
    """Whether this process may install packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: list[str], report: Callable[[str], None]) -> None:
    """Install packages with apt-get, after saying so; raises PackageError with the end of its output."""
    if not packages:
        return
    if not can_install():
        raise PackageError(f"missing: {', '.join(packages)}; install them (Debian's names) or run as root where apt-get exists")
    report(f"apt-get install {' '.join(packages)}")
    for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
        _apt_get(arguments)


def _apt_get(arguments: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    if done.returncode:
        raise PackageError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
