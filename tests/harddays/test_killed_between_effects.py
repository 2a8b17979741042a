"""SIGKILL before each effect of a step and of a rollback: whoever starts again finishes it, once."""

import secrets
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Json, Operator, Team, wait_until
from tests.apiserver.test_counted import COUNTED, orders
from tests.apiserver.turnstile import Turnstile
from tests.conftest import Kubectl
from tests.harddays.day import Recovery, hard_day, is_told, percents
from tests.harddays.twin import compare
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

EFFECTS = ["experiments/status", "configmaps", "events"]
APPROVED = {"approved": {"attempt": 1, "upTo": 50}}
TWO_STEPS = {"ramp": {"steps": [{"percent": 10, "hold": "300ms"}, {"percent": 50, "hold": "1h", "approval": True}]}}
AT_ONCE = {"ramp": {"steps": [{"percent": 50, "hold": "1h"}]}}


class Scene(NamedTuple):
    """One namespace for all tests of this file that a process runs; each has an Experiment of its own."""

    team: Team
    operator: Operator
    shop: Exporter
    turnstile: Turnstile
    kubectl: Kubectl
    prometheus: Prometheus
    applied: list[str]

    def clear(self) -> None:
        """Delete what earlier tests have applied: no look at it may lead to a write while the turnstile waits for another's."""
        while self.applied:
            name = self.applied.pop()
            self.team.delete(name)
            wait_until(lambda name=name: self._is_gone(name), f"{name} is gone", self.team.rules)

    def _is_gone(self, name: str) -> bool:
        """Tell whether the operator has done with a gate that was deleted: the entry of an attempt that was ended stays."""
        entry = self.team.entry(name)
        return entry is None or "latch" in entry

    def ramp(self, changes: Json) -> str:
        """Apply an Experiment whose guardrail reads a metric that no other one reads."""
        name = f"shop-{secrets.token_hex(3)}"
        self.set_errors(name, 0.0)
        query = f"max_over_time(errors_of_{name.replace('-', '_')}[1s])"
        self.team.apply(name, changes={**changes, "guardrails": [{"name": "errors", "query": query, "max": 0.5}]})
        self.applied.append(name)
        return name

    def ramp_counting(self) -> str:
        """Apply an Experiment whose guardrail counts; no scrape becomes visible later than an interval, on a busy machine too."""
        name = f"shop-{secrets.token_hex(3)}"
        self.team.apply(name, changes={**TWO_STEPS, "interval": "4s", "guardrails": [{**COUNTED, "onBreach": "Hold"}]})
        self.applied.append(name)
        return name

    def experiment(self, name: str) -> Json:
        """The Experiment with all that the operator knows: an edit makes it write what nothing else would."""
        generation = self.team.patch({"hypothesis": secrets.token_hex(4)}, name)["metadata"]["generation"]
        self.team.wait_for(name, observedGeneration=generation)
        return self.team.experiment(name)

    def set_errors(self, name: str, value: float) -> None:
        """What the guardrail of an Experiment reads."""
        self.shop.set(f"errors_of_{name.replace('-', '_')}", value)

    def wait_for_event(self, name: str, reason: str) -> None:
        """Wait until what was to be told so far is told."""
        query = (
            "get",
            "events",
            "-n",
            self.team.namespace,
            "--field-selector",
            f"involvedObject.name={name},reason={reason}",
            "-o",
            "name",
        )
        wait_until(lambda: bool(self.kubectl(*query).stdout), f"{reason} is told")

    def kill_before_the_write(self, resource: str) -> None:
        """SIGKILL while a write stands before the turnstile."""
        self.turnstile.wait_for(resource)
        self.operator.kill()

    def start_again(self, resource: str) -> None:
        """Start it, and only then let writes through: by now the API server has given up what a dead client asked for."""
        self.operator.start()
        self.turnstile.unlock(resource)


