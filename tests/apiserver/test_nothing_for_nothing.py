"""What an Experiment costs while nothing happens, counted at the API server and Prometheus; its slow habits are made fast."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.adapters.exporter import Exporter
from tests.apiserver.team import PATIENCE, Operator, Team, wait_until
from tests.apiserver.turnstile import Turnstile, Write
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

SPEED = 30
"""What takes five minutes, the checkpoint of readings and the list of everything, takes ten seconds here."""
FAST = f"""
import sys
from datetime import timedelta
from rampgate_operator.__main__ import main
from rampgate_operator.core import checkpoint
checkpoint.LONGEST_SILENCE /= {SPEED}
sys.exit(main())
"""
FIVE_MINUTES, TEN_MINUTES = 300 / SPEED, 600 / SPEED


@pytest.fixture
def fast(cluster: Cluster, prometheus: Prometheus, namespace: str, turnstile: Turnstile, tmp_path: Path) -> Iterator[Team]:
    """A team whose operator lives fast."""
    del turnstile
    config = tmp_path / "operator.yaml"
    config.write_text(f"resync: {300 // SPEED}s")
    options, program = ["--config", str(config)], [sys.executable, "-c", FAST]
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", options=options, program=program):
        yield Team(cluster, namespace)


def queries(prometheus: Prometheus) -> float:
    """How many queries Prometheus has answered."""
    families = text_string_to_metric_families(requests.get(f"{prometheus.url}/metrics", timeout=5).text)
    samples = (sample for family in families for sample in family.samples)
    wanted = (each.value for each in samples if each.name == "prometheus_http_requests_total" and each.labels["handler"] == "/api/v1/query")
    return sum(wanted)


def when_quiet(turnstile: Turnstile, prometheus: Prometheus) -> tuple[int, float]:
    """Wait until nothing was written or asked for three seconds, and give what was until then."""
    deadline, seen, since = time.monotonic() + PATIENCE, (-1, -1.0), time.monotonic()
    while time.monotonic() - since < 3:
        assert time.monotonic() < deadline, f"it never gets quiet: {turnstile.passed}"
        now = len(turnstile.passed), queries(prometheus)
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.2)
    return seen


def test_a_completed_experiment_costs_no_write_and_no_query_in_ten_minutes(
    fast: Team, turnstile: Turnstile, prometheus: Prometheus, shop: Exporter
) -> None:
    fast.apply(changes={"ramp": {"steps": [{"percent": 100, "hold": "1s"}]}})
    fast.wait_for(phase="Completed")
    written, asked = when_quiet(turnstile, prometheus)  # after what the transition itself brings: its entry, its Event
    time.sleep(TEN_MINUTES)
    assert (turnstile.passed[written:], queries(prometheus) - asked) == ([], 0)


def test_a_healthy_ramp_costs_one_status_write_in_five_minutes_and_no_other(
    fast: Team, turnstile: Turnstile, prometheus: Prometheus, shop: Exporter
) -> None:
    guardrail = {"name": "errors", "query": "max_over_time(shop_errors[1m])", "max": 0.5}  # a scrape that is late is no news
    fast.apply(changes={"ramp": {"steps": [{"percent": 10, "hold": "7d"}]}, "guardrails": [guardrail]})
    fast.wait_for(percent=10, waitingFor="Hold")
    wait_until(lambda: "Stepped" in fast.events(), "the step has been told")
    written, asked, began = len(turnstile.passed), queries(prometheus), time.monotonic()
    time.sleep(TEN_MINUTES)
    took = time.monotonic() - began
    assert set(turnstile.passed[written:]) <= {Write("experiments/status", "UPDATE", "new-checkout")}
    assert 1 <= len(turnstile.passed[written:]) <= 1 + took / FIVE_MINUTES
    assert queries(prometheus) - asked >= TEN_MINUTES / 2  # it did look
