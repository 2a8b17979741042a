"""Which cluster it is: one answer, for the watch and for the requests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rampgate_operator.adapters.login import NoClusterError, find_kubeconfig, log_in
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

KUBECONFIG = """
current-context: here
contexts: [{{name: here, context: {{cluster: one, user: somebody}}}}]
clusters: [{{name: one, cluster: {{server: "{server}"}}}}]
users: [{{name: somebody, user: {{{user}}}}}]
"""


PLUGIN = """#!/bin/sh
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "from-plugin"}}'
"""
EXEC = "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Never}"


def write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG.format(server="https://one:6443", user="token: secret"))
    return path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "plugin"
    path.write_text(PLUGIN)
    path.chmod(0o755)
    return path


@pytest.fixture
def service_account(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("of the pod")
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    return tmp_path / ".kube" / "config"


def test_in_a_pod_with_both_the_kubeconfig_that_was_named_wins(kubeconfig: Path, service_account: Path) -> None:
    assert find_kubeconfig({"KUBECONFIG": str(kubeconfig)}, service_account=service_account) == str(kubeconfig)


def test_in_a_pod_without_a_named_kubeconfig_it_is_the_service_account(service_account: Path, home: Path, kubeconfig: Path) -> None:
    kubeconfig.rename(home)
    assert find_kubeconfig({}, service_account=service_account) is None


def test_outside_a_pod_it_is_the_kubeconfig_of_the_home_directory(home: Path, kubeconfig: Path, tmp_path: Path) -> None:
    kubeconfig.rename(home)
    assert find_kubeconfig({}, service_account=tmp_path / "absent") == str(home)


def test_one_of_several_kubeconfigs_is_enough(kubeconfig: Path, tmp_path: Path) -> None:
    several = os.pathsep.join(["/nope", str(kubeconfig)])
    assert find_kubeconfig({"KUBECONFIG": several}, service_account=tmp_path / "absent") == several


async def test_without_a_cluster_one_line_says_where_it_was_sought(tmp_path: Path, service_account: Path) -> None:
    with pytest.raises(NoClusterError, match=r"^no cluster: not inside a pod, and the kubeconfig /nope does not exist$"):
        await log_in({"KUBECONFIG": "/nope"}, service_account=tmp_path / "absent")
    with pytest.raises(NoClusterError, match=r"^no cluster: the kubeconfig /nope does not exist$"):
        await log_in({"KUBECONFIG": "/nope"}, service_account=service_account)


@pytest.mark.parametrize("text", ["", "just words", "[a, list]", "clusters: [", "current-context: other", "\0"])
async def test_a_kubeconfig_that_cannot_be_used_is_one_line(text: str, kubeconfig: Path) -> None:
    write(kubeconfig, text)
    with pytest.raises(NoClusterError, match=r"^no cluster: the kubeconfig .* cannot be used: .+$"):
        await log_in({"KUBECONFIG": str(kubeconfig)})


@pytest.mark.parametrize(
    ("user", "scheme", "token"),
    [
        ("token: secret", "Bearer", "secret"),
        ("username: me, password: mine", "Basic", "bWU6bWluZQ=="),
        (EXEC, "Bearer", "from-plugin"),
        ("", None, None),
    ],
    ids=["token", "password", "exec plugin", "nobody"],
)
async def test_the_watch_gets_the_credentials_of_the_requests(
    user: str, scheme: str | None, token: str | None, kubeconfig: Path, plugin: Path
) -> None:
    write(kubeconfig, KUBECONFIG.format(server="https://one:6443", user=user.replace("./plugin", str(plugin))))
    login = await log_in({"KUBECONFIG": str(kubeconfig)})
    connection = login.connection()
    assert login.configuration.host == connection.server == "https://one:6443"
    assert (connection.scheme, connection.token) == (scheme, token)


async def test_renewing_gives_the_rotated_token_to_both(kubeconfig: Path) -> None:
    login = await log_in({"KUBECONFIG": str(kubeconfig)})
    write(kubeconfig, KUBECONFIG.format(server="https://one:6443", user="token: rotated"))
    await login.renew()
    assert login.connection().token == "rotated"
    assert login.configuration.api_key["BearerToken"] == "Bearer rotated"


async def test_a_real_cluster_is_reached_by_its_kubeconfig(cluster: Cluster) -> None:
    connection = (await log_in({"KUBECONFIG": str(cluster.kubeconfig(Role.OPERATOR))})).connection()
    assert connection.server == cluster.url
    assert connection.token == cluster.token(Role.OPERATOR)
