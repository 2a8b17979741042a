"""What a bad reading does, with a real Prometheus behind it: it holds, it is explained, it neither advances nor rolls back by itself."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import EXPERIMENT, PATIENCE, Operator, Team, stays, wait_until
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

GUARDRAIL = EXPERIMENT["spec"]["guardrails"][0]
TWO_STEPS = {"ramp": {"steps": [{"percent": 10, "hold": "1s"}, {"percent": 100, "hold": "1h"}]}}


class Silent:
    """A metrics source that takes connections and never says a word."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def take_question(self) -> socket.socket:
        """Wait until somebody asks, and give the connection on which an answer is waited for."""
        self._listening.settimeout(PATIENCE)
        connection, _ = self._listening.accept()
        return connection


def is_waited_on(connection: socket.socket) -> bool:
    """Whether who asked still waits: all of the question can be read, and not its end."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    return False


@pytest.fixture
def silent() -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Silent(listening)


@pytest.fixture
def impatient(cluster: Cluster, prometheus: Prometheus, namespace: str, silent: Silent, tmp_path: Path) -> Iterator[Team]:
    """A team whose operator knows a second source, `silent`."""
    source = {"url": silent.url, "timeout": f"{PATIENCE:g}s"}  # it is waited for as long as the test waits
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", silent=source):
        yield Team(cluster, namespace)


BAD = {
    "no series": ("max_over_time(shop_nothing[1s])", "no data"),
    "not a number": ("max_over_time(shop_errors[1s]) * NaN", "no data"),
    "two series": ("max_over_time(shop_latency[1s])", "more than one series"),
}


@pytest.mark.parametrize("reading", BAD)
def test_a_bad_reading_holds_the_second_step_and_says_what_is_wrong(reading: str, team: Team, shop: Exporter) -> None:
    query, sentence = BAD[reading]
    shop.set("shop_latency", 0.1, pod="a")
    shop.set("shop_latency", 0.1, pod="b")
    first, *later = TWO_STEPS["ramp"]["steps"]
    team.apply(changes=TWO_STEPS)
    team.wait_for(percent=100)
    team.patch({"attempt": 2, "guardrails": [{**GUARDRAIL, "query": query}]})
    status = team.wait_for(attempt=2, waitingFor="Metrics")
    assert status["percent"] < later[0]["percent"]
    stays(lambda: team.status()["percent"] <= first["percent"], "it does not advance", seconds=3.0)

    def said() -> str:
        return next(str(each["message"]) for each in team.status()["conditions"] if each["type"] == "Progressing")

    wait_until(lambda: sentence in said(), "it says what is wrong", said)  # on a busy machine it may say that a look is due
    assert team.status()["phase"] in {"Pending", "Ramping"}


def test_a_prometheus_that_is_away_holds_the_ramp_and_its_return_lets_it_go_on(
    team: Team, shop: Exporter, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    team.apply(changes={"ramp": {"steps": [{"percent": 10, "hold": "1s"}, {"percent": 100, "hold": "1h", "approval": True}]}})
    team.wait_for(percent=10, waitingFor="Approval")
    shop.vanish()
    team.wait_for(waitingFor="Metrics")
    team.patch({"approved": {"attempt": 1, "upTo": 100}})
    stays(lambda: team.status()["percent"] == 10 and team.status()["phase"] == "Ramping", "it holds", seconds=3.0)
    shop.appear()
    shop.set("shop_errors", 0.0)
    team.wait_for(percent=100)


def test_a_kill_does_not_wait_for_a_source_that_never_answers(impatient: Team, silent: Silent, shop: Exporter) -> None:
    impatient.apply(changes=TWO_STEPS)
    impatient.wait_for(percent=100)
    impatient.patch({"guardrails": [GUARDRAIL, {**GUARDRAIL, "name": "silent", "source": "silent"}]})
    with silent.take_question() as question:
        impatient.patch({"killed": True})
        wait_until(lambda: (impatient.entry() or {}).get("serve") == "KILLED", "pods are told")
        assert is_waited_on(question)  # how fast it is, is the demo's to measure


def test_a_breach_at_one_source_does_not_wait_for_another_that_never_answers(impatient: Team, silent: Silent, shop: Exporter) -> None:
    impatient.apply(
        changes=TWO_STEPS | {"guardrails": [GUARDRAIL, {**GUARDRAIL, "name": "silent", "source": "silent", "onBreach": "Notify"}]}
    )
    impatient.wait_for(percent=100)
    with silent.take_question() as question:
        shop.set("shop_errors", 0.9)
        status = impatient.wait_for(phase="RolledBack")
        assert status["latch"]["guardrail"] == "errors"
        assert is_waited_on(question)


def test_readings_that_stay_away_roll_back_only_where_that_was_asked_for(team: Team, shop: Exporter) -> None:
    for name in ("holds", "rolls-back"):
        team.apply(name, changes=TWO_STEPS)
    for name in ("holds", "rolls-back"):
        team.wait_for(name, percent=100)
    for name, policy in (("holds", "Hold"), ("rolls-back", "Rollback")):  # now, for two scrapes that come late are enough
        team.patch({"guardrails": [{**GUARDRAIL, "onNoData": policy}]}, name)
    shop.vanish()
    status = team.wait_for("rolls-back", phase="RolledBack")
    assert status["latch"]["cause"] == "Guardrail"
    assert "no reading since" in status["latch"]["message"]
    assert team.status("holds")["phase"] == "Ramping"
