"""What makes a test a hard day: the fault, what must hold all the same, and the seconds until all is well again.

`tools/reliability.py` reads the words from the decorators, and the seconds from the last run with `--record-recovery`.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl

PROPERTY = "recovery"
LOOK_AGAIN = 0.25
HELD = {"ramp": {"steps": [{"percent": 10, "hold": "2s"}, {"percent": 50, "hold": "1h"}]}}
"""A ramp that would rise in two seconds, unless something holds it."""


def hard_day(*, fault: str, expected: str) -> pytest.MarkDecorator:
    """Mark a test: what goes wrong, and what must (not) happen then, as docs/reliability.md says it."""
    return pytest.mark.hard_day(fault=fault, expected=expected)


class Recovery:
    """Measures from the end of the fault to the state that is waited for: `with recovery: team.wait_for(…)`."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._record(PROPERTY, round(time.monotonic() - self._began, 2))


def holds(condition: Callable[[], bool], what: str, *, seconds: float) -> None:
    """Watch that something stays so; the history tells what happened between two looks."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"it is no longer so that {what}"
        time.sleep(LOOK_AGAIN)


def eventually(condition: Callable[[], bool], what: str, *, seconds: float) -> None:
    """Wait for something that may take long on a busy machine, without keeping it busy."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s it is still not so that {what}"
        time.sleep(LOOK_AGAIN)


def is_told(kubectl: Kubectl, team: Team, *words: str, name: str = "new-checkout") -> None:
    """Wait until `kubectl describe experiment` says all of this."""

    def described() -> str:
        return kubectl("describe", "experiment", name, "-n", team.namespace).stdout

    wait_until(lambda: all(word in said for said in [described()] for word in words), f"describe says {words}", described)


def percents(team: Team, name: str = "new-checkout") -> list[float]:
    """The percentages that were served, in order."""
    return team.percents(name)


def peak_memory(operator: Operator) -> int:
    """The most that the operator's process has taken so far, in KiB."""
    assert operator._process is not None
    pid = subprocess.run(["pgrep", "-P", str(operator._process.pid)], check=True, capture_output=True, text=True).stdout.split()[0]
    lines = (Path("/proc") / pid / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
