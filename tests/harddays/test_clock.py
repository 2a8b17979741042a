"""The operator's clock is stepped by an hour, there and back: it neither skips a hold nor rolls back by a time that was never."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team
from tests.conftest import Kubectl
from tests.harddays.day import Recovery, hard_day, holds, is_told, percents
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

HOUR = 3600
HOLD = 8.0
"""Seconds of the first step, which a fault must begin in; it is watched for longer."""
RAMP = {"ramp": {"steps": [{"percent": 10, "hold": f"{HOLD:g}s"}, {"percent": 30, "hold": "4s"}, {"percent": 50, "hold": "1h"}]}}
Step = Callable[[float], None]


@pytest.fixture
def step_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Step:
    """Set how far the operator's clock is off, in seconds."""
    offset = tmp_path / "offset"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "clock"), prepend=":")
    monkeypatch.setenv("RAMPGATE_TEST_CLOCK", str(offset))

    def step(seconds: float) -> None:
        partial = offset.with_suffix(".partial")
        partial.write_text(str(seconds))
        partial.rename(offset)

    step(0)
    return step


@pytest.fixture
def timed(step_clock: Step, cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Team]:
    """A team whose operator's clock can be stepped."""
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log"):
        yield Team(cluster, namespace)


@pytest.mark.parametrize("hours", [1, -1])
@hard_day(
    fault="the operator's clock stepped an hour forward or back, and set right again",
    expected="no step while its readings are not of its time, no rollback, and afterwards one step after the other",
)
def test_a_clock_that_is_stepped_skips_no_step(
    hours: int, timed: Team, step_clock: Step, shop: Exporter, recovery: Recovery, kubectl: Kubectl
) -> None:
    timed.apply(changes=RAMP)
    timed.wait_for(percent=10)
    step_clock(hours * HOUR)
    timed.wait_for(waitingFor="Metrics")
    is_told(kubectl, timed, "no data", "no step without a reading")
    holds(lambda: (timed.status()["percent"], timed.status()["phase"]) == (10, "Ramping"), "it holds at 10 %", seconds=HOLD + 1)
    step_clock(0)
    with recovery:
        timed.wait_for_step(30)
    timed.wait_for(percent=50)
    assert percents(timed) == [10, 30, 50]
