"""Installed, upgraded, rolled back and uninstalled by both Helms on a real API server: Experiments and their CRD outlive all of it.

There are no pods, so nothing is waited for; the release's life is the API server's to take or to refuse.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import HELMS
from tests.chart.helm import CHART, RELEASE, Helm
from tests.chart.test_combinations import COMBINATIONS
from tests.conftest import CRDS
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl
from tools.devcluster.roles import Role

SAMPLE = CHART.parents[1] / "manifests" / "samples" / "simple.yaml"
WHERE = ("--namespace", RELEASE)
CRD = "crd/experiments.rampgate.dev"
LARGEST_RELEASE = 1_048_576
"""Bytes of a Secret; Helm keeps a release in one."""
ROOM = 4
"""Dashboards, alerts and a larger CRD are to come: how many times the chart of today must fit."""
ADDED = "aFieldOfTheNextRelease"


@pytest.fixture(params=HELMS)
def helm(request: pytest.FixtureRequest, own_cluster: Cluster, tmp_path: Path) -> Helm:
    return Helm(request.param, home=tmp_path, kubeconfig=own_cluster.kubeconfig())


@pytest.fixture
def next_chart(tmp_path: Path) -> Iterator[Path]:
    """The chart as it might be one release later: the CRD has a field more."""
    chart = tmp_path / "next"
    shutil.copytree(CHART, chart)
    [crd] = (chart / "files" / "crds").glob("*.yaml")
    definition = yaml.safe_load(crd.read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"][ADDED] = {"type": "string", "maxLength": 10}
    crd.write_text(yaml.safe_dump(definition))
    return chart


def install(helm: Helm, *options: str, chart: Path = CHART) -> None:
    helm.run("install", RELEASE, chart, *WHERE, "--create-namespace", *options)


def has_the_field(cluster: Cluster) -> bool:
    crd = json.loads(kubectl(cluster, "get", CRD, "-o", "json").stdout)
    return ADDED in crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def experiments(cluster: Cluster) -> list[str]:
    return kubectl(cluster, "get", "experiments.rampgate.dev", "-A", "-o", "name").stdout.split()


def apply_an_experiment(cluster: Cluster) -> None:
    established = 'jsonpath={.status.conditions[?(@.type=="Established")].status}=True'
    kubectl(cluster, "wait", f"--for={established}", CRD, "--timeout=30s")
    kubectl(cluster, "apply", "-n", "default", "-f", str(SAMPLE))


@pytest.mark.timeout(240)
def test_experiments_and_their_crd_outlive_upgrade_rollback_uninstall_and_are_found_again(
    helm: Helm, own_cluster: Cluster, next_chart: Path
) -> None:
    install(helm)
    apply_an_experiment(own_cluster)
    before = kubectl(own_cluster, "get", "experiments.rampgate.dev", "-A", "-o", "yaml").stdout

    helm.run("upgrade", RELEASE, next_chart, *WHERE)
    assert has_the_field(own_cluster)
    helm.run("rollback", RELEASE, "1", *WHERE)
    assert not has_the_field(own_cluster)
    helm.run("upgrade", RELEASE, CHART, *WHERE, values={"crds": {"install": False}})
    assert experiments(own_cluster)
    helm.run("uninstall", RELEASE, *WHERE)
    assert (
        kubectl(own_cluster, "get", "deployments,services,clusterroles,roles", "-A", "-l", "app.kubernetes.io/name=rampgate").stdout == ""
    )
    assert kubectl(own_cluster, "get", "experiments.rampgate.dev", "-A", "-o", "yaml").stdout == before

    install(helm)
    assert kubectl(own_cluster, "get", "experiments.rampgate.dev", "-A", "-o", "yaml").stdout == before


@pytest.mark.timeout(240)
def test_a_release_fits_into_its_secret_many_times_over(helm: Helm, own_cluster: Cluster) -> None:
    install(helm)
    secrets = json.loads(kubectl(own_cluster, "get", "secrets", *WHERE, "-o", "json").stdout)["items"]
    [size] = [len(secret["data"]["release"]) for secret in secrets]
    assert size * ROOM < LARGEST_RELEASE, size


@pytest.mark.timeout(240)
def test_a_crd_that_kubectl_applied_is_taken_over_when_asked_and_left_alone_when_not(helm: Helm, own_cluster: Cluster) -> None:
    apply_crds(own_cluster, CRDS)
    apply_an_experiment(own_cluster)
    refused = helm.run("install", RELEASE, CHART, *WHERE, "--create-namespace", check=False)
    assert "CustomResourceDefinition" in refused.stderr
    assert "ownership" in refused.stderr
    force = ("--force-conflicts",) if helm.name == "helm4" else ()
    install(helm, "--take-ownership", *force)
    assert experiments(own_cluster)


@pytest.mark.timeout(240)
def test_a_release_of_helm_3_is_carried_on_by_helm_4(own_cluster: Cluster, tmp_path: Path, next_chart: Path) -> None:
    three, four = (Helm(name, home=tmp_path, kubeconfig=own_cluster.kubeconfig()) for name in HELMS)
    install(three)
    apply_an_experiment(own_cluster)
    four.run("upgrade", RELEASE, next_chart, *WHERE, values={"workers": 4})
    assert has_the_field(own_cluster)
    four.run("uninstall", RELEASE, *WHERE)
    assert experiments(own_cluster)


@pytest.mark.timeout(240)
def test_a_team_with_rights_in_its_own_namespaces_alone_installs_an_operator_of_its_own(
    helm: Helm, own_cluster: Cluster, tmp_path: Path
) -> None:
    install(helm)  # somebody's, for all
    for namespace in ("team-a", "shop"):
        kubectl(own_cluster, "create", "namespace", namespace)
        binding = ("rolebinding", "team", "-n", namespace, "--clusterrole=cluster-admin", f"--user={Role.DEVELOPER.user}")
        kubectl(own_cluster, "create", *binding)
    team = Helm(helm.name, home=tmp_path, kubeconfig=own_cluster.kubeconfig(Role.DEVELOPER))
    values = COMBINATIONS["one team's own, nothing of the cluster's"]
    team.run("install", "theirs", CHART, "--namespace", "team-a", values=values)
    assert kubectl(own_cluster, "get", "deployment", "-n", "team-a", "-o", "name").stdout.strip() == "deployment.apps/team-a-operator"
    team.run("upgrade", "theirs", CHART, "--namespace", "team-a", values={**values, "workers": 4})
    team.run("uninstall", "theirs", "--namespace", "team-a")
    assert kubectl(own_cluster, "get", CRD, "-o", "name").stdout
