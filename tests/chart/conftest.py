"""Both Helms, with what they need of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.helm import Helm
from tools.devcluster.cluster import Cluster

HELMS = ("helm3", "helm4")


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """Helm without a cluster. What it renders does not depend on which of them it is: a test says so."""
    return Helm("helm3", home=tmp_path)


@pytest.fixture(params=HELMS)
def each_helm(request: pytest.FixtureRequest, tmp_path: Path) -> Helm:
    """One Helm after the other, without a cluster."""
    return Helm(request.param, home=tmp_path)


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """An empty control plane: an install is the cluster's own."""
    with Cluster.start() as running:
        yield running
