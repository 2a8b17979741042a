"""What docs/recipes.md has a CI job wait for, with real kubectl beside a running operator."""

import copy
import json
import os
import subprocess

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import EXPERIMENT, Team
from tests.conftest import Kubectl
from tests.docs.pages import blocks
from tools.devcluster.binaries import kubectl_path
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

WAITS = [line for block in blocks("sh") if block.page == "docs/recipes.md" for line in block.text.splitlines() if "kubectl wait" in line]
*TAKEN_IN, REACHED, STOPPED = WAITS


def run(line: str, cluster: Cluster, namespace: str) -> "subprocess.CompletedProcess[str]":
    """Run a line as a job does, in the test's namespace; with less patience where it is to fail."""
    path = f"{kubectl_path().parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig(Role.ADMIN))}
    command = line.replace("-n shop", f"-n {namespace}")
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=90)


def test_a_job_waits_until_the_spec_is_accepted_then_for_a_percentage_and_can_ask_whether_it_was_stopped(
    cluster: Cluster, kubectl: Kubectl, team: Team, shop: Exporter
) -> None:
    manifest = copy.deepcopy(EXPERIMENT)
    manifest["spec"]["ramp"]["steps"] = [{"percent": 1, "hold": "1s"}, {"percent": 10, "hold": "1h"}]  # long enough for a job to see it
    kubectl("apply", "--server-side", "-n", team.namespace, "-f", "-", stdin=json.dumps(manifest))
    for line in (*TAKEN_IN, REACHED):
        waited = run(line, cluster, team.namespace)
        assert waited.returncode == 0, waited.stderr
    assert len(TAKEN_IN) == 2
    assert run(STOPPED, cluster, team.namespace).returncode == 1
    team.patch({"killed": True})
    team.wait_for(phase="Killed")
    assert run(STOPPED, cluster, team.namespace).returncode == 0


@pytest.mark.parametrize("line", TAKEN_IN[:1])
def test_a_job_does_not_take_an_older_specs_acceptance_for_the_newest_ones(line: str, cluster: Cluster, team: Team, shop: Exporter) -> None:
    team.apply()
    assert run(line, cluster, team.namespace).returncode == 0
    team.apply(changes={"guardrails": [{"name": "errors", "query": "up", "max": 1, "source": "nowhere"}]})
    ended = run(line.replace("30s", "3s"), cluster, team.namespace)
    assert ended.returncode == 1, ended.stdout
