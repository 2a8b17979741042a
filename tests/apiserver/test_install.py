"""manifests/ on the real API server: applied in both ways, admitted under the strictest standard, and its samples accepted."""

import copy
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rampgate_operator.configuration import load_settings
from rampgate_operator.core.examine import examine
from rampgate_operator.core.spec import Spec
from rampgate_operator.settings import LeaseSettings, Settings
from tests.conftest import Kubectl

MANIFESTS = Path(__file__).parents[2] / "manifests"
SAMPLES = sorted((MANIFESTS / "samples").glob("*.yaml"))


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((MANIFESTS / name).read_text()))


def container() -> dict[str, Any]:
    return dict(load("deployment.yaml")["spec"]["template"]["spec"]["containers"][0])


def settings(tmp_path: Path, *, with_examples: bool) -> Settings:
    """The shipped configuration, by default or with everything that it shows in comments."""
    text = load("settings.yaml")["data"]["operator.yaml"]
    file = tmp_path / "operator.yaml"
    file.write_text(re.sub(r"^( *)# (\w+: )", r"\1\2", text, flags=re.MULTILINE) if with_examples else text)
    return load_settings(file, {})


@pytest.mark.parametrize("way", [(), ("--server-side",)], ids=["by the client", "by the server"])
def test_kubectl_applies_all_of_it_at_once_and_again(way: tuple[str, ...], kubectl: Kubectl) -> None:
    for _ in range(2):
        applied = kubectl("apply", *way, "-k", str(MANIFESTS))
        # other tests have applied the ClusterRole by the server alone, which kubectl mentions
        warnings = [line for line in applied.stderr.splitlines() if "last-applied-configuration" not in line]
        assert warnings == [], "neither PodSecurity nor a schema warns"
    kinds = {line.split("/")[0].split(".")[0] for line in applied.stdout.splitlines()}
    assert kinds == {
        "namespace", "serviceaccount", "role", "clusterrole", "rolebinding", "clusterrolebinding", "configmap", "deployment",
        "poddisruptionbudget", "validatingadmissionpolicy", "validatingadmissionpolicybinding",
    }  # fmt: skip


@pytest.mark.parametrize("privileged", [False, True], ids=["as it is", "privileged"])
def test_the_namespace_admits_the_pod_as_it_is_and_no_weaker_one(privileged: bool, kubectl: Kubectl) -> None:
    kubectl("apply", "-k", str(MANIFESTS))
    spec = copy.deepcopy(load("deployment.yaml")["spec"]["template"]["spec"])
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = privileged
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": "rampgate"}, "spec": spec}
    admitted = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
    assert ('violates PodSecurity "restricted' in admitted.stderr, admitted.returncode) == (privileged, int(privileged)), admitted.stderr


def test_two_replicas_run_read_only_with_a_place_for_temporary_files() -> None:
    assert load("deployment.yaml")["spec"]["replicas"] == 2
    assert container()["securityContext"]["readOnlyRootFilesystem"] is True
    assert {mount["mountPath"] for mount in container()["volumeMounts"]} == {"/etc/rampgate", "/tmp"}


def test_the_pod_reads_the_settings_and_listens_where_it_is_probed(tmp_path: Path) -> None:
    [config] = [argument for argument in container()["args"] if argument.startswith("--config=")]
    assert config == f"--config=/etc/rampgate/{next(iter(load('settings.yaml')['data']))}"
    [port] = container()["ports"]
    assert settings(tmp_path, with_examples=False).listen == f":{port['containerPort']}"
    assert [container()[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")] == [
        {"path": "/healthz", "port": port["name"]},
        {"path": "/healthz", "port": port["name"]},
        {"path": "/readyz", "port": port["name"]},
    ]


def test_the_settings_are_the_defaults_but_for_prometheus(tmp_path: Path) -> None:
    shipped = settings(tmp_path, with_examples=False)
    assert shipped == Settings(sources=shipped.sources)
    assert set(shipped.sources) == {"default"}


def test_what_the_settings_show_in_comments_is_every_setting_there_is_and_is_understood(tmp_path: Path) -> None:
    shown = settings(tmp_path, with_examples=True)
    assert shown.model_fields_set == set(Settings.model_fields)
    source = shown.sources["default"]
    assert source.model_fields_set == set(type(source).model_fields)


def test_the_lease_that_the_role_names_is_the_operators() -> None:
    roles = list(yaml.safe_load_all((MANIFESTS / "rbac" / "operator.yaml").read_text()))
    names = [name for role in roles for rule in role.get("rules", ()) for name in rule.get("resourceNames", ())]
    assert names == [LeaseSettings().name]


def test_each_rule_of_the_operators_roles_has_its_reason() -> None:
    lines = (MANIFESTS / "rbac" / "operator.yaml").read_text().splitlines()
    bare = [number for number, line in enumerate(lines) if line.startswith("  - apiGroups") and not lines[number - 1].startswith("  # ")]
    assert bare == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_is_accepted_by_the_api_server_and_by_the_operator(sample: Path, kubectl: Kubectl, namespace: str) -> None:
    for way in ((), ("--server-side", "--force-conflicts")):
        assert kubectl("apply", *way, "-n", namespace, "-f", str(sample)).stderr == ""
    name = yaml.safe_load(sample.read_text())["metadata"]["name"]
    stored = json.loads(kubectl("get", "experiments.rampgate.dev", name, "-n", namespace, "-o", "json").stdout)
    examined = examine(stored, sources={"default": timedelta(minutes=5)})
    assert isinstance(examined, Spec), examined


def test_the_samples_show_schedule_approval_exposures_and_several_treatments() -> None:
    specs = {sample.stem: Spec.from_wire(yaml.safe_load(sample.read_text())["spec"]) for sample in SAMPLES}
    hours = specs["office-hours"]
    assert hours.schedule is not None
    assert hours.schedule.windows
    assert any(step.approval for step in hours.ramp.steps)
    assert all(step.min_exposures for step in hours.ramp.steps)
    assert len(specs["two-treatments"].drawn_treatments) == 2
    assert len(specs["simple"].guardrails or ()) == 1
