"""The operator as manifests/ installs it, through everything it does: no request is refused, and no right goes unused.

It has a control plane to itself: as installed it watches all namespaces, and another test's Experiments must not lend it a verb.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from rampgate_operator.core.observation import RULES_LABEL
from tests.adapters.exporter import Exporter
from tests.apiserver.pods import Pods
from tests.apiserver.team import EXPERIMENT, RIGHTS, Operator, Team, wait_until
from tests.conftest import CRDS
from tools.devcluster.audit import Request
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import write_kubeconfig

MANIFESTS = RIGHTS.parents[1]
USER = "system:serviceaccount:rampgate:rampgate-operator"
BROKEN = {"guardrails": [{"name": "errors", "query": "sum(rate(", "max": 1}]}
REPAIRED = {"guardrails": EXPERIMENT["spec"]["guardrails"]}


class Right(NamedTuple):
    """One verb of one rule."""

    group: str
    resource: str
    verb: str


def granted(roles: Iterable[dict[str, Any]]) -> set[Right]:
    rules = [rule for role in roles for rule in role.get("rules", ())]
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def unused(rights: set[Right], requests: Iterable[Request]) -> set[Right]:
    """A right that never led to an answer other than an error is not needed."""
    return rights - {Right(request.group, request.resource, request.verb) for request in requests if request.status < 400}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A control plane with the CRD and the install."""
    with Cluster.start() as running:
        apply_crds(running, CRDS)
        kubectl(running, "apply", "-k", str(MANIFESTS))
        yield running


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    kubectl(cluster, "create", "namespace", "shop")
    return "shop"


class Installed(Operator):
    """The operator with the token of its ServiceAccount and the shipped settings; in a pod it would find both by itself."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus, namespace: str, *, directory: Path) -> None:
        settings, kubeconfig = directory / "operator.yaml", directory / "kubeconfig"
        settings.write_text(yaml.safe_load((MANIFESTS / "settings.yaml").read_text())["data"]["operator.yaml"])
        super().__init__(cluster, prometheus, namespace, log=directory / "log", options=["--config", str(settings)])
        token = kubectl(cluster, "create", "token", "rampgate-operator", "-n", "rampgate").stdout.strip()
        write_kubeconfig(kubeconfig, url=cluster.url, ca_file=cluster.ca_file, token=token)
        del self._environment["RAMPGATE_NAMESPACES"]
        self._environment |= {"KUBECONFIG": str(kubeconfig), "RAMPGATE_LEASE__NAMESPACE": "rampgate"}


@pytest.fixture
def operator(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    with Installed(cluster, prometheus, namespace, directory=tmp_path) as running:
        yield running


def keep_more_specs_than_are_kept(team: Team) -> None:
    for number in range(12):
        generation = team.apply(changes={"owner": f"team-{number}"})["metadata"]["generation"]
        team.wait_for(observedGeneration=generation)


def repeat_a_mistake(team: Team) -> None:
    for _ in range(2):
        team.patch(BROKEN)
        team.wait_for(waitingFor="Invalid")
        wait_until(lambda: "Invalid" in team.events(), "an Event says so", team.events)  # one that is posted is counted up
        team.patch(REPAIRED)
        team.wait_for(waitingFor="Hold")


def restart_with_a_spec_that_cannot_be_run(team: Team, operator: Operator) -> None:
    operator.stop()
    team.patch(BROKEN)
    operator.start()
    team.wait_for(waitingFor="Invalid", percent=50)
    team.patch(REPAIRED)
    team.wait_for(waitingFor="Hold")


def lose_the_label(team: Team, cluster: Cluster) -> None:
    where = ("configmap", "feature-gates", "-n", team.namespace)
    kubectl(cluster, "label", *where, f"{RULES_LABEL}-")
    label = f"jsonpath={{.metadata.labels.{RULES_LABEL.replace('.', chr(92) + '.')}}}"
    wait_until(lambda: kubectl(cluster, "get", *where, "-o", label).stdout == "true", "the label is back")


def roll_back(team: Team, shop: Exporter) -> None:
    shop.set("shop_errors", 0.9)
    team.wait_for(phase="RolledBack")
    shop.set("shop_errors", 0.0)
    wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "pods are told")


def kill(team: Team) -> None:
    team.apply("killed", changes={"killed": True})
    team.wait_for("killed", phase="Killed")


def delete(team: Team) -> None:
    team.apply("deleted")
    wait_until(lambda: team.entry("deleted") is not None, "the gate is there")
    team.delete("deleted")
    wait_until(lambda: team.entry("deleted") is None, "the gate is gone")


def meet_a_foreign_config_map(team: Team) -> None:
    team.create_config_map({"ours": "no"}, "foreign")
    team.apply("beside-foreign", changes={"configMapName": "foreign"})
    team.wait_for("beside-foreign", waitingFor="Rules")
    assert team.rules("foreign") == {"ours": "no"}


@pytest.mark.timeout(240)
def test_the_installed_operator_is_refused_nothing_and_uses_every_right(
    cluster: Cluster, team: Team, shop: Exporter, operator: Operator
) -> None:
    pods = Pods(cluster, team.namespace)
    pods.add(1)
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    keep_more_specs_than_are_kept(team)
    repeat_a_mistake(team)
    restart_with_a_spec_that_cannot_be_run(team, operator)
    lose_the_label(team, cluster)
    roll_back(team, shop)
    wait_until(pods.are_told, "pods are told", pods.told)
    kill(team)
    delete(team)
    meet_a_foreign_config_map(team)
    team.delete_rules()
    wait_until(lambda: team.entry() is not None, "the rules are back")
    assert operator.stop() == 0

    asked = [request for request in cluster.requests() if request.user == USER]
    assert [str(request) for request in asked if request.status == 403] == []
    assert unused(granted(yaml.safe_load_all(RIGHTS.read_text())), asked) == set()


@pytest.mark.parametrize(
    ("sentence", "request_", "left"),
    [
        ("one that was used is not named", Request(USER, "get", "apps", "things", "shop", "a", 200), set()),
        ("a refusal is no use", Request(USER, "get", "apps", "things", "shop", "a", 403), {Right("apps", "things", "get")}),
        ("another verb is another right", Request(USER, "list", "apps", "things", "shop", "", 200), {Right("apps", "things", "get")}),
        (
            "a subresource is another right",
            Request(USER, "get", "apps", "things/status", "shop", "", 200),
            {Right("apps", "things", "get")},
        ),
        ("another group is another right", Request(USER, "get", "", "things", "shop", "a", 200), {Right("apps", "things", "get")}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_right_that_goes_unused_is_named(sentence: str, request_: Request, left: set[Right]) -> None:
    roles: list[dict[str, Any]] = [{"kind": "RoleBinding"}, {"rules": [{"apiGroups": ["apps"], "resources": ["things"], "verbs": ["get"]}]}]
    assert unused(granted(roles), [request_]) == left
