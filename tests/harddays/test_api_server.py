"""The API server on its bad days: away, overloaded, and silent."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import requests
import yaml

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, wait_until
from tests.apiserver.turnstile import Turnstile
from tests.conftest import Kubectl
from tests.harddays.day import HELD, Recovery, hard_day, holds, percents
from tests.sdk.proxy import Relay
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role

OUTAGE = 20.0
OVER_WHILE_NOTHING_IS_HEARD = {"ramp": {"steps": [{"percent": 10, "hold": "5s"}, {"percent": 50, "hold": "1h"}]}}
IDLE = {"guardrails": None, "ramp": {"steps": [{"percent": 10, "hold": "1h"}]}}
SLOW = {"ramp": {"steps": [{"percent": 10, "hold": "15s"}, {"percent": 30, "hold": "4s"}, {"percent": 50, "hold": "1h"}]}}
"""Its first hold ends in the outage, and is long enough for one that begins late on a busy machine."""


@pytest.mark.timeout(300)  # on a busy machine
@hard_day(
    fault="the API server stopped for 20 s, and back",
    expected="the leader ends with its lease and is started again; no step is skipped, none is made up for; a kill is obeyed at once",
)
def test_an_outage_of_the_api_server_skips_no_step_and_delays_no_kill(
    cluster: Cluster, prometheus: Prometheus, namespace: str, shop: Exporter, tmp_path: Path, recovery: Recovery
) -> None:
    team = Team(cluster, namespace)
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", lease="15s") as operator:
        team.apply("to-be-killed", changes=HELD)
        team.wait_for("to-be-killed", percent=50)
        team.apply(changes=SLOW)  # last, so that the outage falls into its first hold
        team.wait_for(percent=10)
        cluster.stop_api_server()
        try:
            began = time.monotonic()
            wait_until(lambda: operator.lines("another replica may lead now") == 1, "it has lost the lease", operator.log.read_text)
            operator.kill()
            operator.start(until="cannot take the lease")  # as a kubelet does it
            time.sleep(max(0.0, began + OUTAGE - time.monotonic()))
        finally:
            back_at = time.time()
            cluster.start_api_server()
        with recovery:
            team.patch({"killed": True}, "to-be-killed")
            wait_until(lambda: (team.entry("to-be-killed") or {}).get("serve") == "KILLED", "pods are told")
        status = team.wait_for(percent=50)
    assert percents(team) == [10, 30, 50]
    ten, thirty, fifty = (row["at"] for row in status["history"])
    assert datetime.fromisoformat(thirty).timestamp() > back_at
    assert seconds_between(thirty, fifty) >= 4.0  # its own hold, however late it began
    assert seconds_between(ten, thirty) >= OUTAGE - 5.0


class Connected(Operator):
    """An operator that reaches the API server by another port."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus, namespace: str, *, log: Path, port: int) -> None:
        super().__init__(cluster, prometheus, namespace, log=log, lease="20s")
        document = yaml.safe_load(cluster.kubeconfig(Role.OPERATOR).read_text())
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        kubeconfig = log.with_suffix(".kubeconfig")
        kubeconfig.write_text(json.dumps(document))
        self._environment |= {"KUBECONFIG": str(kubeconfig), "RAMPGATE_RESYNC": "10s"}


@pytest.mark.timeout(300)  # on a busy machine
@hard_day(
    fault="all connections to the API server fall silent without being closed (`resync: 10s`)",
    expected="no step by what is no longer known: what a person stopped meanwhile stays; the next list finds a kill; it goes on leading",
)
def test_a_watch_that_was_cut_without_a_word_lets_no_step_go_by_what_is_old(
    cluster: Cluster, prometheus: Prometheus, namespace: str, kubectl: Kubectl, shop: Exporter, tmp_path: Path, recovery: Recovery
) -> None:
    team = Team(cluster, namespace)
    log = tmp_path / "operator.log"
    with Relay(cluster.port) as relay, Connected(cluster, prometheus, namespace, log=log, port=relay.port) as operator:
        with ThreadPoolExecutor(12) as at_once:  # so that many connections stand open, and nobody asks for anything by them
            list(at_once.map(lambda name: Team(cluster, namespace).apply(name, changes=IDLE), [f"idle-{n}" for n in range(12)]))
        team.apply(changes={"ramp": {"steps": [{"percent": 50, "hold": "1h"}]}})
        team.wait_for(percent=50)
        team.apply("stopped", changes=OVER_WHILE_NOTHING_IS_HEARD)  # last, so that nothing lies between its step and the silence
        team.wait_for("stopped", percent=10)
        relay.freeze()
        before = renewed_at(kubectl, namespace)
        team.patch({"paused": True}, "stopped")
        team.patch({"killed": True})
        with recovery:
            wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "pods are told", team.status)
        team.wait_for("stopped", percent=10, waitingFor="Paused")
        holds(lambda: team.exposure("stopped") == 10, "it stays at 10 %", seconds=1.0)
        wait_until(lambda: renewed_at(kubectl, namespace) > before, "the lease is renewed", log.read_text)
        assert operator.lines("another replica may lead now") == 0


