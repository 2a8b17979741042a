"""Two replicas, one leader: who takes over when, and what a leader that was suspended may still do; real processes.

Nobody starts a replica again here, so their leases outlast what a busy machine stands still for.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import PATIENCE, Operator, Team, stays, wait_until
from tests.apiserver.test_counted import COUNTED, orders
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

LONG_STEPS = {"ramp": {"steps": [{"percent": 1, "hold": "1s"}, {"percent": 10, "hold": "5s"}, {"percent": 50, "hold": "1h"}]}}


@pytest.fixture
def replicas(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[tuple[Operator, Operator]]:
    """A leader and one that stands by."""
    one, two = (
        Operator(cluster, prometheus, namespace, log=tmp_path / f"{name}.log", identity=name, lease="10s") for name in ("one", "two")
    )
    with one:
        two.start(until="standing by")
        try:
            yield one, two
        finally:
            two.kill()


@pytest.fixture
def crew(cluster: Cluster, namespace: str, replicas: tuple[Operator, Operator]) -> Team:
    """The namespace as its team uses it; both replicas run."""
    del replicas
    return Team(cluster, namespace)


def run_out(kubectl: Kubectl, namespace: str) -> None:
    """Let the lease of a leader that is dead end within seconds: how long it counts is for the Lease to say."""
    lease = ("lease", "rampgate-operator", "-n", namespace)
    kubectl("patch", *lease, "--type=merge", "-p", '{"spec":{"leaseDurationSeconds":1}}')


def test_the_other_takes_over_when_the_leader_is_killed(
    crew: Team, replicas: tuple[Operator, Operator], shop: Exporter, kubectl: Kubectl
) -> None:
    one, two = replicas
    crew.apply(changes=LONG_STEPS)
    crew.wait_for_step(10)
    one.kill()
    run_out(kubectl, crew.namespace)
    wait_until(lambda: two.lines("watching") == 1, "the other one watches")
    status = crew.wait_for(percent=50)
    assert [row["percent"] for row in status["history"]] == [1, 10, 50]


def test_the_other_takes_over_at_once_when_the_leader_is_told_to_end(
    cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path
) -> None:
    one, two = (
        Operator(cluster, prometheus, namespace, log=tmp_path / f"{name}.log", identity=name, lease="60s") for name in ("one", "two")
    )
    with one:
        two.start(until="standing by")
        assert one.stop() == 0
        wait_until(lambda: two.lines("watching") == 1, "the other one watches, long before the lease would have ended")
    two.stop()


def test_a_leader_that_was_suspended_changes_nothing_when_it_goes_on(
    crew: Team, replicas: tuple[Operator, Operator], shop: Exporter
) -> None:
    one, two = replicas
    crew.apply(changes=LONG_STEPS)
    crew.wait_for_step(10)
    suspended = one.suspend()
    wait_until(lambda: two.lines("watching") == 1, "the other one watches")
    crew.wait_for(percent=50)
    shop.set("shop_errors", 0.9)
    crew.wait_for(phase="RolledBack")
    shop.set("shop_errors", 0.0)
    wait_until(lambda: (crew.entry() or {}).get("serve") == "ROLLED_BACK", "pods are told")
    before = (crew.experiment()["metadata"]["resourceVersion"], crew.rules())
    one.resume()
    assert suspended.wait(PATIENCE) == 1  # it has lost the lease, and ends
    stays(lambda: (crew.experiment()["metadata"]["resourceVersion"], crew.rules()) == before, "nothing has changed", seconds=1.0)
    assert one.lines("another replica may lead now") == 1


def test_the_other_goes_on_counting_where_the_leader_had_written_and_counts_nothing_twice(
    crew: Team, replicas: tuple[Operator, Operator], shop: Exporter, kubectl: Kubectl
) -> None:
    one, two = replicas
    with orders(shop, control=10, baseline=10, treatment=10) as served:
        crew.apply(changes={"guardrails": [COUNTED], **LONG_STEPS})
        crew.wait_for_step(10)
        one.kill()
        run_out(kubectl, crew.namespace)
        wait_until(lambda: two.lines("watching") == 1, "the other one watches")
        before = crew.wait_for(percent=50)["guardrails"][0]["evidence"][0]
        served.failing["treatment"] = 2
        after = crew.wait_for(phase="RolledBack")["guardrails"][0]
    (evidence,) = after["evidence"]
    assert len(before["steps"]) >= 2
    assert evidence["looks"] > before["looks"]
    assert after["samples"] <= served.counts["treatment"][0]


def test_while_the_other_leads_one_that_stands_by_writes_nothing(crew: Team, replicas: tuple[Operator, Operator], shop: Exporter) -> None:
    one, two = replicas
    crew.apply()
    crew.wait_for(percent=50)
    wait_until(lambda: one.lines("Stepped") == 3, "the leader has told every step", one.log.read_text)
    assert two.lines("Stepped") == 0
