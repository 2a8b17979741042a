"""Hard days: the stopwatch of each test, and what it is written to when that is asked for."""

import json
import os
import platform
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.apiserver.conftest import operator, shop, team, turnstile
from tests.harddays.day import PROPERTY, Recovery

__all__ = ["operator", "shop", "team", "turnstile"]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "harddays.json"
OPTION = "--record-recovery"
measured: dict[str, float] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="write the seconds of recovery to benchmarks/results/harddays.json")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "hard_day(fault, expected): a line of docs/reliability.md")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called where the results come together, also when several processes share the tests."""
    if report.when == "call" and report.passed:
        seconds = [float(str(value)) for name, value in report.user_properties if name == PROPERTY]
        file, _, test = report.nodeid.partition("::")
        measured.update({f"{Path(file).name}::{test}": max(seconds)} if seconds else {})


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption(OPTION, default=False) and not hasattr(session.config, "workerinput") and measured:
        known = json.loads(RESULTS.read_text())["figures"] if RESULTS.exists() else {}
        machine = f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
        document = {"machine": machine, "date": date.today().isoformat(), "figures": dict(sorted({**known, **measured}.items()))}
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")


@pytest.fixture
def recovery(record_property: Callable[[str, object], None]) -> Recovery:
    """`with recovery: …` measures from the end of the fault to the state that is waited for; the longest of a test counts."""
    return Recovery(record_property)
