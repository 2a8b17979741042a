import pytest

from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import kubectl as run_kubectl
from tools.devcluster.roles import Role


def test_the_api_server_says_the_version_it_was_built_from(kubectl):
    assert "Server Version: v1.36.3" in kubectl("version").stdout


@pytest.mark.parametrize(
    ("role", "user"),
    [
        (Role.ADMIN, "rampgate:admin"),
        (Role.OPERATOR, "rampgate:operator"),
        (Role.APPLICATION, "rampgate:application"),
        (Role.DEVELOPER, "rampgate:developer"),
    ],
)
def test_each_role_is_a_user_of_its_own(kubectl, role, user):
    assert kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", role=role).stdout == user


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_without_rbac_objects_a_role_may_do_nothing(kubectl, namespace, role):
    refused = kubectl("get", "configmaps", "-n", namespace, role=role, check=False)

    assert refused.returncode == 1
    assert f'User "{role.user}" cannot list resource "configmaps"' in refused.stderr


def test_each_test_gets_a_namespace_that_exists(kubectl, namespace):
    assert kubectl("get", "namespace", namespace, "-o", "jsonpath={.status.phase}").stdout == "Active"


def test_an_outage_of_the_api_server_keeps_address_and_data(tmp_path):
    with Cluster.start(tmp_path) as cluster:
        url = cluster.url
        run_kubectl(cluster, "create", "configmap", "kept", "--from-literal=key=value")
        cluster.stop_api_server()
        outage = run_kubectl(cluster, "get", "configmap", "kept", check=False)

        cluster.start_api_server()

        assert outage.returncode == 1
        assert cluster.url == url
        assert run_kubectl(cluster, "get", "configmap", "kept", "-o", "jsonpath={.data.key}").stdout == "value"
