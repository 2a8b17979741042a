"""What Kubernetes' own controllers make of manifests/: its roles are put together of ours, and the policies' types are right."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rampgate_operator.core.resource import GROUP, VERSION
from tests.apiserver.people import MANIFESTS
from tests.apiserver.team import wait_until
from tests.conftest import Kubectl
from tools.devcluster.binaries import locate
from tools.devcluster.cluster import Cluster
from tools.devcluster.server import Server

BINARY = "kube-controller-manager"
CONTROLLERS = "clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller"
pytestmark = pytest.mark.skipif(locate(BINARY) is None, reason=f"{BINARY} is built for a node alone: python -m tools.devcluster build")


@pytest.fixture(scope="module")
def controlled(cluster: Cluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two controllers, for as long as this module's tests take."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", f"{MANIFESTS}/rbac/people.yaml", "-f", f"{MANIFESTS}/admission.yaml")
    program = locate(BINARY)
    assert program is not None
    kubeconfig = f"--kubeconfig={cluster.kubeconfig()}"
    command: list[str | Path] = [program, kubeconfig, f"--controllers={CONTROLLERS}", "--leader-elect=false", "--secure-port=0"]
    server = Server(BINARY, command, log=tmp_path_factory.mktemp(BINARY) / "log")
    server.start(lambda: True)
    yield
    server.stop()


def verbs(kubectl: Kubectl, role: str) -> set[str]:
    rules: list[dict[str, Any]] = json.loads(kubectl("get", "clusterrole", role, "-o", "json").stdout).get("rules") or []
    ours = [rule for rule in rules if "rampgate.dev" in rule["apiGroups"] and "experiments" in rule["resources"]]
    return {verb for rule in ours for verb in rule["verbs"]}


@pytest.mark.usefixtures("controlled")
@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        ("view", {"get", "list", "watch"}, {"patch", "create"}),
        ("edit", {"get", "update", "delete"}, {"approve"}),
        ("admin", {"update"}, {"approve"}),
    ],
)
def test_kubernetes_own_role_sees_or_edits_experiments_and_approves_none(
    role: str, has: set[str], lacks: set[str], kubectl: Kubectl
) -> None:
    wait_until(lambda: has <= verbs(kubectl, role), f"{role} has them", lambda: verbs(kubectl, role))
    assert not lacks & verbs(kubectl, role)


def pinned() -> list[dict[str, Any]]:
    """Copies that name the resource's version: without one, types are not looked at."""
    found = [each for each in yaml.safe_load_all((MANIFESTS / "admission.yaml").read_text()) if "matchConstraints" in each["spec"]]
    for policy in found:
        policy["metadata"]["name"] += "-pinned"
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]:
            rule["apiVersions"] = [VERSION if rule["apiGroups"] == [GROUP] else "v1"]
    return found


def warnings(kubectl: Kubectl, policy: dict[str, Any]) -> list[str] | None:
    """What is wrong with its types, but for the authorizer, which the check does not know; None before it was looked at."""
    printed = kubectl("get", "validatingadmissionpolicy", policy["metadata"]["name"], "-o", "json").stdout
    checked = (json.loads(printed).get("status") or {}).get("typeChecking")
    if checked is None:
        return None
    said = [warning["warning"] for warning in checked.get("expressionWarnings", [])]
    return [warning for warning in said if "failed resolution of 'kubernetes.authorization.Authorizer'" not in warning]


@pytest.mark.usefixtures("controlled")
@pytest.mark.parametrize("policy", pinned(), ids=lambda policy: policy["metadata"]["name"])
def test_the_types_of_a_policy_are_right_and_a_wrong_one_would_be_named(policy: dict[str, Any], kubectl: Kubectl) -> None:
    wrong = copy.deepcopy(policy)
    wrong["metadata"]["name"] += "-wrong"
    wrong["spec"]["validations"][0]["expression"] = "object.spec.nosuch == 1"
    for each in (policy, wrong):
        kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(each))
    wait_until(lambda: bool(warnings(kubectl, wrong)), "the wrong one is named", lambda: warnings(kubectl, wrong))
    wait_until(lambda: warnings(kubectl, policy) is not None, "it was looked at")
    assert warnings(kubectl, policy) == []
