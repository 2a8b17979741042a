"""What a person may well write, on real parts: it must be served, and above all it must be possible to stop it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus


def nested(levels: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


TEXTS: dict[str, dict[str, Any]] = {
    "a semver range": {"eligibility": [{"attribute": "appVersion", "semver": ">=2.4.0 <3.0.0"}]},
    "ranges within groups": {"eligibility": [{"any": [{"not": {"attribute": "appVersion", "semver": "<1 || >=2.4"}}]}]},
    "an ampersand": {"overrides": [{"variant": "treatment", "units": ["R&D", "<b>"]}]},
    "letters with accents": {"overrides": [{"variant": "treatment", "units": ["Zoë"]}]},
    "beyond the first plane": {"variants": [{"name": "control", "value": "🦊"}, {"name": "treatment", "value": "\u2028"}]},
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_gate_is_raised_killed_and_removed_whatever_its_entry_says(text: str, team: Team, shop: Exporter) -> None:
    team.apply(changes=TEXTS[text])
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    team.patch({"killed": True})
    wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "pods are told")
    team.patch({"killed": None, "attempt": 2})
    wait_until(lambda: team.exposure() == 50, "it is served again")
    team.delete()
    wait_until(lambda: team.entry() is None, "the key is gone")


@pytest.mark.parametrize("text", TEXTS)
def test_a_gate_is_rolled_back_whatever_its_entry_says(text: str, team: Team, shop: Exporter) -> None:
    team.apply(changes=TEXTS[text])
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    shop.set("shop_errors", 0.9)
    wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "pods are told")


def test_an_entry_that_a_person_wrote_with_any_characters_is_repaired(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    team.patch_rules({"new-checkout.json": "Zoë <b>&\u2028"})
    wait_until(lambda: "percent" in (team.rules() or {})["new-checkout.json"], "it is repaired")


def test_rules_that_somebody_wrote_in_the_year_0_end_nobody(team: Team, shop: Exporter, operator: Operator, kubectl: Kubectl) -> None:
    """The API server checks no time of `managedFields`, which whoever may write a ConfigMap may set."""
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    operator.stop()
    get = ("get", "configmap", "feature-gates", "-n", team.namespace, "-o", "json", "--show-managed-fields")
    found = json.loads(kubectl(*get).stdout)
    found["metadata"]["annotations"] = {"changed": "yes"}  # else managed fields are left as they were
    somebody = {"manager": "somebody", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "time": "0000-01-01T00:00:00Z"}
    found["metadata"]["managedFields"].append({**somebody, "fieldsV1": {"f:data": {"f:format": {}}}})
    kubectl("replace", "-f", "-", stdin=json.dumps(found))
    assert "0000-01-01" in kubectl(*get).stdout
    operator.start()
    team.patch({"killed": True})
    wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "pods are told")
    assert operator.lines("Traceback") == 0, operator.log.read_text()


@pytest.mark.parametrize("levels", [9_000, 24_000, 60_000, 99_000, 200_000])
def test_an_entry_that_nests_without_end_ends_nobody(levels: int, team: Team, operator: Operator) -> None:
    """The API server looks into no text; Python would, as deep as it is let, and beyond its stack the process is gone."""
    team.apply("other", changes={"guardrails": None})
    team.wait_for("other", percent=50)
    entry = {"format": 1, "gate": "deep", "generation": 1, "attempt": 1, "control": {"name": "c", "value": 1}}
    for percent in (10, 20):
        line = json.dumps({**entry, "percent": percent, "x": 0}).replace('"x": 0', '"x": ' + "[" * levels + "]" * levels)
        team.patch_rules({"deep.json": line, "new-checkout.json": line.replace('"deep"', '"new-checkout"')})
    team.apply(changes={"guardrails": None})  # its entry is there, and its status is rebuilt from it if it can be read
    team.wait_for(attempt=1)
    team.patch({"killed": True}, "other")
    wait_until(lambda: (team.entry("other") or {}).get("serve") == "KILLED", "pods are told")
    assert operator.lines("Traceback") == 0, operator.log.read_text()
    operator.stop()
    operator.start()  # and it starts beside it


KOPFS: dict[str, dict[str, Any]] = {
    "what was handled last": {"annotations": {"kopf.zalando.org/last-handled-configuration": "{"}},
    "a handler's progress": {"annotations": {"kopf.zalando.org/rules_changed": "{", "kopf.zalando.org/experiment_changed": "{"}},
    "its finalizer": {"finalizers": ["kopf.zalando.org/KopfFinalizerMarker"]},
}


@pytest.mark.parametrize("kind", ["experiment", "configmap"])
@pytest.mark.parametrize("marks", KOPFS)
def test_what_kopf_would_keep_in_an_object_is_not_looked_at(
    marks: str, kind: str, team: Team, operator: Operator, kubectl: Kubectl
) -> None:
    """Whoever may write an object may write that too; kopf would skip its events, and the watch's health with them."""
    team.apply(changes={"guardrails": None})
    team.wait_for(percent=50)
    wait_until(lambda: team.exposure() == 50, "it is served")
    name = {"experiment": "new-checkout", "configmap": "feature-gates"}[kind]
    kubectl("patch", kind, name, "-n", team.namespace, "--type=merge", "-p", json.dumps({"metadata": KOPFS[marks]}))
    team.patch_rules({"kill": "new-checkout"})
    team.wait_for(waitingFor="BreakGlass")
    team.patch({"killed": True})
    wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "pods are told")
    assert operator.lines("Traceback") == 0, operator.log.read_text()


