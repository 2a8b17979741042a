"""The log: one JSON object a line, or a line for a person."""

import json
import logging
from collections.abc import Iterator

import pytest

from rampgate_operator.logs import configure_logs

logger = logging.getLogger("rampgate_operator.a_module_with_a_long_name")


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """Logging is as before after each test."""
    before, level, kopf = logging.root.handlers[:], logging.root.level, logging.getLogger("kopf").level
    logging.root.handlers = []
    yield
    logging.root.handlers = before
    logging.root.setLevel(level)
    logging.getLogger("kopf").setLevel(kopf)


def test_a_line_in_json_has_time_severity_logger_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True, level="INFO")
    logger.warning("%s things", 3)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp")
    assert line == {"severity": "warn", "logger": logger.name, "message": "3 things"}


def test_a_line_about_an_experiment_has_its_namespace_name_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True, level="INFO")
    logger.info("shop/new: Killed: so", extra={"namespace": "shop", "experiment": "new", "reason": "Killed"})
    line = json.loads(capsys.readouterr().err)
    assert {"namespace": "shop", "name": "new", "reason": "Killed", "logger": logger.name}.items() <= line.items()


def test_a_traceback_stays_within_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True, level="INFO")
    try:
        raise ValueError("bug")
    except ValueError:
        logger.critical("ends", exc_info=True)
    line = json.loads(capsys.readouterr().err)
    assert line["severity"] == "fatal"
    assert "ValueError: bug" in line["exc_info"]


def test_a_line_for_a_person_names_the_whole_logger(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=False, level="INFO")
    logger.info("ready")
    assert capsys.readouterr().err.endswith(f"[INFO] {logger.name}: ready\n")


@pytest.mark.parametrize(
    ("name", "level", "text", "is_shown"),
    [
        ("kopf.activities.authentication", logging.INFO, "Activity 'login' succeeded.", False),
        ("kopf._core.engines.activities", logging.INFO, "Initial authentication has finished.", False),
        ("kopf.objects", logging.INFO, "Handler 'x' succeeded.", False),
        ("kopf._cogs.clients.watching", logging.ERROR, "Request attempt #1 failed: GET https://c/apis/x -> APIForbiddenError()", False),
        (
            "kopf._cogs.clients.watching",
            logging.ERROR,
            "Request attempt #1 failed: GET https://c/x?watch=true -> APIForbiddenError()",
            True,
        ),
        ("kopf._cogs.clients.watching", logging.ERROR, "Request attempt #1 failed: GET https://c/apis/x -> ClientConnectorError()", True),
    ],
)
def test_of_kopf_only_what_says_something_is_shown(
    name: str, level: int, text: str, is_shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(as_json=False, level="INFO")
    logging.getLogger(name).log(level, text)
    assert bool(capsys.readouterr().err) == is_shown
