"""`rampgate eval --namespace`: the rules are read from a real API server, by the kubeconfig."""

import json
import os
import subprocess
import sys
from subprocess import CompletedProcess

from rampgate.rules import render_entry
from tests.conftest import Kubectl
from tests.sdk.entries import entry
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

DATA = {"format": "rampgate.dev/1", "g.json": render_entry(entry(percent=100)), "kill": "other"}


def evaluate(cluster: Cluster, *arguments: str, role: Role = Role.ADMIN) -> "CompletedProcess[str]":
    command = [sys.executable, "-m", "rampgate_operator", "eval", "g", "--context", '{"userId": "u-1"}', *arguments]
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig(role))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def create(kubectl: Kubectl, namespace: str, name: str, data: dict[str, str]) -> None:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(config_map))


def test_a_gate_is_explained_by_the_rules_in_the_cluster(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    create(kubectl, namespace, "feature-gates", DATA)
    shown = evaluate(cluster, "--namespace", namespace)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "enrolled: bucket" in shown.stdout


def test_a_config_map_of_another_name_is_asked_for_by_name(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    create(kubectl, namespace, "more-gates", {**DATA, "kill": "g"})
    shown = evaluate(cluster, "--namespace", namespace, "--name", "more-gates", "--output", "json")
    assert json.loads(shown.stdout)["decision"]["reason"] == "KILLED"


def test_what_is_wrong_with_the_config_map_is_exit_status_2_in_a_sentence(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    create(kubectl, namespace, "settings", {"debug": "true"})
    for arguments, role, said in (
        (["--name", "feature-gates"], Role.ADMIN, f"ConfigMap feature-gates in namespace {namespace}: there is none"),
        (["--name", "settings"], Role.ADMIN, 'its key "format" does not say rampgate.dev/1'),
        ([], Role.DEVELOPER, "the API server answered 403 Forbidden"),
    ):
        refused = evaluate(cluster, "--namespace", namespace, *arguments, role=role)
        assert (refused.returncode, refused.stdout) == (2, ""), said
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1
