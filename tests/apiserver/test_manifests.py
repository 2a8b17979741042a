"""The table of manifests on the real API server: it says what the models say (tests/core/test_spec.py), field by field."""

import copy
import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from rampgate_operator.core.resource import API_VERSION, PLURAL
from rampgate_operator.core.spec import Spec
from tests.conftest import Kubectl
from tests.manifests.creations import CREATIONS
from tests.manifests.table import Manifest, Row, Sentence, UpdateRow, changed, full_manifest, minimal_manifest
from tests.manifests.updates import STARTED, UPDATES
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

NOT_CHECKED = "some validation rules were not checked"
WRONG_INTEGER = "Checked value must be of type integer"  # the API server says this twice, the second time of no field


IN_YAML = """
apiVersion: rampgate.dev/v1alpha1
kind: Experiment
metadata: {name: new-checkout}
spec:
  owner: payments
  control: "off"
  variants: [{name: "off", value: no}, {name: "on", value: yes}]
  ramp: {steps: [{percent: 0.29, hold: 10m}]}
"""


InPhase = dict[tuple[str | None, str], str]


class Experiments:
    """The Experiments of one namespace, over plain HTTP: a kubectl for each row would take minutes."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self._url = url

    def try_to_create(self, manifest: Manifest) -> requests.Response:
        return self._session.post(self._url, params={"dryRun": "All", "fieldValidation": "Strict"}, json=manifest)

    def create(self, manifest: Manifest) -> None:
        """For good, with the status of the manifest."""
        self._session.post(self._url, json=manifest).raise_for_status()
        if "status" in manifest:
            patch = json.dumps({"status": manifest["status"]})
            address = f"{self._url}/{manifest['metadata']['name']}/status"
            self._session.patch(address, data=patch, headers={"Content-Type": "application/merge-patch+json"}).raise_for_status()

    def try_to_replace(self, manifest: Manifest) -> requests.Response:
        address = f"{self._url}/{manifest['metadata']['name']}"
        present = self._session.get(address).json()
        manifest["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        return self._session.put(address, params={"dryRun": "All", "fieldValidation": "Strict"}, json=manifest)


@pytest.fixture(scope="module")
def session(cluster: Cluster) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(cluster.ca_file)
        session.headers["Authorization"] = f"Bearer {cluster.token(Role.ADMIN)}"
        yield session


@pytest.fixture(scope="module")
def experiments(cluster: Cluster, session: requests.Session) -> Experiments:
    return Experiments(session, f"{cluster.url}/apis/{API_VERSION}/namespaces/default/{PLURAL}")


@pytest.fixture(scope="module")
def in_phase(experiments: Experiments) -> InPhase:
    """The name of an Experiment in each phase, and of one that was brought back to Pending."""
    names, mine = {}, secrets.token_hex(3)  # a process may come back to this file
    for phase, drawn in (*((phase, "") for phase in (None, "Pending", *STARTED)), ("Pending", "f00d")):
        names[phase, drawn] = f"in-phase-{mine}-{str(phase).lower()}{drawn}"
        experiments.create(renamed(UpdateRow("", phase, {}, draw_digest=drawn).before, names[phase, drawn]))
    return names


def renamed(manifest: Manifest, name: str) -> Manifest:
    result = copy.deepcopy(manifest)
    result["metadata"]["name"] = name
    return result


def sentences(response: requests.Response) -> set[Sentence]:
    """What the API server found, without what it says about itself."""
    if response.ok:
        return set()
    answer: dict[str, Any] = response.json()
    causes = answer.get("details", {}).get("causes", [])
    if not causes:
        found = re.findall(r'unknown field "([^"]*)"', answer["message"])
        assert found, answer["message"]
        return {(path, f'unknown field "{path}"') for path in found}
    return {
        (cause["field"], essence(cause["message"], cause["field"]))
        for cause in causes
        if NOT_CHECKED not in cause["message"] and WRONG_INTEGER not in cause["message"]
    }


def essence(message: str, path: str) -> str:
    """The sentence without the value and the path that it is about: `Invalid value: 0: spec.attempt in body should be …`."""
    for lead in (f"{path} in body ", " evaluating rule: "):
        if lead in message:
            return message.partition(lead)[2]
    prefix = "Invalid value: "
    if not message.startswith(prefix):
        return message
    rest = message.removeprefix(prefix)
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except ValueError:
        return rest
    return rest[end:].removeprefix(": ")


@pytest.mark.parametrize("row", CREATIONS, ids=lambda row: row.sentence)
def test_the_api_server_judges_a_new_manifest_as_the_table_says(row: Row, experiments: Experiments) -> None:
    assert sentences(experiments.try_to_create(row.manifest)) == {*row.refused, *row.also}


@pytest.mark.parametrize("row", UPDATES, ids=lambda row: row.sentence)
def test_the_api_server_judges_an_edit_as_the_table_says(row: UpdateRow, experiments: Experiments, in_phase: InPhase) -> None:
    assert sentences(experiments.try_to_replace(renamed(row.after, in_phase[row.phase, row.draw_digest]))) == set(row.refused)


def test_the_minimal_manifest_gets_the_defaults_of_the_models(experiments: Experiments) -> None:
    stored = experiments.try_to_create(minimal_manifest()).json()["spec"]
    assert Spec.from_wire(stored) == Spec.from_wire(minimal_manifest()["spec"])
    assert stored["attempt"] == stored["variants"][0]["weight"] == 1


def test_a_status_that_came_with_a_new_experiment_is_dropped(experiments: Experiments) -> None:
    status = {"phase": "Completed", "attempt": 1, "attemptStartedAt": "2026-12-01T09:00:00Z"}
    assert "status" not in experiments.try_to_create(full_manifest() | {"status": status}).json()


def test_a_person_reads_the_rule_and_the_field_in_what_kubectl_prints(kubectl: Kubectl, namespace: str) -> None:
    manifest = json.dumps(changed(minimal_manifest(), {"spec.control": "controll"}))
    refused = kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest, check=False)
    assert refused.returncode == 1
    assert refused.stderr == (
        'The Experiment "new-checkout" is invalid: spec.control: Invalid value: control must be the name of one of the variants\n'
    )


def test_kubectl_refuses_a_field_that_does_not_exist(kubectl: Kubectl, namespace: str) -> None:
    manifest = json.dumps(changed(minimal_manifest(), {"spec.ramp.steps[0].holdd": "1h"}))
    refused = kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest, check=False)
    assert (refused.returncode, 'unknown field "spec.ramp.steps[0].holdd"' in refused.stderr) == (1, True)


def test_kubectl_applies_by_the_client_and_by_the_server_and_lists_by_the_short_name(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=IN_YAML)
    kubectl("apply", "--server-side", "--field-manager=someone", "-n", namespace, "-f", "-", stdin=IN_YAML)
    values = kubectl("get", "rexp", "new-checkout", "-n", namespace, "-o", "jsonpath={.spec.variants[*].value}")
    assert values.stdout == "false true"  # kubectl reads YAML's yes and no as booleans
    heading = kubectl("get", "rampgate", "-n", namespace).stdout.split("\n")[0].split()
    assert heading == ["NAME", "PHASE", "PERCENT", "WAITING", "NEXT", "AGE"]


def test_two_people_may_own_a_guardrail_each(kubectl: Kubectl, namespace: str) -> None:
    for person in ("p99", "orders"):
        guardrails = [guardrail for guardrail in full_manifest()["spec"]["guardrails"] if guardrail["name"] == person]
        manifest = json.dumps(changed(minimal_manifest(), {"spec.guardrails": guardrails}))
        kubectl("apply", "--server-side", f"--field-manager={person}", "-n", namespace, "-f", "-", stdin=manifest)
    names = kubectl("get", "rexp", "new-checkout", "-n", namespace, "-o", "jsonpath={.spec.guardrails[*].name}")
    assert names.stdout == "p99 orders"


def test_kubectl_prints_when_the_next_step_is_due(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(minimal_manifest()))
    status = {"phase": "Ramping", "attempt": 1, "attemptStartedAt": "2026-12-01T09:00:00Z", "percent": 0.5, "waitingFor": "Hold"}
    patch = json.dumps({"status": status | {"nextStepAt": "2999-12-01T09:10:00Z"}})
    kubectl("patch", "rexp", "new-checkout", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    row = kubectl("get", "rexp", "-n", namespace, "--no-headers").stdout.split()
    assert row[:5] == ["new-checkout", "Ramping", "0.5", "Hold", "2999-12-01T09:10:00Z"]


def test_kubectl_explains_a_step(kubectl: Kubectl) -> None:
    explained = " ".join(kubectl("explain", "experiment.spec.ramp.steps").stdout.split())
    for words in ("The steps, by ascending percentage.", "percent <number> -required-", "hold <string> -required-", "approval <boolean>"):
        assert words in explained
    assert "Wait for `approved.upTo` to reach this step's percentage before it begins" in explained
