"""A dispersion that is measured, with a real Prometheus that has scraped the shop: it holds the first step, and outlives a crash."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rampgate_operator.core.dispersion import WINDOWS
from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, wait_until
from tests.apiserver.test_counted import COUNTED, GATE, RAMP, orders
from tests.apiserver.test_presets import requests
from tools.devcluster.prometheus import Prometheus

MEASURED: dict[str, Any] = {**COUNTED, "dispersion": {"measuredOver": "5m"}}
PRESET: dict[str, Any] = {"name": "orders", "errorRate": {"per": "Request"}, "maxIncrease": "10%", "dispersion": {"measuredOver": "5m"}}
EVERY, MINUTES = 5, 8
"""Seconds between two scrapes of the past, which fills every window of ten; and how long it is."""


@contextmanager
def past(prometheus: Prometheus, namespace: str) -> Iterator[None]:
    """A pod of the baseline that has served for minutes: in every other stretch of 20 s, none or forty in a hundred orders failed."""
    now, baseline = round(time.time()), {"gate": GATE, "variant": "baseline"}
    total, failed, totals, events = 0, 0, {}, {}
    for at in range(now - 60 * MINUTES, now, EVERY):
        total, failed = total + 100, failed + (40 if at // 20 % 2 else 0)
        totals[1000 * at], events[1000 * at] = float(total), float(failed)
    with Exporter(prometheus, job=f"{namespace}-past", namespace=namespace) as pod:
        pod.lived("orders_total", totals, **baseline)
        pod.lived("orders_failed_total", events, **baseline)
        pod.lived("rampgate_requests_total", {at: totals[at] - events[at] for at in totals}, **baseline, outcome="ok")
        pod.lived("rampgate_requests_total", events, **baseline, outcome="error")
        yield


@contextmanager
def serving(team: Team, shop: Exporter) -> Iterator[None]:
    """Serve every arm, none worse, as is counted by a team and by the SDK."""
    with orders(shop, baseline=50, control=50, treatment=50), requests(team, shop):
        yield


def test_until_it_is_measured_no_step_begins_and_the_status_says_how_far_it_is(team: Team, shop: Exporter) -> None:
    with orders(shop, baseline=10):
        team.apply(changes={"guardrails": [MEASURED], "ramp": RAMP})
        wait_until(lambda: f"of {WINDOWS} windows have requests" in str(team.status().get("guardrails")), "it says so", team.status)
        wait_until(lambda: progressing(team) == ("True", "MeasuringDispersion"), "and that nothing is wrong", team.status)
        status = team.status()
        assert (status["phase"], status["percent"], status["waitingFor"]) == ("Pending", 0, "Metrics")
        team.patch({"guardrails": [COUNTED]})
        team.wait_for_step(1)


def progressing(team: Team) -> tuple[str, str]:
    """Status and reason of that condition: on a busy machine a look may be due, and then it is that."""
    found = next(each for each in team.status()["conditions"] if each["type"] == "Progressing")
    return found["status"], found["reason"]


@pytest.mark.parametrize("guardrail", [MEASURED, PRESET], ids=["counters, asked alone", "the SDK's, asked together"])
def test_it_is_measured_by_what_prometheus_holds_and_outlives_a_crash(
    guardrail: dict[str, Any], operator: Operator, team: Team, shop: Exporter, prometheus: Prometheus, namespace: str
) -> None:
    with past(prometheus, namespace), serving(team, shop):
        team.apply(changes={"guardrails": [guardrail], "ramp": RAMP})
        team.wait_for_step(1)
        status = team.status()
        (found,) = status["dispersions"]
        assert (found["guardrail"], found["digest"], found["windows"]) == ("orders", status["guardrails"][0]["digest"], WINDOWS)
        assert found["factor"] > 10
        operator.kill()
        operator.start()
        status = team.wait_for(percent=50)
    assert status["dispersions"] == [found]
    assert f"dispersion {found['factor']:.3g}" in status["guardrails"][0]["message"]
