"""Namespaces that the operator may not look at: they hold up no other, are named with what helps, and are taken in once it may."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role


class OfTwo(Operator):
    """An operator that is to watch a second namespace too, where it has no rights."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus, namespaces: tuple[str, str], *, log: Path) -> None:
        super().__init__(cluster, prometheus, namespaces[0], log=log)
        self._environment["RAMPGATE_NAMESPACES"] = json.dumps(namespaces)


@pytest.fixture
def closed(kubectl: Kubectl, namespace: str) -> str:
    """A namespace in which nobody has bound the operator's rights."""
    kubectl("create", "namespace", f"{namespace}-closed")
    return f"{namespace}-closed"


@pytest.fixture
def operator(cluster: Cluster, prometheus: Prometheus, namespace: str, closed: str, tmp_path: Path) -> Iterator[Operator]:
    with OfTwo(cluster, prometheus, (namespace, closed), log=tmp_path / "operator.log") as running:
        yield running


def test_a_namespace_without_rights_holds_up_no_other_and_is_taken_in_once_it_has_them(
    cluster: Cluster, namespace: str, closed: str, operator: Operator, kubectl: Kubectl
) -> None:
    opened, other = Team(cluster, namespace), Team(cluster, closed)
    opened.apply(changes={"killed": True})
    other.apply(changes={"killed": True})
    opened.wait_for(phase="Killed")
    refused = f"403 Forbidden: may not list experiments in namespace {closed}; the rights are in manifests/rbac/operator.yaml"
    wait_until(lambda: operator.lines(refused) > 0, "what is missing is named", operator.log.read_text)
    assert not operator.lines("APIForbiddenError")
    assert other.status() == {}
    kubectl("create", "rolebinding", "operator", "-n", closed, "--clusterrole", "rampgate-operator", "--user", Role.OPERATOR.user)
    other.wait_for(phase="Killed")


def test_an_outage_of_the_api_server_is_outlived(cluster: Cluster, namespace: str, closed: str, operator: Operator) -> None:
    team = Team(cluster, namespace)
    team.apply(changes={"killed": True})
    team.wait_for(phase="Killed")
    cluster.restart_api_server()
    team.patch({"killed": False, "attempt": 2})
    wait_until(lambda: team.status()["attempt"] == 2, "the watch has come back", team.status)