@pytest.fixture(scope="module")
def stage(cluster: Cluster, prometheus: Prometheus, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    namespace = f"killed-{secrets.token_hex(3)}"
    kubectl("create", "namespace", namespace)
    log = tmp_path_factory.mktemp(namespace) / "operator.log"
    with (
        Operator(cluster, prometheus, namespace, log=log) as operator,
        Exporter(prometheus, job=namespace, namespace=namespace) as shop,
        Turnstile(cluster, namespace) as turnstile,
    ):
        yield Scene(Team(cluster, namespace), operator, shop, turnstile, kubectl, prometheus, [])


@pytest.fixture
def scene(stage: Scene) -> Scene:
    """The namespace, with nobody in it."""
    stage.clear()
    return stage


@pytest.mark.parametrize("resource", EFFECTS)
@hard_day(
    fault="SIGKILL before the status, before the entry, and before the Event of a step",
    expected="the step is made once, none is skipped, and exposure is never above what the status says",
)
def test_a_step_that_was_cut_short_is_neither_lost_nor_made_twice(resource: str, scene: Scene, recovery: Recovery) -> None:
    team, name = scene.team, scene.ramp(TWO_STEPS)
    team.wait_for(name, percent=10, waitingFor="Approval")
    wait_until(lambda: team.exposure(name) == 10, "10 % is served")
    scene.wait_for_event(name, "Approval")
    scene.turnstile.lock(resource)
    team.patch(APPROVED, name)
    scene.kill_before_the_write(resource)
    assert team.status(name)["percent"] == (10 if resource == "experiments/status" else 50)
    assert team.exposure(name) == (50 if resource == "events" else 10)
    with recovery:
        scene.start_again(resource)
        team.wait_for(name, percent=50)
        wait_until(lambda: team.exposure(name) == 50, "50 % is served")
    assert percents(team, name) == [10, 50]


@pytest.mark.parametrize("resource", EFFECTS)
@hard_day(
    fault="SIGKILL before the status, before the entry, and before the Event of a step, while a guardrail counts",
    expected="no window is counted twice, and none is lost: the evidence is to its last digit that of an operator that never was killed",
)
def test_a_step_that_was_cut_short_leaves_the_evidence_of_an_undisturbed_twin(resource: str, scene: Scene, recovery: Recovery) -> None:
    team, name = scene.team, scene.ramp_counting()
    team.wait_for(name, percent=10)  # so that all series are born within the step: none has a past to count from
    with orders(scene.shop, gate=name, control=10, baseline=10, treatment=10):
        team.wait_for(name, percent=10, waitingFor="Approval")
        scene.turnstile.lock(resource)
        team.patch(APPROVED, name)
        scene.kill_before_the_write(resource)
        with recovery:
            scene.start_again(resource)
            team.wait_for(name, percent=50)
            wait_until(lambda: team.exposure(name) == 50, "50 % is served")
            wait_until(lambda: _counts_its_step(scene.experiment(name)), "the step is counted", lambda: team.status(name))
        scene.operator.kill()
        scene.operator.start()
        found, undisturbed = compare(scene.experiment(name), scene.prometheus, 10, 50)
    assert found == undisturbed


@pytest.mark.parametrize("resource", EFFECTS)
@hard_day(
    fault="SIGKILL before the status, before the entry, and before the Event of a rollback",
    expected="pods are put on control all the same; once the status says so, healthy readings do not undo it",
)
def test_a_rollback_that_was_cut_short_is_not_forgotten(resource: str, scene: Scene, recovery: Recovery, kubectl: Kubectl) -> None:
    team = scene.team
    name = scene.ramp(AT_ONCE)
    team.wait_for(name, percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure(name) == 50, "50 % is served")
    scene.wait_for_event(name, "Stepped")
    scene.turnstile.lock(resource)
    scene.set_errors(name, 0.9)
    scene.kill_before_the_write(resource)
    if resource != "experiments/status":
        scene.set_errors(name, 0.0)
    with recovery:
        scene.start_again(resource)
        team.wait_for(name, phase="RolledBack", percent=0)
        wait_until(lambda: (team.entry(name) or {}).get("serve") == "ROLLED_BACK", "pods are told")
    is_told(kubectl, team, "0.9 is above max 0.5", "set spec.attempt to 2", name=name)
    assert [row["to"] for row in team.status(name)["history"]] == ["Ramping", "RolledBack"]


@hard_day(
    fault="SIGKILL before an accepted spec is kept as a ControllerRevision",
    expected="it is kept once, and the ramp neither stops nor begins again",
)
def test_an_accepted_spec_whose_keeping_was_cut_short_is_kept_once(scene: Scene, recovery: Recovery, kubectl: Kubectl) -> None:
    name = scene.ramp(AT_ONCE)
    scene.team.wait_for(name, percent=50)
    scene.turnstile.lock("controllerrevisions")
    scene.team.patch({"owner": "others"}, name)
    scene.kill_before_the_write("controllerrevisions")
    with recovery:
        scene.start_again("controllerrevisions")
        scene.team.wait_for(name, observedGeneration=2)
    label = f"rampgate.dev/experiment={name}"
    kept = kubectl("get", "controllerrevisions", "-n", scene.team.namespace, "-l", label, "-o", "jsonpath={.items[*].data.owner}")
    assert sorted(kept.stdout.split()) == ["others", "payments"]
    assert percents(scene.team, name) == [50]


def _counts_its_step(experiment: Json) -> bool:
    """Tell whether evidence of the step is there; what was counted before its rules were served is void."""
    status = experiment["status"]
    steps = [step.split()[0] for known in status.get("guardrails", ()) for each in known.get("evidence", ()) for step in each["steps"]]
    return status.get("waitingFor") != "Rules" and status["stepStartedAt"] in steps
