"""How these tests see processes they did not start: by what their command lines mention."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.devcluster.server import POLL_SECONDS


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text().replace("\0", " ")
    except OSError:  # it ended while we looked
        return ""


def mentioning(text: str) -> dict[int, str]:
    return {int(process.name): line for process in Path("/proc").glob("[0-9]*") if text in (line := _command_line(process))}


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(condition: Callable[[], bool], sentence: str, *, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {sentence}"
            time.sleep(POLL_SECONDS)

    return wait


@pytest.fixture
def processes() -> Callable[[str], dict[int, str]]:
    return mentioning
