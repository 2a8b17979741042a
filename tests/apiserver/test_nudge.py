"""Pods told at once of what lowers exposure, on the real API server: who is told, by how many requests, and what a missing right does.

Pods are plain objects here: no kubelet runs them. What a kubelet makes of the annotation is tests/cluster's.
"""

import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rampgate_operator.core.nudging import RULES_ANNOTATION
from rampgate_operator.nudge import APART
from tests.apiserver.people import Person
from tests.apiserver.pods import Pods
from tests.apiserver.team import RIGHTS, Json, Operator, Team, stays, wait_until
from tests.apiserver.turnstile import Turnstile
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role

RAMP: Json = {"ramp": {"steps": [{"percent": 10, "hold": "7d"}]}, "guardrails": None}


@pytest.fixture
def pods(cluster: Cluster, namespace: str) -> Pods:
    return Pods(cluster, namespace)


def begin(team: Team, name: str = "new-checkout", **changes: Any) -> None:
    team.apply(name, changes={**RAMP, **changes})
    team.wait_for(name, percent=10, waitingFor="Hold")


def calls(pods: Pods) -> Counter[str]:
    """How often each verb was asked for."""
    return Counter(each.verb for each in pods.asked())


def wait_for_calls(pods: Pods, **expected: int) -> None:
    """Wait until so much was asked; a pod is seen to be told before the line about it is written."""
    wait_until(lambda: calls(pods).total() >= sum(expected.values()), f"{expected} were asked for", lambda: calls(pods))
    assert calls(pods) == expected


def test_a_kill_is_told_to_each_pod_once_and_changes_nothing_else_of_it(team: Team, pods: Pods) -> None:
    pods.add(3)
    pods.add(1, "other-gates")
    begin(team)
    wait_for_calls(pods, list=1, patch=3)  # of a ConfigMap that is new
    before = {pod["metadata"]["name"]: pod["spec"] for pod in pods.all()}
    team.patch({"killed": True})
    wait_until(pods.are_told, "all are told of the kill", pods.told)
    wait_for_calls(pods, list=2, patch=6)
    stays(lambda: calls(pods).total() == 8, "one list and a patch for each", seconds=1)
    assert pods.told("other-gates") == {""}
    assert {pod["metadata"]["name"]: pod["spec"] for pod in pods.all()} == before
    assert {pod["metadata"]["annotations"]["team"] for pod in pods.all()} == {"payments"}


def test_break_glass_is_told_and_a_step_up_is_not(team: Team, pods: Pods) -> None:
    pods.add(2)
    begin(team, ramp={"steps": [{"percent": 1, "hold": "0s"}, {"percent": 10, "hold": "7d"}]})
    wait_until(lambda: len(pods.asked()) > 0, "a ConfigMap that is new is told once")
    stays(lambda: not pods.are_told(), "nobody is told of the last step", seconds=2)
    team.patch_rules({"kill": "new-checkout"})
    wait_until(pods.are_told, "all are told of break-glass", pods.told)


def test_two_hundred_pods_take_one_list_and_one_patch_each_and_hold_up_no_other_kill(team: Team, pods: Pods, turnstile: Turnstile) -> None:
    pods.add(200)
    pods.add(2, "other-gates")
    begin(team)
    begin(team, "other", configMapName="other-gates")
    wait_for_calls(pods, list=2, patch=202)  # of ConfigMaps that are new
    turnstile.lock("configmaps")  # else two hundred may be told before the other one is killed
    team.patch({"killed": True})
    team.patch({"killed": True}, "other")
    turnstile.wait_for("configmaps", count=2)
    turnstile.unlock("configmaps")
    wait_until(lambda: pods.are_told("other-gates"), "the other's are told", lambda: pods.told("other-gates"))
    wait_until(pods.are_told, "all are told", pods.told)
    wait_for_calls(pods, list=4, patch=404)
    patched = [each.name for each in pods.asked() if each.verb == "patch"][-202:]
    last_of_the_other = max(index for index, name in enumerate(patched) if name.startswith("other-gates"))
    assert last_of_the_other < 201, "two pods do not wait for two hundred"


def test_many_kills_at_once_are_told_together(team: Team, pods: Pods) -> None:
    pods.add(20)
    names = [f"gate-{number}" for number in range(20)]
    for name in names:
        team.apply(name, changes=RAMP)
    for name in names:
        team.wait_for(name, percent=10, waitingFor="Hold")
    wait_for_calls(pods, list=1, patch=20)  # of a ConfigMap that is new
    began = time.monotonic()
    for name in names:
        team.patch({"killed": True}, name)
    for name in names:
        team.wait_for(name, phase="Killed")
    wait_until(pods.are_told, "all are told of the last one", pods.told)
    rounds, took = calls(pods)["list"] - 1, time.monotonic() - began
    assert rounds <= 1 + took / APART, "a slow machine kills one after the other: what comes within a moment is one round"


def test_after_a_crash_pods_are_told_of_what_was_written_lately(team: Team, pods: Pods, operator: Operator) -> None:
    begin(team)
    team.patch({"killed": True})
    team.wait_for(phase="Killed")
    wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "pods may read it")
    operator.kill()
    pods.add(2)
    operator.start()
    wait_until(pods.are_told, "all are told", pods.told)


IMPATIENT = """
import sys
from rampgate_operator import __main__, nudge
nudge.RECHECK = 1.0
sys.exit(__main__.main())
"""
"""An operator that looks for a missing right each second, and not each minute."""


