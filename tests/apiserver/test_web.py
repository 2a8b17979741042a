"""What the operator says of itself over HTTP, as a real process: probes that fail when it is stuck, metrics that promtool accepts."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.adapters.exporter import Exporter
from tests.apiserver.team import PATIENCE, Operator, Team, wait_until
from tests.apiserver.turnstile import Turnstile
from tools.devcluster.binaries import require
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

IMPATIENT = """
import sys
from rampgate_operator import health
from rampgate_operator.__main__ import main
health.LONGEST_WAIT = health.LONGEST_WORK = health.LONGEST_SILENCE = 1.0
sys.exit(main())
"""


def ask(operator: Operator, path: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{operator.port}{path}", timeout=PATIENCE)


def value(operator: Operator, metric: str, **labels: str) -> float | None:
    """The value of the series with these labels."""
    samples = (sample for family in text_string_to_metric_families(ask(operator, "/metrics").text) for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == metric and labels.items() <= sample.labels.items()), None)


@pytest.fixture
def impatient(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """An operator that calls itself stuck after a second."""
    program = [sys.executable, "-c", IMPATIENT]
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", program=program) as running:
        yield running


def test_an_operator_that_leads_is_healthy_and_ready(team: Team, operator: Operator) -> None:
    wait_until(lambda: ask(operator, "/readyz").text == "ok\n", "it is ready")
    assert (ask(operator, "/healthz").status_code, ask(operator, "/healthz").text) == (200, "ok\n")
    assert ask(operator, "/nothing").status_code == 404


def test_a_worker_that_is_stuck_fails_the_health_check_and_its_end_mends_it(
    cluster: Cluster, namespace: str, impatient: Operator, turnstile: Turnstile
) -> None:
    team = Team(cluster, namespace)
    turnstile.lock("experiments/status")
    team.apply()
    turnstile.wait_for("experiments/status")
    said = lambda: ask(impatient, "/healthz").text  # noqa: E731
    wait_until(lambda: "a key has been worked on for" in said(), "it says that it is stuck", said)
    assert ask(impatient, "/healthz").status_code == 500
    turnstile.unlock("experiments/status")
    wait_until(lambda: ask(impatient, "/healthz").status_code == 200, "it is well again", lambda: ask(impatient, "/healthz").text)


def test_metrics_tell_what_happened_and_how_things_are(team: Team, operator: Operator, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    place = {"namespace": team.namespace, "experiment": "new-checkout"}
    wait_until(lambda: value(operator, "rampgate_operator_experiment_percent", **place, phase="Ramping") == 50, "50 % is told")
    assert value(operator, "rampgate_operator_transitions_total", reason="Stepped") == 3
    assert (value(operator, "rampgate_operator_looks_total", verdict="Pass") or 0) >= 3
    assert value(operator, "rampgate_operator_rules_generation", **place) == team.status()["rules"]["generation"]
    assert (value(operator, "rampgate_operator_rules_bytes", namespace=team.namespace, config_map="feature-gates") or 0) > 100
    assert (value(operator, "rampgate_operator_reconcile_seconds_count", outcome="ok") or 0) > 3
    assert value(operator, "rampgate_operator_step_lateness_seconds_count") == 0  # a reading was the last thing that was waited for
    assert value(operator, "rampgate_operator_leader") == 1
    assert (value(operator, "rampgate_operator_last_transition_timestamp_seconds", **place, reason="Stepped") or 0) > 1.7e9
    assert (value(operator, "rampgate_operator_answers_total", source="default", outcome="Ok") or 0) >= 3
    assert value(operator, "rampgate_operator_answers_total", source="default", outcome="Unreachable") == 0

    def now() -> tuple[float | None, ...]:
        return (
            value(operator, "rampgate_operator_guardrail_value", **place, guardrail="errors"),
            value(operator, "rampgate_operator_guardrail_verdict", **place, guardrail="errors", verdict="Pass"),
            value(operator, "rampgate_operator_experiment_waiting", **place, waiting_for="Hold", reason="Hold"),
            value(operator, "rampgate_operator_condition_false", **place),
        )

    wait_until(lambda: now() == (0, 1, 1, None), "nothing is wrong with it", now)  # a scrape that comes late is, for a moment
    team.patch({"killed": True})
    team.wait_for(phase="Killed")
    team.delete()
    wait_until(lambda: value(operator, "rampgate_operator_entries_left") == 1, "the entry that stays is counted")
    wait_until(lambda: value(operator, "rampgate_operator_experiment_percent", **place) is None, "who is gone is told no more")


def test_metrics_tell_what_holds_a_ramp_and_that_the_glass_is_broken(team: Team, operator: Operator, shop: Exporter) -> None:
    del shop  # has no such series
    unread = [{"name": "errors", "query": 'max_over_time(nothing{variant=~"$variant|"}[1s])', "max": 0.5}]
    team.apply(changes={"guardrails": unread})
    team.wait_for(percent=1, waitingFor="Metrics")
    place, rules = {"namespace": team.namespace, "experiment": "new-checkout"}, {"namespace": team.namespace, "config_map": "feature-gates"}
    wait_until(
        lambda: value(operator, "rampgate_operator_experiment_waiting", **place, waiting_for="Metrics", reason="Metrics") == 1, "it is told"
    )
    read = {"guardrail": "errors", "verdict": "NoData"}
    wait_until(lambda: value(operator, "rampgate_operator_guardrail_verdict", **place, **read) == 1, "the look's verdict is told")
    assert value(operator, "rampgate_operator_break_glass", **rules) == 0
    team.patch_rules({"kill": "new-checkout, other"})
    wait_until(lambda: value(operator, "rampgate_operator_break_glass", **rules) == 2, "what is stopped by hand is counted")
    team.patch({"guardrails": [{**unread[0], "query": "sum("}]})
    wait_until(
        lambda: value(operator, "rampgate_operator_condition_false", **place, type="Valid", reason="Invalid") == 1, "a condition is told"
    )


def test_how_late_a_step_is_taken_is_measured_where_time_is_the_last_thing_to_wait_for(team: Team, operator: Operator) -> None:
    team.apply(changes={"guardrails": None})
    team.wait_for(percent=50)
    wait_until(lambda: value(operator, "rampgate_operator_step_lateness_seconds_count") == 2, "both later steps are measured")


def test_promtool_finds_nothing_to_say_of_the_metrics(team: Team, operator: Operator, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50)
    checked = subprocess.run(
        [str(require("promtool")), "check", "metrics"], input=ask(operator, "/metrics").text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_an_address_that_is_taken_is_one_line_and_the_exit_status_2(
    cluster: Cluster, prometheus: Prometheus, namespace: str, operator: Operator, tmp_path: Path
) -> None:
    other = Operator(cluster, prometheus, namespace, log=tmp_path / "other.log", identity="other")
    other.port = operator.port
    assert other.run_to_its_end() == 2
    assert f"rampgate operator: cannot listen on 127.0.0.1:{operator.port}: " in other.log.read_text()
