"""What the operator needs is not there yet when it starts: it waits, says for what, and begins once it is there."""

import json
from pathlib import Path

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team
from tests.conftest import CRDS, Kubectl
from tests.harddays.day import HELD, Recovery, hard_day, holds, is_told, percents
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds
from tools.devcluster.kubectl import kubectl as kubectl_of
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role


@hard_day(
    fault="the operator started before the CRD",
    expected="it neither ends nor falls silent: the log names the CRD, and the Experiments are taken in once it is there",
)
def test_an_operator_that_is_there_before_the_crd_waits_for_it(prometheus: Prometheus, tmp_path: Path, recovery: Recovery) -> None:
    with Cluster.start() as empty:
        kubectl_of(empty, "create", "namespace", "early")
        with (
            Exporter(prometheus, job="early", namespace="early") as shop,
            Started(
                empty, prometheus, "early", log=tmp_path / "operator.log", until="is the CRD experiments.rampgate.dev there?"
            ) as operator,
        ):
            shop.set("shop_errors", 0.0)
            team = Team(empty, "early")
            apply_crds(empty, CRDS)
            with recovery:
                team.apply(changes=HELD)
                team.wait_for_step(10)
            team.wait_for(percent=50)
            assert percents(team) == [10, 50]
            assert operator.stop() == 0


class Started(Operator):
    """An operator that is waited for until it says something else than that it watches."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus, namespace: str, *, log: Path, until: str, watches: str = "") -> None:
        super().__init__(cluster, prometheus, namespace, log=log)
        self._until = until
        if watches:
            self._environment |= {"RAMPGATE_NAMESPACES": json.dumps([watches]), "RAMPGATE_LEASE__NAMESPACE": namespace}

    def __enter__(self) -> "Started":
        self.start(until=self._until)
        return self


@hard_day(
    fault="the operator started before its namespace, and before it has rights there",
    expected="it waits and says what is missing; nothing is served before it can be written",
)
def test_an_operator_that_is_there_before_its_namespace_takes_it_in_once_it_is_there(
    cluster: Cluster, prometheus: Prometheus, namespace: str, kubectl: Kubectl, tmp_path: Path, recovery: Recovery
) -> None:
    later, until = f"{namespace}-later", f"may not list experiments in namespace {namespace}-later"
    with (
        Exporter(prometheus, job=later, namespace=later) as shop,
        Started(cluster, prometheus, namespace, log=tmp_path / "operator.log", until=until, watches=later),
    ):
        shop.set("shop_errors", 0.0)
        kubectl("create", "namespace", later)
        team = Team(cluster, later)
        team.apply(changes=HELD)
        assert team.rules() is None
        kubectl("create", "rolebinding", "operator", "-n", later, "--clusterrole", "rampgate-operator", "--user", Role.OPERATOR.user)
        with recovery:
            team.wait_for_step(10)
        team.wait_for(percent=50)
        assert percents(team) == [10, 50]


@pytest.fixture
def absent(tmp_path: Path) -> Prometheus:
    """A Prometheus that is not there yet."""
    with Prometheus.launch(tmp_path / "prometheus", scrape_interval=0.25) as metrics:
        metrics.stop()
        yield metrics


@hard_day(
    fault="the operator started before Prometheus",
    expected="no ramp begins without a reading, and the condition says that there is no connection",
)
def test_a_ramp_does_not_begin_before_prometheus_is_there(
    cluster: Cluster, absent: Prometheus, namespace: str, kubectl: Kubectl, tmp_path: Path, recovery: Recovery
) -> None:
    with (
        Exporter(absent, job=namespace, namespace=namespace) as shop,
        Operator(cluster, absent, namespace, log=tmp_path / "operator.log"),
    ):
        shop.set("shop_errors", 0.0)
        team = Team(cluster, namespace)
        team.apply(changes=HELD)
        team.wait_for(phase="Pending", waitingFor="Metrics")
        is_told(kubectl, team, "failed (Unreachable)", "No connection to metrics source default", "There is no step without a reading")
        holds(lambda: team.exposure() == 0, "nobody is exposed", seconds=2.0)
        absent.start()
        with recovery:
            team.wait_for_step(10)
        team.wait_for(percent=50)
        assert percents(team) == [10, 50]
