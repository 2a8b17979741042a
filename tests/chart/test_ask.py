"""What `helm test` runs, run here: it says ok of an operator that answers, and names what is wrong where something is."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.faulty import Faulty
from tests.apiserver.team import Operator
from tests.chart.helm import CHART, Helm, the
from tests.chart.test_combinations import COMBINATIONS
from tools.devcluster.cluster import Cluster
from tools.devcluster.loopback import free_port
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role

SCRIPT = CHART / "files" / "ask.py"


@pytest.fixture
def operator(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log") as running:
        yield running


def ask(
    url: str, cluster: Cluster, namespace: str, directory: Path, *options: str, role: Role = Role.ADMIN, **sources: str
) -> "subprocess.CompletedProcess[str]":
    """Run the script as a pod would, with a ServiceAccount's directory and the operator's file."""
    configuration = directory / "operator.yaml"
    configuration.write_text(json.dumps({"sources": {name: {"url": at} for name, at in sources.items()}}))
    for name, text in (("token", cluster.token(role)), ("namespace", namespace), ("ca.crt", cluster.ca_file.read_text())):
        (directory / name).write_text(text)
    environment = {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.port)}
    command = [sys.executable, "-c", SCRIPT.read_text(), url, str(configuration), f"--account={directory}", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_operator_that_answers_an_api_server_that_takes_experiments_and_a_source_are_ok(
    cluster: Cluster, namespace: str, operator: Operator, prometheus: Prometheus, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{operator.port}"
    done = ask(url, cluster, namespace, tmp_path, default=prometheus.url)
    said = [f"{url}/readyz: ok", f"{url}/metrics: ok", "an Experiment, as a dry run: ok", "source default: ok"]
    assert (done.stdout.splitlines(), done.returncode) == (said, 0), done.stderr
    refused = ask(url, cluster, namespace, tmp_path, role=Role.APPLICATION)
    assert refused.returncode == 1
    assert "an Experiment, as a dry run: 403 " in refused.stderr


def test_an_operator_that_is_not_there_is_told(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    done = ask(f"http://127.0.0.1:{free_port()}", cluster, namespace, tmp_path)
    assert done.returncode == 1
    assert re.search(r"/readyz: .*refused", done.stderr)


def test_without_a_source_or_with_one_that_does_not_answer_it_fails_and_says_what_follows(
    cluster: Cluster, namespace: str, operator: Operator, prometheus: Prometheus, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{operator.port}"
    bare = ask(url, cluster, namespace, tmp_path)
    assert bare.returncode == 1
    assert "no metrics source: guardrails cannot be read, and nothing is rolled back by itself" in bare.stderr
    misspelled = ask(url, cluster, namespace, tmp_path, default=prometheus.url, billing="http://promethoys.invalid:9090")
    assert misspelled.returncode == 1
    assert "source default: ok" in misspelled.stdout
    assert "source billing: No connection to metrics source billing (http://promethoys.invalid:9090)" in misspelled.stderr
    assert "no guardrail reads: nothing is rolled back by it" in misspelled.stderr


@pytest.mark.parametrize(("options", "status"), [((), 1), (("--not-my-token=default",), 0)])
def test_a_source_that_refuses_the_token_is_told_unless_it_is_another_one_than_the_operators(
    options: tuple[str, ...], status: int, cluster: Cluster, namespace: str, operator: Operator, tmp_path: Path
) -> None:
    with Faulty() as server:
        done = ask(f"http://127.0.0.1:{operator.port}", cluster, namespace, tmp_path, *options, default=server.url("forbidden"))
    assert done.returncode == status, done.stderr
    assert "check its token and rights" in done.stderr if status else "the operator's own token, which was not tried" in done.stdout


def test_the_hook_runs_the_script_against_the_service(helm: Helm) -> None:
    objects = helm.render({"port": 9000}, with_tests=True)
    pod = the(objects, "Pod", "rampgate-test")
    [container] = pod["spec"]["containers"]
    assert container["command"] == ["python", "-c"]
    assert container["args"][0] == SCRIPT.read_text()
    service = the(objects, "Service", "rampgate-operator")
    assert container["args"][1] == f"http://rampgate-operator.{service['metadata']['namespace']}:{service['spec']['ports'][0]['port']}"
    assert container["image"] == the(objects, "Deployment", "rampgate-operator")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert container["args"][2:] == ["/etc/rampgate/operator.yaml"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_the_hook_asks_with_all_that_the_operator_has_but_its_account(helm: Helm) -> None:
    objects = helm.render(COMBINATIONS["tokens and certificates"], with_tests=True)
    pod, operator = (
        the(objects, "Pod", "rampgate-test")["spec"],
        the(objects, "Deployment", "rampgate-operator")["spec"]["template"]["spec"],
    )
    [mine], [its] = pod["containers"], operator["containers"]
    assert mine["env"] == its["env"]
    assert mine["volumeMounts"] == [each for each in its["volumeMounts"] if each["name"] != "tmp"]
    assert pod["volumes"] == [each for each in operator["volumes"] if each["name"] != "tmp"]
    assert mine["args"][3:] == ["--not-my-token=default"]


def test_the_network_policy_lets_the_hook_reach_the_operator_and_what_that_one_reaches(helm: Helm) -> None:
    objects = helm.render(COMBINATIONS["network policies"], with_tests=True)
    mine, its = (the(objects, "NetworkPolicy", name)["spec"] for name in ("rampgate-test", "rampgate-operator"))
    assert mine["podSelector"]["matchLabels"].items() <= the(objects, "Pod", "rampgate-test")["metadata"]["labels"].items()
    assert mine["egress"][:-1] == its["egress"]
    assert mine["egress"][-1] == {"to": [{"podSelector": its["podSelector"]}], "ports": [{"port": 8080}]}
