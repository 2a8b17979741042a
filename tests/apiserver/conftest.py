"""A team's namespace on the real API server, with the operator running as its own process and a Prometheus to look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team
from tests.apiserver.turnstile import Turnstile
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus


@pytest.fixture
def operator(cluster: Cluster, prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """The operator, watching the test's namespace; started once, to be killed and started again as the test likes."""
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log") as running:
        yield running


@pytest.fixture
def team(cluster: Cluster, namespace: str, operator: Operator) -> Team:
    """The namespace as its team uses it; the operator runs."""
    del operator
    return Team(cluster, namespace)


@pytest.fixture
def shop(prometheus: Prometheus, namespace: str) -> Iterator[Exporter]:
    """What is scraped in the test's namespace: `shop.set("shop_errors", 0.0)`."""
    with Exporter(prometheus, job=namespace, namespace=namespace) as exporter:
        exporter.set("shop_errors", 0.0)
        yield exporter


@pytest.fixture
def turnstile(cluster: Cluster, namespace: str) -> Iterator[Turnstile]:
    """What the operator writes in the test's namespace passes here, and can be stopped."""
    with Turnstile(cluster, namespace) as entered:
        yield entered
