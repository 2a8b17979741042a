"""examples/gitops/flux-kustomization.yaml: its expressions are run by the real API server's CEL, over statuses that the core made.

Flux gives them an object's fields by name. Here an admission policy evaluates them, which has the fields in `object`, and refuses with what
they say.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.apiserver.team import EXPERIMENT, Json, wait_until
from tests.conftest import Kubectl
from tests.core.story import Story
from tests.docs.pages import ROOT
from tests.recipes.states import STATES, manifest_of, ramping

KUSTOMIZATION = yaml.safe_load((ROOT / "examples" / "gitops" / "flux-kustomization.yaml").read_text())
[CHECK] = KUSTOMIZATION["spec"]["healthCheckExprs"]
WORDS = ("inProgress", "failed", "current")
HAS_FAILED = {"a breach has ended it", "a person has killed it", "a kill does not reach pods", "its spec cannot be run"}
NOT_TAKEN_IN = {
    "a kill does not reach pods",
    "its entry is being written",
    "its spec cannot be run",
    "the glass is broken",
    "its ConfigMap is foreign",
}
NAME = "health-by-expressions"


def policy(namespace: str) -> Json:
    expressions = [re.sub(r"(?<![\w.])(status|metadata)\b(?=\.)", r"object.\1", CHECK[word]) for word in WORDS]
    said = " + ' ' + ".join(f"(({expression}) ? '{word}' : '')" for word, expression in zip(WORDS, expressions, strict=True))
    rule = {"apiGroups": ["rampgate.dev"], "apiVersions": ["*"], "resources": ["experiments/status"], "operations": ["UPDATE"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
        "validations": [{"expression": "false", "messageExpression": f"'[' + {said} + ']'"}],
    }
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": NAME}}
    binding = {**group, "kind": "ValidatingAdmissionPolicyBinding", "spec": {"policyName": NAME, "validationActions": ["Deny"]}}
    return {"apiVersion": "v1", "kind": "List", "items": [{**group, "kind": "ValidatingAdmissionPolicy", "spec": spec}, binding]}


@pytest.fixture(scope="module")
def judge(kubectl: Kubectl) -> Iterator[Callable[[Json], list[str]]]:
    """Give the words whose expressions hold for a status."""
    namespace = f"flux-judged-{secrets.token_hex(4)}"  # a process may come to these tests twice: it is dealt the rest of another's
    kubectl("create", "namespace", namespace)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(EXPERIMENT))

    def ask(status: Json) -> str:
        patch = ("patch", "experiments.rampgate.dev", "new-checkout", "--subresource=status", "--type=merge", "--dry-run=server")
        return kubectl(*patch, "-n", namespace, "-p", json.dumps({"status": status}), check=False).stderr

    def words(status: Json) -> list[str]:
        found = re.search(r"\[([\w ]*)\]", ask(status))
        assert found is not None, ask(status)
        return found[1].split()

    probe = manifest_of(ramping())["status"]
    kubectl("apply", "-f", "-", stdin=json.dumps(policy(namespace)))
    wait_until(lambda: NAME in ask(probe), "the policy is in force", lambda: ask(probe))
    yield words
    kubectl("delete", "-f", "-", stdin=json.dumps(policy(namespace)))


@pytest.mark.parametrize(("name", "story"), [pytest.param(*state[:2], id=state[0]) for state in STATES if state[1] is not Story])
def test_health_where(name: str, story: Callable[[], Story], judge: Callable[[Json], list[str]]) -> None:
    manifest = manifest_of(story())
    seen = manifest["status"]["observedGeneration"] == manifest["metadata"]["generation"]
    held = judge(manifest["status"] | {"observedGeneration": int(seen)})  # the object that is patched is of generation 1
    expected = {"inProgress": not seen, "failed": name in HAS_FAILED, "current": name not in NOT_TAKEN_IN}
    assert held == [word for word, holds in expected.items() if holds]


def test_its_patch_adds_the_annotation_that_leaves_a_kill(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text(json.dumps(EXPERIMENT))
    (tmp_path / "kustomization.yaml").write_text(
        json.dumps({"resources": ["experiment.yaml"], "patches": KUSTOMIZATION["spec"]["patches"]})
    )
    built = yaml.safe_load(kubectl("kustomize", str(tmp_path)).stdout)
    assert built["metadata"].pop("annotations") == {"kustomize.toolkit.fluxcd.io/ssa": "Merge"}
    assert built == EXPERIMENT