@pytest.fixture
def without_pods(
    cluster: Cluster, prometheus: Prometheus, namespace: str, kubectl: Kubectl, tmp_path: Path, verb: str
) -> Iterator[Operator]:
    """An operator whose rights are those of manifests/rbac, but may not `verb` pods."""
    operator = Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", program=[sys.executable, "-c", IMPATIENT])
    role = json.loads(kubectl("get", "clusterrole", "rampgate-operator", "-o", "json").stdout)
    for rule in role["rules"]:
        rule["verbs"] = [each for each in rule["verbs"] if "pods" not in rule["resources"] or each != verb]
    role["metadata"] = {"name": f"{namespace}-without-pods"}
    kubectl("apply", "-f", "-", stdin=json.dumps(role))
    kubectl("delete", "rolebinding", "operator", "-n", namespace)
    who = (f"--clusterrole={namespace}-without-pods", f"--user={Role.OPERATOR.user}")
    kubectl("create", "rolebinding", "without-pods", "-n", namespace, *who)
    with operator as running:
        yield running


def condition(team: Team) -> tuple[str, str] | None:
    found = [each for each in team.status().get("conditions", ()) if each["type"] == "PodsNudged"]
    return (found[0]["status"], found[0]["reason"]) if found else None


@pytest.mark.parametrize("verb", ["list", "patch"])
def test_without_the_right_one_condition_says_so_everything_else_works_and_it_recovers_by_itself(
    cluster: Cluster, namespace: str, without_pods: Operator, pods: Pods, kubectl: Kubectl, verb: str
) -> None:
    team = Team(cluster, namespace)
    pods.add(2)
    team.apply(changes=RAMP)
    team.wait_for(percent=10)
    team.patch({"killed": True})
    team.wait_for(phase="Killed")
    wait_until(lambda: condition(team) == ("False", "NudgeForbidden"), "the condition says so", team.status)
    wait_until(lambda: team.events().count("NudgeForbidden") == 1, "one Event says so", team.events)
    warning = f"its pods are not told of changes: may not {verb} pods"
    assert without_pods.lines(warning) == 1
    assert f'cannot {verb} resource "pods"' in str(team.status()["conditions"])
    since = [each["lastTransitionTime"] for each in team.status()["conditions"] if each["type"] == "PodsNudged"]
    without_pods.kill()
    without_pods.start()
    wait_until(lambda: without_pods.lines(warning) == 2, "a restart finds it out again")
    stays(lambda: condition(team) == ("False", "NudgeForbidden"), "the condition says so", seconds=2)
    assert [each["lastTransitionTime"] for each in team.status()["conditions"] if each["type"] == "PodsNudged"] == since
    assert team.events().count("NudgeForbidden") == 1, "it is no news"
    kubectl("apply", "-f", str(RIGHTS), "-n", namespace)
    kubectl("create", "rolebinding", "with-pods", "-n", namespace, "--clusterrole=rampgate-operator", f"--user={Role.OPERATOR.user}")
    wait_until(pods.are_told, "all are told", pods.told)
    wait_until(lambda: condition(team) is None, "the condition is gone", team.status)


CHANGES_OF_PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["UPDATE"]}
Refuse = Callable[[str, str], None]


@pytest.fixture
def refuse(cluster: Cluster, namespace: str, kubectl: Kubectl) -> Iterator[Refuse]:
    """Let a policy of somebody else's refuse changes of the pods whose names begin in a certain way; the second argument is one of them."""

    def apply(begin: str, pod: str) -> None:
        where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        rule = {
            "expression": f"!object.metadata.name.startsWith('{begin}')",
            "message": "legacy pods stay as they are",
            "reason": "Forbidden",
        }
        spec = {"matchConstraints": {"resourceRules": [CHANGES_OF_PODS], "namespaceSelector": where}, "validations": [rule]}
        kind, api = "ValidatingAdmissionPolicy", {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": namespace}}
        bound = {"policyName": namespace, "validationActions": ["Deny"]}
        items = [{**api, "kind": kind, "spec": spec}, {**api, "kind": f"{kind}Binding", "spec": bound}]
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        admin, others = Person(cluster, namespace, cluster.token(Role.ADMIN)), itertools.count()
        wait_until(
            lambda: admin.patch(f"pods/{pod}", {"metadata": {"annotations": {"change": str(next(others))}}}) != "", "the policy holds"
        )

    yield apply
    kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", namespace, "--ignore-not-found")


def test_what_a_policy_refuses_of_some_pods_keeps_a_kill_from_no_other_and_of_all_is_said_in_its_words(
    team: Team, pods: Pods, refuse: Refuse
) -> None:
    pods.add(15, called="a-legacy")
    pods.add(5)
    refuse("a-legacy", "a-legacy-0")
    begin(team)
    begin(team, "other")
    team.patch({"killed": True})
    team.wait_for(phase="Killed")
    told = lambda: Counter(pod["metadata"]["annotations"].get(RULES_ANNOTATION) == pods.version() for pod in pods.all())  # noqa: E731
    wait_until(lambda: told() == {True: 5, False: 15}, "all are told that may be", told)
    assert condition(team) is None
    refuse("", "feature-gates-0")
    team.patch({"killed": True}, "other")
    wait_until(lambda: condition(team) == ("False", "NudgeForbidden"), "the condition says so", team.status)
    (message,) = (each["message"] for each in team.status()["conditions"] if each["type"] == "PodsNudged")
    assert "denied request: legacy pods stay as they are" in message


def test_with_the_setting_off_nobody_is_asked_for_pods(
    cluster: Cluster, prometheus: Prometheus, namespace: str, pods: Pods, tmp_path: Path
) -> None:
    config, team = tmp_path / "operator.yaml", Team(cluster, namespace)
    config.write_text("nudgePods: false")
    pods.add(1)
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", options=["--config", str(config)]):
        begin(team)
        team.patch({"killed": True})
        team.wait_for(phase="Killed")
        stays(lambda: pods.asked() == [], "nobody asks", seconds=2)
    assert pods.told() == {""}
