"""The commands of docs/runbook.md and docs/operations.md, run as they stand there, do what the pages say."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.adapters.exporter import Exporter
from tests.apiserver.people import MANIFESTS
from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl
from tests.docs.pages import Page, page
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

RUNBOOK, OPERATIONS, INSTALL = page("docs/runbook.md"), page("docs/operations.md"), page("docs/install.md")


class Person:
    """Who copies the blocks under a heading into a terminal, with the names of the test."""

    def __init__(self, kubeconfig: Path, namespace: str, directory: Path, *, operator: str = "rampgate") -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "KUBECONFIG": str(kubeconfig)}
        self._namespace, self._directory, self._operator = namespace, directory, operator
        self.kubeconfig = kubeconfig

    def follow(self, heading: str, *, at: Page = RUNBOOK, blocks: slice = slice(None)) -> str:
        """Run them, and give what they print."""
        done = self._run(heading, at, blocks)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, heading: str, *, blocks: slice = slice(None)) -> str:
        """Run them, and give why they fail."""
        done = self._run(heading, RUNBOOK, blocks)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def _run(self, heading: str, at: Page, blocks: slice) -> "subprocess.CompletedProcess[str]":
        found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", at.text, re.MULTILINE | re.DOTALL)
        assert found is not None, heading
        lines = "".join(re.findall(r"^```sh\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)[blocks])
        here = re.sub(r"-n shop\b| -A\b", f" -n {self._namespace}", lines).replace("-n rampgate", f"-n {self._operator}")
        script = f"set -euo pipefail\n{here}"
        return subprocess.run(
            ["bash", "-c", script], cwd=self._directory, env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def person(cluster: Cluster, namespace: str, tmp_path: Path) -> Person:
    return Person(cluster.kubeconfig(Role.ADMIN), namespace, tmp_path)


def test_everything_is_kept_where_it_is_and_then_put_on_control(team: Team, shop: Exporter, person: Person) -> None:
    for name in ("new-checkout", "other"):
        team.apply(name)
        team.wait_for(name, percent=50)
    person.follow("Stop everything", blocks=slice(1))
    for name in ("new-checkout", "other"):
        team.wait_for(name, waitingFor="Paused", percent=50)
    assert "feature-gates" in person.follow("Stop everything", blocks=slice(1, None))
    for name in ("new-checkout", "other"):
        team.wait_for(name, waitingFor="BreakGlass", percent=50)


def run_a_pod(kubectl: Kubectl, namespace: str) -> None:
    """One with the label by which pods are told; no kubelet starts it."""
    labels = {"rampgate.dev/gates": "feature-gates"}
    body = {"metadata": {"name": "shop", "labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop"}]}}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", **body}))


def test_the_glass_is_broken_it_says_what_is_meant_and_pods_are_told_by_hand(
    team: Team, shop: Exporter, person: Person, kubectl: Kubectl
) -> None:
    run_a_pod(kubectl, team.namespace)
    team.apply()
    team.wait_for(percent=50)
    assert person.follow("Runbook") == "feature-gates\n"
    named, *keys = person.follow("Break the glass").partition("kill: ")[2].splitlines()
    assert f"{named}.json" in keys
    assert "pod/shop annotated" in keys
    team.wait_for(waitingFor="BreakGlass")
    assert person.follow("Be sure").splitlines()[-3:-1] == ["new-checkout", "rampgate.dev/1"]


def test_a_gate_is_stopped_it_is_sure_and_it_begins_again(team: Team, shop: Exporter, person: Person) -> None:
    team.apply()
    team.wait_for(percent=50)
    person.follow("Stop a gate now")
    status = team.wait_for(phase="Killed")
    wait_until(lambda: team.exposure() == 0, "pods are told")
    sure = person.follow("Be sure")
    assert "Killed" in sure
    assert '"latch":"Kill"' in sure
    assert f'"generation":{status["rules"]["generation"]}' in sure.splitlines()[-1]
    assert "new-checkout-1" in person.follow("Who stopped it, and why")
    person.follow("Begin again")
    team.wait_for(attempt=2, phase="Ramping")


SET_AND_CHECK, TELL_PODS = slice(3), slice(3, 4)
"""The blocks of "Break the glass"."""
AS_ON_CALL = ("--as=somebody", "--as-group=on-call")


def bind(kubectl: Kubectl, file: str, namespace: str) -> None:
    """Apply a Role of docs/install.md and run the commands under it, all in one namespace."""
    [role] = [block.text for block in INSTALL.blocks if block.text.startswith(f"# {file}\n")]
    [lines] = [block.text.splitlines() for block in INSTALL.blocks if block.text.startswith(f"kubectl apply -f {file}\n")]
    kubectl("apply", "-f", "-", stdin=re.sub("namespace: (shop|rampgate)", f"namespace: {namespace}", role))
    for command in lines[1:]:
        kubectl(*re.sub("-n (shop|rampgate)", f"-n {namespace}", command.removeprefix("kubectl ")).split())


@pytest.fixture
def on_call(cluster: Cluster, namespace: str, kubectl: Kubectl, tmp_path: Path) -> Person:
    """Somebody of the group that docs/install.md binds, by its own commands, to `rampgate-killer` and the Role beside it; nothing else."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", f"{MANIFESTS}/rbac/people.yaml", "-f", f"{MANIFESTS}/admission.yaml")
    bind(kubectl, "on-call.yaml", namespace)
    config = yaml.safe_load(cluster.kubeconfig(Role.ADMIN).read_text())
    config["users"][0]["user"] |= {"as": "somebody", "as-groups": ["on-call"]}
    kubeconfig = tmp_path / "on-call.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(config))
    for what in ("experiments.rampgate.dev", "configmap/feature-gates"):
        asked = partial(kubectl, "auth", "can-i", "patch", what, "-n", namespace, *AS_ON_CALL, check=False)
        wait_until(lambda asked=asked: asked().returncode == 0, f"{what} may be patched")
    return Person(kubeconfig, namespace, tmp_path)


