"""What the chart renders is what manifests/ has, where they overlap: nobody finds other rights, policies or pods by the other way."""

import copy
import subprocess
from pathlib import Path

import pytest
import yaml

from rampgate_operator.configuration import load_settings
from rampgate_operator.settings import Settings
from tests.chart.helm import CHART, Helm, Json
from tools.devcluster.binaries import kubectl_path

MANIFESTS = CHART.parents[1] / "manifests"
AS_IN_MANIFESTS: Json = {"image": {"repository": "rampgate"}, "sources": {"default": {"url": "http://prometheus.monitoring:9090"}}}
HELMS_OWN = ("app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart")
"""Labels that the chart adds; `instance` is in its selectors too, for a namespace may have several releases."""
ONLY_IN_THE_CHART = {("Service", "rampgate-operator"), ("CustomResourceDefinition", "experiments.rampgate.dev")}
"""The CRD is applied by itself, and a Service is for whoever scrapes by one."""
ONLY_IN_MANIFESTS = {("Namespace", "rampgate")}
"""`--create-namespace` is Helm's."""


def plain(content: object) -> object:
    """Without what one of them adds for itself."""
    if isinstance(content, list):
        return [plain(item) for item in content]
    if not isinstance(content, dict):
        return content
    found = {key: plain(value) for key, value in content.items() if key not in (*HELMS_OWN, "checksum/configuration", "imagePullPolicy")}
    return {key: value for key, value in found.items() if value != {} or content[key] == {}}


def by_name(objects: list[Json]) -> dict[tuple[str, str], Json]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], Json]:
    printed = subprocess.run([kubectl_path(), "kustomize", MANIFESTS], check=True, capture_output=True, text=True).stdout
    return by_name(list(yaml.safe_load_all(printed)))


@pytest.fixture
def rendered(each_helm: Helm) -> dict[tuple[str, str], Json]:
    return by_name(each_helm.render(AS_IN_MANIFESTS))


def test_each_has_the_objects_of_the_other(rendered: dict[tuple[str, str], Json], manifests: dict[tuple[str, str], Json]) -> None:
    assert rendered.keys() - ONLY_IN_THE_CHART == manifests.keys() - ONLY_IN_MANIFESTS


def test_each_object_is_the_same(rendered: dict[tuple[str, str], Json], manifests: dict[tuple[str, str], Json]) -> None:
    for kind, name in manifests.keys() - ONLY_IN_MANIFESTS - {("ConfigMap", "rampgate-operator")}:
        assert plain(in_one_order(rendered[kind, name])) == plain(in_one_order(manifests[kind, name])), (kind, name)


def in_one_order(body: Json) -> Json:
    """RBAC's rules are a set; and kustomize does not know that a policy is in no namespace, which kubectl forgives."""
    if body["kind"].startswith("ValidatingAdmissionPolicy"):
        return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "namespace"}}
    return {**body, "rules": sorted(body["rules"], key=str)} if "rules" in body else body


def test_the_configuration_is_the_same(
    rendered: dict[tuple[str, str], Json], manifests: dict[tuple[str, str], Json], tmp_path: Path
) -> None:
    assert settings(rendered["ConfigMap", "rampgate-operator"], tmp_path) == settings(manifests["ConfigMap", "rampgate-operator"], tmp_path)


def settings(config_map: Json, tmp_path: Path) -> Settings:
    file = tmp_path / "operator.yaml"
    file.write_text(config_map["data"]["operator.yaml"])
    return load_settings(file, {})


def test_the_crd_is_that_of_crds_but_for_whose_it_is_and_that_it_is_kept(each_helm: Helm) -> None:
    rendered = copy.deepcopy(by_name(each_helm.render())["CustomResourceDefinition", "experiments.rampgate.dev"])
    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    del rendered["metadata"]["labels"]
    [original] = (CHART.parents[1] / "crds").glob("*.yaml")
    assert rendered == yaml.safe_load(original.read_text())
