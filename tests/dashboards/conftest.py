"""A story that gives every panel something to show: a real operator, a real shop with users, a fault, a rollback, pods to be told."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.apiserver.pods import Pods
from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.loopback import HOST, answers, free_port
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role
from tools.devcluster.server import Server

NAMESPACE, GATE, FREE = "dashboards", "new-checkout", "unguarded"
RIGHTS = Path(__file__).parents[2] / "manifests" / "rbac" / "application.yaml"
STEPS = [{"percent": 10, "hold": "2s"}, {"percent": 50, "hold": "1h"}]
VARIANTS = [{"name": "control", "value": False}, {"name": "treatment", "value": True}]
GUARDRAILS = [
    {"name": "errors", "errorRate": {"per": "Request"}, "maxIncrease": "10%"},
    {"name": "share", "query": 'sum(rate(rampgate_requests_total{gate="$gate",outcome="error"}[2s]))', "max": 1000000},
]


class Played(NamedTuple):
    """Where to look at it."""

    prometheus: str
    began: float
    team: Team


@pytest.fixture(scope="session")
def played(cluster: Cluster, prometheus: Prometheus, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The Experiment has ramped to 50 % and was rolled back; another one without guardrails stays at 50 %."""
    directory, began = tmp_path_factory.mktemp("dashboards"), time.time()
    kubectl("create", "namespace", NAMESPACE)
    kubectl("apply", "-n", NAMESPACE, "-f", str(RIGHTS))
    kubectl("create", "rolebinding", "app", "-n", NAMESPACE, "--role=rampgate-application", f"--user={Role.APPLICATION.user}")
    team = Team(cluster, NAMESPACE)
    with ExitStack() as running:
        operator = running.enter_context(Operator(cluster, prometheus, NAMESPACE, log=directory / "operator.log"))
        prometheus.add_target("rampgate-operator", f"{HOST}:{operator.port}", {"namespace": "rampgate"}, honor_labels=True)
        shop = running.enter_context(Shop(cluster, prometheus, directory))
        _break(shop, control=0.05, treatment=0.05)
        Pods(cluster, NAMESPACE).add(3)
        team.apply(FREE, changes={"guardrails": None, "ramp": {"steps": STEPS}})
        team.apply(GATE, changes={"guardrails": GUARDRAILS, "ramp": {"steps": STEPS}, "variants": VARIANTS, "unit": "userId"})
        team.wait_for(FREE, percent=50)
        team.wait_for(GATE, percent=50)
        _break(shop, treatment=0.5)
        team.wait_for(GATE, phase="RolledBack")
        obeyed = f'min(rampgate_rules_generation{{namespace="{NAMESPACE}",gate="{GATE}"}}) >= {team.status(GATE)["rules"]["generation"]}'
        wait_until(lambda: bool(_ask(prometheus, obeyed)), "the shop obeys")
        yield Played(prometheus.url, began, team)


def _break(shop: str, **rates: float) -> None:
    for variant, rate in rates.items():
        assert requests.post(f"{shop}/fault?variant={variant}&rate={rate}", timeout=5).ok


def _ask(prometheus: Prometheus, query: str) -> list[object]:
    return list(requests.get(f"{prometheus.url}/api/v1/query", params={"query": query}, timeout=5).json()["data"]["result"])


class Shop:
    """A process of examples/shop with its users; gives its address."""

    def __init__(self, cluster: Cluster, prometheus: Prometheus, directory: Path) -> None:
        port, token_file = free_port(), directory / "token"
        token_file.write_text(cluster.token(Role.APPLICATION))
        place = [f"--namespace={NAMESPACE}", f"--api-server={cluster.url}", f"--token-file={token_file}", f"--ca-file={cluster.ca_file}"]
        self._url, self._prometheus = f"http://{HOST}:{port}", prometheus
        self._shop = Server("shop", [sys.executable, "-m", "examples.shop.app", f"--port={port}", *place], log=directory / "shop.log")
        load = [sys.executable, "-m", "examples.shop.load", "--users=2000", "--rate=400", "--batch=8", self._url]
        self._load = Server("load", load, log=directory / "load.log")

    def __enter__(self) -> str:
        self._shop.start(lambda: answers(f"{self._url}/metrics"))
        self._load.start(lambda: self._load.running)
        self._prometheus.add_target("shop", self._url.removeprefix("http://"), {"namespace": NAMESPACE})
        return self._url

    def __exit__(self, *_: object) -> None:
        self._load.stop()
        self._shop.stop()
