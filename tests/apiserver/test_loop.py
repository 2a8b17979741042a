"""The whole loop on real parts: apply → ConfigMap → Prometheus → step or rollback, with the operator as its own process."""

import json
from pathlib import Path
from signal import SIGTERM

import pytest

from rampgate import Gates
from tests.adapters.exporter import Exporter
from tests.apiserver.team import PATIENCE, Operator, Team, stays, wait_until
from tests.apiserver.turnstile import Turnstile
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role


def test_exposure_rises_by_the_steps_while_the_guardrail_passes(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(phase="Ramping", percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "the entry says 50 %")
    assert [(row["from"], row["to"], row["percent"]) for row in team.status()["history"]] == [
        ("Pending", "Ramping", 1),
        ("Ramping", "Ramping", 10),
        ("Ramping", "Ramping", 50),
    ]


def test_a_breach_puts_everybody_back_on_control_and_says_why(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50)
    shop.set("shop_errors", 0.9)
    status = team.wait_for(phase="RolledBack", percent=0)
    assert status["latch"]["cause"] == "Guardrail"
    assert status["latch"]["fromPercent"] == 50
    assert "0.9 of treatment is above max 0.5" in status["latch"]["message"]
    assert "set spec.attempt to 2" in status["latch"]["message"]
    wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "pods are told")
    wait_until(lambda: "GuardrailBreached" in team.events(), "an Event says so")


def test_an_application_obeys_the_entry_within_the_process(team: Team, shop: Exporter, cluster: Cluster) -> None:
    team.apply(changes={"ramp": {"steps": [{"percent": 100, "hold": "1h"}]}, "variants": [
        {"name": "control", "value": "old", "weight": 0}, {"name": "treatment", "value": "new", "weight": 1}]})  # fmt: skip
    team.wait_for(percent=100)
    token_file = cluster.directory / f"{team.namespace}.token"
    token_file.write_text(cluster.token(Role.ADMIN))
    source = {"namespace": team.namespace, "url": cluster.url, "token_file": token_file, "ca_file": cluster.ca_file}
    with Gates.from_cluster(**source) as gates:
        wait_until(lambda: gates.value("new-checkout", {"targetingKey": "user-1"}, default="none") == "new", "it serves the treatment")
        team.patch({"killed": True})
        wait_until(lambda: gates.value("new-checkout", {"targetingKey": "user-1"}, default="none") == "old", "it serves control")
        assert gates.decide("new-checkout", {"targetingKey": "user-1"}).reason == "KILLED"


def test_sigkill_in_the_middle_of_a_hold_neither_skips_nor_repeats_a_step(team: Team, shop: Exporter, operator: Operator) -> None:
    team.apply(changes={"ramp": {"steps": [{"percent": 1, "hold": "3s"}, {"percent": 10, "hold": "3s"}, {"percent": 50, "hold": "1h"}]}})
    team.wait_for_step(1)
    before = team.status()
    operator.kill()
    operator.start()
    after = team.wait_for(percent=50)
    assert [row["percent"] for row in after["history"]] == [1, 10, 50]
    assert after["history"][0] == before["history"][0]


def test_sigterm_ends_the_operator_with_status_0(team: Team, operator: Operator) -> None:
    team.apply()
    wait_until(lambda: team.status() != {}, "it is taken in")
    assert operator.stop() == 0


@pytest.mark.parametrize("resource", ["experiments/status", "configmaps", "events"])
def test_sigterm_in_the_middle_of_a_write_finishes_the_decision_at_hand(
    resource: str, team: Team, operator: Operator, turnstile: Turnstile
) -> None:
    turnstile.lock(resource)
    team.apply(changes={"killed": True})
    turnstile.wait_for(resource)
    ending = operator.signal(SIGTERM)
    assert ending is not None
    stays(lambda: ending.poll() is None, "the operator waits for its write", seconds=0.5)
    turnstile.unlock(resource)
    assert ending.wait(PATIENCE) == 0
    assert team.status()["phase"] == "Killed"
    assert (team.entry() or {})["serve"] == "KILLED"
    assert team.events() == ["Killed"]


def test_deleting_an_experiment_removes_its_key_and_no_other(team: Team, shop: Exporter) -> None:
    team.apply("one")
    team.apply("two")
    wait_until(lambda: {"one.json", "two.json"} <= (team.rules() or {}).keys(), "both gates are there")
    team.delete("one")
    wait_until(lambda: "one.json" not in (team.rules() or {}), "the deleted gate is gone")
    assert "two.json" in (team.rules() or {})


def test_a_key_whose_experiment_was_deleted_while_the_operator_was_down_is_removed(team: Team, shop: Exporter, operator: Operator) -> None:
    team.apply()
    wait_until(lambda: team.entry() is not None, "the gate is there")
    operator.stop()
    team.delete()
    operator.start()
    wait_until(lambda: team.entry() is None, "the gate is gone")


def test_an_entry_edited_by_hand_is_repaired_under_a_new_generation(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50)
    wait_until(lambda: team.exposure() == 50, "the entry says 50 %")
    before = team.entry() or {}
    line = (team.rules() or {})["new-checkout.json"]
    team.patch_rules({"new-checkout.json": line.replace('"percent":50', '"percent":100')})
    wait_until(lambda: (team.entry() or {})["generation"] > before["generation"], "the entry is repaired", team.entry)
    assert team.entry() == {**before, "generation": (team.entry() or {})["generation"]}


def test_an_invalid_query_changes_nothing_that_is_served_and_is_explained(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50)
    wait_until(lambda: team.exposure() == 50, "the entry says 50 %")
    before = team.entry()
    team.patch({"guardrails": [{"name": "errors", "query": "sum(rate(", "max": 1}]})
    status = team.wait_for(waitingFor="Invalid")
    valid = next(condition for condition in status["conditions"] if condition["type"] == "Valid")
    assert valid["status"] == "False"
    assert "spec.guardrails[0].query" in valid["message"]
    assert team.entry() == before
    shop.set("shop_errors", 0.9)
    team.wait_for(phase="RolledBack")


def test_a_log_in_json_has_one_object_a_line_with_time_severity_and_message(
    cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path
) -> None:
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", options=["--log-format", "json"]) as operator:
        team = Team(cluster, namespace)
        team.apply(changes={"killed": True})
        wait_until(lambda: operator.lines("Killed") > 0, "the kill is in the log", operator.log.read_text)
    lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
    assert all({"timestamp", "severity", "message"} <= line.keys() for line in lines), lines
    assert any(line["severity"] == "warn" and f"{namespace}/new-checkout: Killed" in line["message"] for line in lines), lines