def test_who_is_on_call_may_do_what_the_runbook_says_with_the_role_that_it_names(team: Team, shop: Exporter, on_call: Person) -> None:
    team.apply()
    team.wait_for(percent=50)
    on_call.follow("Break the glass", blocks=SET_AND_CHECK)
    team.wait_for(waitingFor="BreakGlass")
    on_call.follow("Stop a gate now")
    team.wait_for(phase="Killed")
    assert "Killed" in on_call.follow("Be sure")
    looked = on_call.follow("Who stopped it, and why")
    assert "new-checkout-1" in looked
    assert not re.search(r"^Events: +<none>", looked, re.MULTILINE)
    assert '"ramp":' in on_call.follow("Go back to an earlier version")
    on_call.follow("Remove a gate for good")


OF_OTHERS = (
    ("Break the glass", TELL_PODS, 'cannot list resource "pods"'),
    ("Stop everything", slice(1), "this changes spec.paused: that takes the ClusterRole rampgate-editor"),
    ("Stop everything", slice(1, None), 'cannot list resource "configmaps"'),
    ("Begin again", slice(None), "this changes spec.attempt: that takes the ClusterRole rampgate-editor"),
    ("The operator is down", slice(None), 'cannot list resource "pods" in API group "" in the namespace "rampgate"'),
)
"""Where the runbook names other rights, and what is said to who lacks them."""


def test_who_is_on_call_needs_the_rights_that_the_runbook_names_for_the_rest(
    team: Team, shop: Exporter, on_call: Person, kubectl: Kubectl
) -> None:
    team.apply()
    team.wait_for(percent=50)
    tried = ("patch", "experiments.rampgate.dev", "new-checkout", "--type=merge", "-p", '{"spec":{"paused":true}}', "--dry-run=server")
    wait_until(lambda: kubectl(*tried, "-n", team.namespace, *AS_ON_CALL, check=False).returncode != 0, "the policy for killers holds")
    for heading, blocks, why in OF_OTHERS:
        assert why in on_call.refused(heading, blocks=blocks)


