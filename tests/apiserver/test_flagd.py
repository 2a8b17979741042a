"""The flagd document beside the rules, on the real API server: it follows them, and touches nothing that is not its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rampgate import Gates
from rampgate_operator.core.observation import RULES_LABEL
from tests.apiserver.team import Operator, Team, stays, wait_until
from tests.apiserver.turnstile import Turnstile
from tests.flagd.evaluators import EVALUATORS
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import kubectl
from tools.devcluster.prometheus import Prometheus

NAME, FLAGD = "feature-gates", "feature-gates-flagd"
RAMP: dict[str, Any] = {"ramp": {"steps": [{"percent": 10, "hold": "7d"}]}, "guardrails": None}
INSTANT = {"eligibility": [{"attribute": "since", "before": "2026-12-01T00:00:00Z"}]}


@pytest.fixture
def operator(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    config = tmp_path / "operator.yaml"
    config.write_text("renderFlagd: true")
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", options=["--config", str(config)]) as running:
        yield running


def flag(team: Team, gate: str = "new-checkout", name: str = FLAGD) -> dict[str, Any]:
    """The gate's flag; empty when there is none."""
    document = json.loads((team.rules(name) or {}).get("flagd.json", '{"flags":{}}'))
    return dict(document["flags"].get(gate, {}))


def condition(team: Team, name: str = "new-checkout") -> tuple[str, str] | None:
    """Status and reason of FlagdRendered."""
    conditions = {each["type"]: each for each in team.status(name).get("conditions", ())}
    found = conditions.get("FlagdRendered")
    return None if found is None else (found["status"], found["reason"])


def begin(team: Team) -> None:
    team.apply(changes=RAMP)
    wait_until(lambda: flag(team).get("metadata", {}).get("percent") == 10, "flagd is told of the step", lambda: flag(team))
    wait_until(lambda: condition(team) == ("True", "RenderedForFlagd"), "the condition says so", lambda: condition(team))


def test_the_document_follows_the_ramp_a_kill_and_a_new_attempt(team: Team) -> None:
    begin(team)
    team.patch({"killed": True})
    wait_until(lambda: flag(team).get("metadata", {}).get("serve") == "KILLED", "flagd is told of the kill")
    assert (flag(team)["defaultVariant"], "targeting" in flag(team), flag(team)["state"]) == ("control", False, "ENABLED")
    team.patch({"killed": None, "attempt": 2})
    wait_until(lambda: flag(team).get("metadata", {}).get("attempt") == 2 and "targeting" in flag(team), "flagd is told of the attempt")


def test_flagds_evaluator_and_the_sdk_read_the_two_config_maps_alike(team: Team) -> None:
    begin(team)
    rules, document = team.rules() or {}, (team.rules(FLAGD) or {})["flagd.json"]
    contexts = [{"targetingKey": f"user-{number}"} for number in range(300)]
    with Gates.from_rules({"new-checkout": rules["new-checkout.json"]}) as gates, EVALUATORS[0].running() as flagd:
        ours = [gates.decide("new-checkout", context) for context in contexts]
        theirs = flagd.ask(document, [("new-checkout", context) for context in contexts])
    assert theirs == [[decision.variant, decision.value] for decision in ours]
    assert {decision.variant for decision in ours} == {"control", "treatment"}


def test_the_key_kill_reaches_it_while_it_is_there(team: Team) -> None:
    begin(team)
    team.patch_rules({"kill": "new-checkout"})
    wait_until(lambda: flag(team)["metadata"].get("serve") == "KILLED", "flagd is told of break-glass")
    team.patch_rules({"kill": None})
    wait_until(lambda: "targeting" in flag(team), "flagd is told that it is over")


def test_an_experiment_that_is_deleted_leaves_it(team: Team) -> None:
    begin(team)
    team.delete()
    wait_until(lambda: flag(team) == {}, "the flag is gone")


def test_what_flagd_cannot_say_is_on_control_and_the_experiment_says_why(team: Team) -> None:
    team.apply(changes={**RAMP, **INSTANT})
    wait_until(lambda: condition(team) == ("False", "NotRenderable"), "the condition says so", lambda: team.status())
    assert "before of since: flagd has no instants" in json.dumps(team.status()["conditions"])
    assert "targeting" not in flag(team)
    team.wait_for(percent=10, waitingFor="Hold")  # the ramp does not depend on it
    wait_until(lambda: "NotRenderable" in team.events(), "an Event says so")


def test_a_foreign_config_map_of_its_name_is_left_alone_until_it_is_gone(team: Team) -> None:
    team.create_config_map({"ours": "no"}, FLAGD)
    team.apply(changes=RAMP)
    wait_until(lambda: condition(team) == ("False", "ForeignFlagdConfigMap"), "the condition says so", lambda: team.status())
    team.wait_for(percent=10, waitingFor="Hold")
    assert team.rules(FLAGD) == {"ours": "no"}
    team.delete_rules(FLAGD)
    wait_until(lambda: condition(team) == ("True", "RenderedForFlagd"), "it is there", lambda: team.status())


def test_an_experiment_that_chose_its_name_for_its_rules_and_it_do_not_fight(team: Team) -> None:
    team.apply("first", changes={**RAMP, "configMapName": FLAGD})
    team.wait_for("first", percent=10)
    team.apply(changes=RAMP)
    wait_until(lambda: condition(team) == ("False", "ForeignFlagdConfigMap"), "the document gives way", lambda: team.status())
    assert "first.json" in (team.rules(FLAGD) or {})
    wait_until(lambda: "targeting" in flag(team, "first", f"{FLAGD}-flagd"), "the other one has a document, too")


def test_drift_is_repaired_and_what_was_deleted_comes_back(team: Team, cluster: Cluster) -> None:
    begin(team)
    right = team.rules(FLAGD)
    team.patch_rules({"flagd.json": '{"flags":{}}'}, FLAGD)
    wait_until(lambda: team.rules(FLAGD) == right, "it is repaired")
    team.delete_rules(FLAGD)
    wait_until(lambda: team.rules(FLAGD) == right, "it is back")
    kubectl(cluster, "label", "configmap", FLAGD, "-n", team.namespace, f"{RULES_LABEL}-")
    wait_until(lambda: FLAGD in kubectl(cluster, "get", "configmaps", "-n", team.namespace, "-l", RULES_LABEL).stdout, "the label is back")


def test_a_restart_writes_nothing(team: Team, operator: Operator, turnstile: Turnstile) -> None:
    begin(team)
    operator.stop()
    written, status = len(turnstile.passed), team.status()
    operator.start()
    stays(lambda: turnstile.passed[written:] == [] and team.status() == status, "nothing is written", seconds=8)


def test_without_the_setting_nothing_is_said_or_written(team: Team, operator: Operator, tmp_path: Path) -> None:
    begin(team)
    operator.stop()
    (tmp_path / "operator.yaml").write_text("renderFlagd: false")
    operator.start()
    wait_until(lambda: condition(team) is None, "the condition is gone", lambda: team.status())
    team.delete_rules(FLAGD)
    team.patch_rules({"kill": "*"})
    team.wait_for(waitingFor="BreakGlass")
    stays(lambda: team.rules(FLAGD) is None, "there is none", seconds=3)
