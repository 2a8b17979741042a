"""What `helm test` runs, run here: it says ok of an operator that answers, and names what is wrong where something is."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apiserver.team import Operator
from tests.chart.helm import CHART, Helm, the
from tools.devcluster.cluster import Cluster
from tools.devcluster.loopback import free_port
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role

SCRIPT = CHART / "files" / "ask.py"


@pytest.fixture
def operator(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log") as running:
        yield running


def ask(url: str, cluster: Cluster, namespace: str, directory: Path, *, role: Role = Role.ADMIN) -> "subprocess.CompletedProcess[str]":
    """Run the script as a pod would, with a ServiceAccount's directory."""
    for name, text in (("token", cluster.token(role)), ("namespace", namespace), ("ca.crt", cluster.ca_file.read_text())):
        (directory / name).write_text(text)
    environment = {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.port)}
    command = [sys.executable, "-c", SCRIPT.read_text(), url, str(directory)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_operator_that_answers_and_an_api_server_that_takes_experiments_are_ok(
    cluster: Cluster, namespace: str, operator: Operator, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{operator.port}"
    done = ask(url, cluster, namespace, tmp_path)
    assert done.stdout.splitlines() == [f"{url}/readyz: ok", f"{url}/metrics: ok", "an Experiment, as a dry run: ok"]
    assert done.returncode == 0, done.stderr
    refused = ask(url, cluster, namespace, tmp_path, role=Role.APPLICATION)
    assert refused.returncode == 1
    assert "an Experiment, as a dry run: 403 " in refused.stderr


def test_an_operator_that_is_not_there_is_told(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    done = ask(f"http://127.0.0.1:{free_port()}", cluster, namespace, tmp_path)
    assert done.returncode == 1
    assert re.search(r"/readyz: .*refused", done.stderr)


def test_the_hook_runs_the_script_against_the_service(helm: Helm) -> None:
    objects = helm.render({"port": 9000}, with_tests=True)
    pod = the(objects, "Pod", "rampgate-test")
    [container] = pod["spec"]["containers"]
    assert container["command"] == ["python", "-c"]
    assert container["args"][0] == SCRIPT.read_text()
    service = the(objects, "Service", "rampgate-operator")
    assert container["args"][1] == f"http://rampgate-operator.{service['metadata']['namespace']}:{service['spec']['ports'][0]['port']}"
    assert container["image"] == the(objects, "Deployment", "rampgate-operator")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
