"""examples/kustomize: built by kubectl, and accepted by the API server and the operator."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rampgate_operator.configuration import load_settings
from rampgate_operator.core.examine import examine
from rampgate_operator.core.spec import Spec
from tests.conftest import Kubectl
from tests.docs.pages import ROOT

EXAMPLES = ROOT / "examples" / "kustomize"
EXPERIMENTS = EXAMPLES / "experiments"


def built(kubectl: Kubectl, folder: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder)).stdout))


@pytest.mark.parametrize(("folder", "percents"), [("base", [1, 10, 50, 100]), ("staging", [50, 100])])
def test_an_environments_experiment_is_accepted_with_its_own_steps(
    folder: str, percents: list[int], kubectl: Kubectl, namespace: str
) -> None:
    [manifest] = built(kubectl, EXPERIMENTS / folder)
    manifest["metadata"]["namespace"] = namespace
    assert kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest)).stderr == ""
    spec = examine(manifest, sources={"default": timedelta(minutes=5)})
    assert isinstance(spec, Spec)
    assert [step.percent for step in spec.ramp.steps] == percents


def test_an_overlay_changes_the_namespace_and_the_steps_alone(kubectl: Kubectl) -> None:
    [base], [staging] = (built(kubectl, EXPERIMENTS / folder) for folder in ("base", "staging"))
    assert (base["metadata"].pop("namespace"), staging["metadata"].pop("namespace")) == ("shop", "shop-staging")
    assert base["spec"].pop("ramp") != staging["spec"].pop("ramp")
    assert base == staging
    assert "killed" not in base["spec"]


def test_the_operators_overlay_is_the_manifests_with_another_image_and_settings(kubectl: Kubectl, tmp_path: Path) -> None:
    def kinds(folder: Path) -> dict[str, dict[str, Any]]:
        return {f"{each['kind']}/{each['metadata']['name']}": each for each in built(kubectl, folder)}

    ours, theirs = kinds(ROOT / "manifests"), kinds(EXAMPLES / "operator")
    assert {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)} == {
        "ConfigMap/rampgate-operator",
        "Deployment/rampgate-operator",
    }
    [container] = theirs["Deployment/rampgate-operator"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.shop.example/rampgate:0.1.0"
    file = tmp_path / "operator.yaml"
    file.write_text(theirs["ConfigMap/rampgate-operator"]["data"]["operator.yaml"])
    assert set(load_settings(file, {}).sources) == {"default"}


def test_the_operators_overlay_is_applied(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", str(ROOT / "manifests" / "namespace.yaml"))
    kubectl("apply", "--dry-run=server", "-k", str(EXAMPLES / "operator"))
