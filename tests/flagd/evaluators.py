"""flagd's own evaluators, each in an environment of its own, built once into the cache from what is pinned beside this file.

Knows pip, npm and the two small programs that ask an evaluator. What is asked is the tests'.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rampgate.bucketing import HashInput
from tools.devcluster.binaries import cache_directory

PINNED = Path(__file__).parent / "pinned"
Question = tuple[str, dict[str, Any]]
"""A gate and a context."""


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """One of flagd's evaluators. `hash_input` is what it hashes like; None for one of a generation that agrees with neither."""

    name: str
    pins: str
    hash_input: HashInput | None
    arguments: tuple[str, ...] = ()
    """Of the JavaScript program; none for Python's."""

    def __str__(self) -> str:
        return self.name

    @property
    def missing(self) -> str:
        """Why it cannot run here; empty when it can."""
        return "npm is not installed" if self.arguments and shutil.which("npm") is None else ""

    @contextmanager
    def running(self) -> Iterator["Asked"]:
        """Build it unless it is there, and run it."""
        folder = build(self.pins)
        python = [folder / "bin/python", PINNED / "evaluate.py"]
        command = ["node", PINNED / "evaluate.mjs", folder, *self.arguments] if self.arguments else python
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
            yield Asked(process)
            assert process.stdin is not None
            process.stdin.close()


class Asked:
    """An evaluator that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, document: str, asked: Sequence[Question]) -> list[list[Any]]:
        """Give variant and value for each question; the variant is an error's words when there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"document": document, "asked": asked}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())  # type: ignore[no-any-return]


EVALUATORS = (
    Evaluator(name="Python 1.0.0", pins="flagd_core_1.txt", hash_input=HashInput.UTF8),
    Evaluator(name="Python 2.0.0", pins="flagd_core_2.txt", hash_input=HashInput.CBOR),
    Evaluator(name="JavaScript 4.0.1", pins="package-lock.json", hash_input=HashInput.UTF8, arguments=("@openfeature/flagd-core",)),
    Evaluator(
        name="JavaScript 4.0.1, interpreted",
        pins="package-lock.json",
        hash_input=HashInput.UTF8,
        arguments=("@openfeature/flagd-core", "interpreted"),
    ),
)
JAVASCRIPT_1 = Evaluator(name="JavaScript 1.3.0", pins="package-lock.json", hash_input=None, arguments=("flagd-core-1",))


def build(pins: str) -> Path:
    """Give the folder of an environment; builds it first when nobody has."""
    pinned = (PINNED / pins).read_bytes() + sys.version.encode()
    folder = cache_directory() / "flagd" / f"{Path(pins).stem}-{hashlib.sha256(pinned).hexdigest()[:16]}"
    finished = folder / "finished"
    with _lock(folder.with_suffix(".lock")):
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            (_build_npm if pins.endswith(".json") else _build_venv)(folder, PINNED / pins)
            finished.touch()
    return folder


def _build_venv(folder: Path, pins: Path) -> None:
    _run([sys.executable, "-m", "venv", folder])
    _run([folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", pins])


def _build_npm(folder: Path, pins: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("package.json", pins.name):
        shutil.copy(PINNED / name, folder)
    _run(["npm", "ci", "--no-audit", "--no-fund", "--prefix", folder])


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
