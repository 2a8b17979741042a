"""Many at once, or one that never rests: nobody's kill, step or rollback waits for a neighbour."""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Team, wait_until
from tests.conftest import Kubectl
from tests.harddays.day import HELD, Recovery, eventually, hard_day, is_told, percents
from tools.devcluster.cluster import Cluster

MANY = 300
PERIOD = 0.02
"""Seconds between two edits: 50 times a second."""
STORM = 20
"""So many before anything else happens: then it rages, as fast as a machine manages beside other tests."""
BREACHING = {"guardrails": [{"name": "errors", "query": "max_over_time(shop_trouble[1s])", "max": 0.5}]}


@contextmanager
def again_and_again(do: Callable[[int], object]) -> Iterator[None]:
    """Do something 50 times a second, meanwhile; begins when that is under way."""
    over, done, began = Event(), [0], time.monotonic()

    def run() -> None:
        for number in itertools.count():
            if over.wait(max(0.0, began + number * PERIOD - time.monotonic())):
                return
            do(number)
            done[0] += 1

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: done[0] >= STORM, "it is under way")
        yield
        assert thread.is_alive(), "it has ended by itself"
    finally:
        over.set()
        thread.join()


@hard_day(
    fault="300 Experiments applied at once, one of them killed meanwhile",
    expected="the kill goes before everything else, and every other one is taken in",
)
def test_a_kill_does_not_wait_for_300_others(team: Team, cluster: Cluster, shop: Exporter, recovery: Recovery) -> None:
    ramp = {"ramp": {"steps": [{"percent": 10, "hold": "1h"}]}, "interval": "30s"}
    team.apply("to-be-killed", changes=ramp)
    team.wait_for("to-be-killed", percent=10)
    wait_until(lambda: team.exposure("to-be-killed") == 10, "10 % is served")
    names = [f"one-of-many-{number}" for number in range(MANY)]
    with ThreadPoolExecutor(4) as threads:
        teams = itertools.cycle([Team(cluster, team.namespace) for _ in range(4)])
        applied = [threads.submit(next(teams).apply, name, changes=ramp) for name in names]
        applied[MANY // 2].result()
        team.patch({"killed": True}, "to-be-killed")
        with recovery:
            wait_until(lambda: (team.entry("to-be-killed") or {}).get("serve") == "KILLED", "pods are told")
        for each in applied:
            each.result()
    gates = {f"{name}.json" for name in names}
    eventually(lambda: gates <= (team.rules() or {}).keys(), "all are taken in", seconds=60.0)


@hard_day(
    fault="an Experiment edited 50 times a second, which breaches",
    expected="it is rolled back all the same, and a healthy neighbour goes on step by step",
)
def test_a_storm_of_edits_holds_up_neither_its_own_rollback_nor_a_neighbour(
    team: Team, cluster: Cluster, shop: Exporter, recovery: Recovery, kubectl: Kubectl
) -> None:
    shop.set("shop_trouble", 0.0)
    team.apply("stormy", changes={**HELD, **BREACHING})
    team.wait_for("stormy", percent=50)
    other = Team(cluster, team.namespace)
    with again_and_again(lambda number: other.patch({"owner": f"owner-{number}"}, "stormy")):
        team.apply("healthy", changes=HELD)
        shop.set("shop_trouble", 0.9)
        with recovery:
            wait_until(lambda: (team.entry("stormy") or {}).get("serve") == "ROLLED_BACK", "it is rolled back")
        team.wait_for("healthy", percent=50)
    assert percents(team, "healthy") == [10, 50]
    team.wait_for("stormy", phase="RolledBack")
    is_told(kubectl, team, "0.9 is above max 0.5", name="stormy")


@hard_day(
    fault="somebody else writes the status 50 times a second (409 for every write that is not the first)",
    expected="it is repaired, steps are made one by one and never skipped, and a breach is acted upon",
)
def test_somebody_else_who_writes_the_status_all_the_time_neither_raises_exposure_nor_stops_a_rollback(
    team: Team, cluster: Cluster, shop: Exporter, recovery: Recovery
) -> None:
    other = Team(cluster, team.namespace)
    team.apply(changes=HELD)
    team.wait_for_step(10)
    with again_and_again(lambda number: other.patch_status({"waitingFor": ("Hold", "Paused")[number % 2]})):
        team.wait_for(percent=50)
        wait_until(lambda: team.exposure() == 50, "50 % is served")
        shop.set("shop_errors", 0.9)
        with recovery:
            wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "it is rolled back")
    team.wait_for(phase="RolledBack")
    assert percents(team) == [10, 50, 0]