def renewed_at(kubectl: Kubectl, namespace: str) -> datetime:
    """When the operator last renewed its lease."""
    found = kubectl("get", "lease", "rampgate-operator", "-n", namespace, "-o", "jsonpath={.spec.renewTime}").stdout
    return datetime.fromisoformat(found)


@contextmanager
def turning_away(cluster: Cluster, kubectl: Kubectl, turnstile: Turnstile, name: str) -> Iterator[None]:
    """Answer the operator 429 with Retry-After, to all but its lease, by API Priority and Fairness.

    A level without seats still runs one request at a time: here one that stands before the turnstile.
    """
    limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    rule = {"verbs": ["*"], "apiGroups": ["", "apps", "rampgate.dev"], "resources": ["*"], "namespaces": ["*"]}
    schema = {
        "priorityLevelConfiguration": {"name": name},
        "matchingPrecedence": 50,
        "rules": [{"subjects": [{"kind": "User", "user": {"name": Role.OPERATOR.user}}], "resourceRules": [rule]}],
    }
    specs = {"PriorityLevelConfiguration": {"type": "Limited", "limited": limited}, "FlowSchema": schema}
    for kind, spec in specs.items():
        body = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        kubectl("apply", "-f", "-", stdin=json.dumps(body))
    uid = kubectl("get", "flowschema", name, "-o", "jsonpath={.metadata.uid}").stdout
    with ThreadPoolExecutor(1) as threads, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {cluster.token(Role.OPERATOR)}"
        session.trust_env, session.verify = False, str(cluster.ca_file)
        url = f"{cluster.url}/api/v1/namespaces/{name}/configmaps"
        wait_until(lambda: session.get(url).headers.get("X-Kubernetes-Pf-Flowschema-Uid") == uid, "the level is in force")
        turnstile.lock("configmaps")
        occupant = threads.submit(occupy, session, url)
        turnstile.wait_for("configmaps")
        try:
            assert "Retry-After" in session.get(url).headers
            yield
        finally:
            turnstile.unlock("configmaps")
            occupant.result()
            for kind in reversed(specs):
                kubectl("delete", kind, name)


def occupy(session: requests.Session, url: str) -> None:
    """Take the only place of a level: the operator may have it for a moment, and who comes then is turned away."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "occupant"}}
    while session.post(url, json=body).status_code == requests.codes.too_many_requests:
        time.sleep(0.02)


def turned_away(kubectl: Kubectl, name: str) -> float:
    """How many requests were answered so."""
    counters = [line for line in kubectl("get", "--raw", "/metrics").stdout.splitlines() if f'priority_level="{name}"' in line]
    return sum(float(line.split()[-1]) for line in counters if line.startswith("apiserver_flowcontrol_rejected_requests_total"))


@hard_day(
    fault="the API server answers 429 with Retry-After to all that the operator asks, its lease apart",
    expected="it asks ever more slowly, and a kill that was asked for meanwhile is carried out once it is let in",
)
def test_an_api_server_that_turns_the_operator_away_is_neither_flooded_nor_given_up(
    cluster: Cluster, team: Team, shop: Exporter, operator: Operator, turnstile: Turnstile, kubectl: Kubectl, recovery: Recovery
) -> None:
    team.apply(changes=HELD)
    team.apply("to-be-killed", changes=HELD)
    team.wait_for("to-be-killed", percent=50)
    wait_until(lambda: team.exposure("to-be-killed") == 50, "50 % is served")
    with turning_away(cluster, kubectl, turnstile, team.namespace):
        team.patch({"killed": True}, "to-be-killed")
        wait_until(lambda: operator.lines("the API server answered 429 Too Many Requests") > 0, "it is told", operator.log.read_text)
        before = turned_away(kubectl, team.namespace)
        holds(lambda: team.exposure("to-be-killed") == 50, "nothing can be written", seconds=3.0)
        assert turned_away(kubectl, team.namespace) - before < 20
        with recovery:
            turnstile.unlock("configmaps")
            wait_until(lambda: (team.entry("to-be-killed") or {}).get("serve") == "KILLED", "pods are told", operator.log.read_text)
    team.wait_for(percent=50)
    assert percents(team) == [10, 50]


def seconds_between(one: str, other: str) -> float:
    """The seconds between two times of a status."""
    return (datetime.fromisoformat(other) - datetime.fromisoformat(one)).total_seconds()
