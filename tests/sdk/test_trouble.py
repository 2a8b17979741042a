"""rampgate.trouble: what is wrong is told to the application's log, whatever that does."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rampgate import Gates, Reason
from rampgate.rules import render_entry
from rampgate.trouble import Trouble
from tests.sdk.entries import entry
from tests.sdk.waiting import eventually


class Broken(logging.Handler):
    """A handler of the application's whose store is away, and that lets the log's callers know."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the log's store is away")


@pytest.fixture
def broken_log() -> Iterator[None]:
    logger, handler = logging.getLogger("rampgate"), Broken()
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.usefixtures("broken_log")
def test_a_log_that_raises_keeps_no_kill_from_a_process(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("rampgate.dev/1")
    (tmp_path / "g.json").write_text(render_entry(entry(ship="treatment")))
    with Gates.from_directory(tmp_path, wait=20) as gates:
        (tmp_path / "h.json").write_text("{")  # which is worth a line
        assert eventually(lambda: "h" in gates.names())
        (tmp_path / "kill").write_text("g")
        assert eventually(lambda: gates.decide("g").reason is Reason.KILLED)


@pytest.mark.usefixtures("broken_log")
def test_a_log_that_raises_keeps_no_application_from_starting(tmp_path: Path) -> None:
    with Gates.from_directory(tmp_path / "nowhere", wait=0) as gates:
        assert gates.decide("g").reason is Reason.ERROR


def test_a_problem_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble("rules")
    with caplog.at_level(logging.INFO, logger="rampgate"):
        for problem in ("", "away", "away", "gone", "", ""):
            trouble.report(problem)
    assert caplog.messages == ["rules: away", "rules: gone", "rules: well again"]
