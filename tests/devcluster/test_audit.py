"""The audit log says who asked what with which answer, and costs nothing for an administrator."""

from tests.conftest import Kubectl
from tools.devcluster.audit import Request
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role


def asked_in(cluster: Cluster, namespace: str) -> list[Request]:
    return [request for request in cluster.requests() if request.namespace == namespace]


def test_a_request_that_was_refused_is_found_with_its_answer(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    kubectl("get", "secret", "token", "-n", namespace, role=Role.APPLICATION, check=False)
    assert asked_in(cluster, namespace) == [Request("rampgate:application", "get", "", "secrets", namespace, "token", 403)]


def test_a_subresource_is_named_as_rbac_names_it(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    arguments = ("experiments.rampgate.dev", "new-checkout", "-n", namespace, "--subresource=status", "--type=merge", "-p", "{}")
    kubectl("create", "role", "all", "-n", namespace, "--verb=get,patch", "--resource=experiments.rampgate.dev/status")
    kubectl("create", "rolebinding", "all", "-n", namespace, "--role=all", "--user", Role.APPLICATION.user)
    kubectl("patch", *arguments, role=Role.APPLICATION, check=False)
    found = {(request.group, request.resource, request.name, request.status) for request in asked_in(cluster, namespace)}
    assert ("rampgate.dev", "experiments/status", "new-checkout", 404) in found


def test_who_may_do_everything_is_not_logged(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "configmap", "mine", "-n", namespace)
    assert asked_in(cluster, namespace) == []


def test_the_log_goes_on_after_a_restart_of_the_api_server(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    for name in ("before", "after"):
        kubectl("get", "secret", name, "-n", namespace, role=Role.DEVELOPER, check=False)
        cluster.restart_api_server()
    assert [request.name for request in asked_in(cluster, namespace)] == ["before", "after"]