def test_who_is_on_call_sees_why_the_operator_is_down_and_tells_pods_by_hand_once_allowed_to(
    team: Team, shop: Exporter, on_call: Person, kubectl: Kubectl, tmp_path: Path
) -> None:
    run_a_pod(kubectl, team.namespace)
    for file in ("operator-logs.yaml", "tell-pods.yaml"):
        bind(kubectl, file, team.namespace)
    for right in (("list", "leases.coordination.k8s.io"), ("patch", "pods")):
        asked = partial(kubectl, "auth", "can-i", *right, "-n", team.namespace, *AS_ON_CALL, check=False)
        wait_until(lambda asked=asked: asked().returncode == 0, f"it may {' '.join(right)}")
    allowed = Person(on_call.kubeconfig, team.namespace, tmp_path, operator=team.namespace)
    assert "pod/shop annotated" in allowed.follow("Break the glass", blocks=TELL_PODS)
    assert 'pods "POD" not found' in allowed.refused("The operator is down", blocks=slice(None))


NEEDS_JQ = pytest.mark.skipif(shutil.which("jq") is None, reason="the backup was not tried: jq is not installed here")
RESTORE = "Backup and restore"
BACKUP, RESTORED_RULES, RESTORED_EXPERIMENTS, SURE = slice(1), slice(2, 3), slice(3, 4), slice(5, None)
"""Its blocks; the two that are left out end the operator's Deployment, and start it."""


@NEEDS_JQ
def test_what_was_killed_stays_so_and_what_is_served_goes_on_after_a_restore(
    operator: Operator, team: Team, shop: Exporter, person: Person
) -> None:
    for name in ("new-checkout", "other"):
        team.apply(name)
        team.wait_for(name, percent=50)
        wait_until(lambda name=name: team.exposure(name) == 50, "50 % is served")
    person.follow("Stop a gate now")
    team.wait_for(phase="Killed")
    wait_until(lambda: team.exposure() == 0, "pods are told")
    team.patch_rules({"large": "x" * 300_000})
    person.follow(RESTORE, at=OPERATIONS, blocks=BACKUP)
    operator.stop()
    team.delete("new-checkout")
    team.delete("other")
    team.delete_rules()
    person.follow(RESTORE, at=OPERATIONS, blocks=RESTORED_RULES)
    person.follow(RESTORE, at=OPERATIONS, blocks=RESTORED_EXPERIMENTS)
    assert team.status() == team.status("other") == {}
    operator.start()
    team.wait_for(phase="Killed")
    assert team.wait_for("other", phase="Ramping")["percent"] == 50
    assert (team.exposure(), team.exposure("other")) == (0, 50)
    wait_until(lambda: "StatusRebuilt" in team.events(), "an Event says so", team.events)  # after the status does
    assert "StatusRebuilt" in person.follow(RESTORE, at=OPERATIONS, blocks=SURE)


@NEEDS_JQ
def test_a_restore_beside_a_running_operator_begins_ramps_again_and_keeps_what_was_killed(
    operator: Operator, team: Team, shop: Exporter, person: Person
) -> None:
    for name in ("new-checkout", "other"):
        team.apply(name)
        team.wait_for(name, percent=50)
    person.follow("Stop a gate now")
    team.wait_for(phase="Killed")
    person.follow(RESTORE, at=OPERATIONS, blocks=BACKUP)
    team.delete("new-checkout")
    team.delete("other")
    team.delete_rules()
    person.follow(RESTORE, at=OPERATIONS, blocks=RESTORED_RULES)
    wait_until(lambda: team.entry("other") is None, "what is left over is removed")
    person.follow(RESTORE, at=OPERATIONS, blocks=RESTORED_EXPERIMENTS)
    team.wait_for(phase="Killed", percent=0)
    began = team.wait_for("other", phase="Ramping")["history"][0]
    assert (began["from"], began["percent"]) == ("Pending", 1)
