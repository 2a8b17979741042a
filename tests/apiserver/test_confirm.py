"""`ramp.confirm` and what a kill comes to, with a real Prometheus that scrapes what pods say they run."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.pods import Pods
from tests.apiserver.team import Json, Operator, Team, meanwhile, stays, wait_until
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

GATE = "new-checkout"
STEPS = [{"percent": 1, "hold": "1s"}, {"percent": 10, "hold": "1s"}, {"percent": 50, "hold": "7d"}]
CONFIRMED: Json = {"ramp": {"steps": STEPS, "confirm": {"pods": "60%", "timeout": "3s"}}, "guardrails": None}


class Fleet:
    """Pods that run what is written, but for some that stay behind."""

    def __init__(self, team: Team, exporters: list[Exporter]) -> None:
        self._team, self._exporters = team, exporters
        self.behind = 0

    def tell(self) -> None:
        generation = (self._team.entry() or {}).get("generation", 0)
        for exporter in self._exporters[self.behind :]:
            exporter.set("rampgate_rules_generation", generation, gate=GATE)


@pytest.fixture
def fleet(team: Team, prometheus: Prometheus, namespace: str) -> Iterator[Fleet]:
    with ExitStack() as stack:
        exporters = [stack.enter_context(Exporter(prometheus, job=f"{namespace}-{each}", namespace=namespace)) for each in range(3)]
        fleet = Fleet(team, exporters)
        for exporter in exporters:
            exporter.set("rampgate_rules_generation", 1, gate=GATE)
        with meanwhile(fleet.tell, every=0.1):
            yield fleet


def rules(team: Team) -> Json:
    return dict(team.status().get("rules") or {})


def counts(team: Team) -> tuple[int | None, int | None]:
    return rules(team).get("podsOnGeneration"), rules(team).get("podsSeen")


def test_each_step_waits_for_its_pods_and_no_longer(team: Team, fleet: Fleet) -> None:
    fleet.behind = 1
    team.apply(changes=CONFIRMED)
    team.wait_for(percent=50, waitingFor="Hold")
    status = team.status()
    assert status["stepStartedAt"] == status["stepConfirmedAt"] == rules(team)["convergedAt"] > rules(team)["renderedAt"]
    assert counts(team) == (2, 3)
    assert len(rules(team)["podsBehind"]) == 1


def test_too_few_pods_hold_the_ramp_and_are_named_past_the_timeout(team: Team, fleet: Fleet, cluster: Cluster, namespace: str) -> None:
    pods = Pods(cluster, namespace)
    pods.add(2)
    fleet.behind = 2
    team.apply(changes=CONFIRMED)
    wait_until(lambda: "PodsBehind" in team.events(), "an Event says so", team.events)
    wait_until(pods.are_told, "a step that waits for its pods tells them", pods.told)
    wait_until(lambda: counts(team) == (1, 3), "the status has the share", team.status)
    stays(lambda: team.status()["percent"] == 1, "it does not step", seconds=2)
    fleet.behind = 0
    team.wait_for(percent=50)


def test_without_any_series_nothing_is_confirmed(team: Team) -> None:
    team.apply(changes=CONFIRMED)
    team.wait_for(percent=1, waitingFor="Pods")
    wait_until(lambda: "no series of rampgate_rules_generation" in str(team.status()["conditions"]), "it says so", team.status)
    stays(lambda: team.status()["percent"] == 1, "it does not step", seconds=2)


def test_a_kill_shows_how_many_obey_and_costs_nothing_once_all_do(team: Team, fleet: Fleet) -> None:
    team.apply(changes={**CONFIRMED, "ramp": {"steps": STEPS[-1:]}})
    team.wait_for(percent=50)
    fleet.behind = 2
    team.patch({"killed": True})
    team.wait_for(phase="Killed")  # what the step came to before may look like it
    wait_until(lambda: counts(team) == (1, 3), "the status shows how many", team.status)
    assert "convergedAt" not in rules(team)
    fleet.behind = 0
    wait_until(lambda: "convergedAt" in rules(team), "the status shows when", team.status)
    assert counts(team) == (3, 3)
    status = team.experiment()["metadata"]["resourceVersion"]
    stays(lambda: team.experiment()["metadata"]["resourceVersion"] == status, "nothing is written any more", seconds=8)


def test_a_restart_goes_on_waiting(team: Team, fleet: Fleet, operator: Operator) -> None:
    fleet.behind = 3
    team.apply(changes=CONFIRMED)
    team.wait_for(percent=1, waitingFor="Pods")
    operator.kill()
    operator.start()
    stays(lambda: team.status()["percent"] == 1, "it does not step", seconds=2)
    fleet.behind = 0
    team.wait_for(percent=50)