def test_an_immutable_config_map_is_said_to_be_one_and_costs_no_storm_of_writes(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    team.make_rules_immutable()
    team.patch({"killed": True})
    status = team.wait_for(phase="Killed", waitingFor="Rules")
    rendered = next(condition for condition in status["conditions"] if condition["type"] == "RulesRendered")
    assert (rendered["status"], rendered["reason"]) == ("False", "ConfigMapImmutable")
    assert "pods still obey 50 %. Delete it" in rendered["message"]
    wait_until(lambda: "ConfigMapImmutable" in team.events(), "an Event says so")
    team.delete_rules()
    wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "it comes back, and pods are told")


DEEP = "+".join(["abs(" * 24 + 'x{variant="$variant"}' + ")" * 24] * 10)
HARMFUL: dict[str, dict[str, Any]] = {
    "the largest spec": {
        "variants": [{"name": "control", "value": -1}, *({"name": f"v{number}", "value": number} for number in range(15))],
        "guardrails": [{"name": f"g{number}", "query": DEEP.replace("x{", f"x{number}{{"), "max": 1} for number in range(16)],
    },
    "a value of a thousand levels": {"variants": [{"name": "control", "value": []}, {"name": "treatment", "value": nested(1000)}]},
    "a value of nine thousand levels": {"variants": [{"name": "control", "value": []}, {"name": "treatment", "value": nested(9000)}]},
    "costly regular expressions": {
        "guardrails": [{"name": "g", "query": "x{" + ",".join(['a=~".{1,9999}"'] * 100) + "}", "max": 1}],
    },
    "an offset no clock can show": {"guardrails": [{"name": "g", "query": "x offset 3000y", "max": 1}]},
}


@pytest.fixture
def deep() -> Iterator[None]:
    """This process may write what it sends, however deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("deep")
@pytest.mark.parametrize("spec", HARMFUL)
def test_a_neighbours_spec_keeps_nobody_elses_kill_waiting(spec: str, team: Team, operator: Operator) -> None:
    team.apply("other", changes={"guardrails": None})
    team.wait_for("other", percent=50)
    team.apply("harmful", changes=HARMFUL[spec])
    team.wait_for("harmful", attempt=1)  # it was seen, and has a status that says what is wrong with it
    team.patch({"killed": True}, "other")
    wait_until(lambda: (team.entry("other") or {}).get("serve") == "KILLED", "pods are told")
    assert operator.lines("Traceback") == 0, operator.log.read_text()
    operator.stop()
    operator.start()  # and it starts beside it


SHALLOW = """
import sys
limit = sys.setrecursionlimit
sys.setrecursionlimit = lambda _: limit(1500)
from rampgate_operator.__main__ import main
sys.exit(main())
"""


@pytest.mark.usefixtures("deep")
def test_nor_does_it_where_python_reads_fewer_levels(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> None:
    """As 3.12 reads 1,500 whatever the recursion limit, and 3.13 fewer than the 10,000 of the API server and those of its lists."""
    team, program = Team(cluster, namespace), (sys.executable, "-c", SHALLOW)
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", program=program) as operator:
        test_a_neighbours_spec_keeps_nobody_elses_kill_waiting("a value of nine thousand levels", team, operator)
        team.apply("another", changes={"guardrails": None})
        team.wait_for("another", percent=50)


def test_many_large_specs_cost_neither_the_lease_nor_anybodys_kill(
    cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path
) -> None:
    """Six of them, examined at once, kept a loop so busy that the lease was lost, again after every restart."""
    team = Team(cluster, namespace)
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", lease="10s") as operator:
        team.apply("other", changes={"guardrails": None})
        team.wait_for("other", percent=50)
        for number in range(6):
            team.apply(f"large-{number}", changes=HARMFUL["the largest spec"])
        team.patch({"killed": True}, "other")
        wait_until(lambda: (team.entry("other") or {}).get("serve") == "KILLED", "pods are told")
        for number in range(6):
            team.wait_for(f"large-{number}", attempt=1)
        assert operator.lines("another replica may lead now") == 0


@pytest.mark.usefixtures("deep")
@pytest.mark.parametrize("spec", [name for name in HARMFUL if name != "the largest spec"])
def test_a_spec_that_cannot_be_run_is_refused_in_words(spec: str, team: Team) -> None:
    team.apply(changes=HARMFUL[spec])
    valid = next(condition for condition in team.wait_for(phase="Pending")["conditions"] if condition["type"] == "Valid")
    assert (valid["status"], valid["reason"]) == ("False", "Invalid")
    assert "deeper than 20 levels" in valid["message"] or "repeats by count" in valid["message"] or "8 days" in valid["message"]


def test_a_spec_that_breaks_under_way_is_killed_and_rolled_back_all_the_same(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    team.patch({"guardrails": [{"name": "g", "query": "x offset 27y", "max": 1}]})
    team.wait_for(waitingFor="Invalid")
    shop.set("shop_errors", 0.9)
    wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "the accepted guardrail acts")
