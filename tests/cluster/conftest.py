"""Rampgate as it is installed, on a cluster with real pods: the chart, a Prometheus, a shop in a namespace for each test.

`make cluster-test` runs this on a node that it makes on this machine; with KUBECONFIG and RAMPGATE_IMAGE set, it runs on that cluster.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tools import image
from tools.pods.place import Place, find, why_nowhere
from tools.pods.release import NAMESPACE, OPERATOR, Release, install_prometheus
from tools.pods.shop import Shop, proxy

OURS = ("crd/experiments.rampgate.dev", "namespace/rampgate", "namespace/monitoring", "namespace/shop")
"""What the suite creates under names of its own choice, beside namespaces `shop-…`; the chart's own resources go with it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the quickstart first: its page installs everything, and takes it away again. What was built beside the others comes last."""
    items.sort(key=lambda item: (item.path.name != "test_quickstart.py", "built_again" in getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """The cluster; all of this is skipped, with the reason, where there can be none."""
    if reason := why_nowhere():
        pytest.skip(reason)
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("a machine has room for one node: run `pytest tests/cluster` in a process of its own")
    with find(print) as found:
        if taken := found.kubectl("get", *OURS, "--ignore-not-found", "--output=name").split():
            pytest.exit(f"this cluster already has {', '.join(taken)}: the suite installs and removes its own; give it another", 1)
        yield found
        found.kubectl("delete", *OURS, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="session", autouse=True)
def building_again(request: pytest.FixtureRequest, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Path] | None]:
    """Build the image a second time beside the tests, which mostly wait for pods; if one asks for it."""
    if place.node is None or not any("built_again" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    archive = tmp_path_factory.mktemp("image") / "again.tar"
    with ThreadPoolExecutor(1) as builder:
        yield builder.submit(_build, archive)


def _build(archive: Path) -> Path:
    image.build(None, archive)
    return archive


@pytest.fixture
def built_again(building_again: Future[Path] | None) -> Path:
    """The image, built a second time."""
    if building_again is None:
        pytest.skip("the image of a cluster that was there before is built elsewhere")
    return building_again.result()


@pytest.fixture(scope="session")
def api(place: Place) -> Iterator[str]:
    """A URL of the API server for whoever asks pods."""
    with proxy(place) as url:
        yield url


@pytest.fixture(scope="session")
def release(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The chart, installed with Helm 4, and a Prometheus that scrapes the shops."""
    install_prometheus(place)
    installed = Release(place, tmp_path_factory.mktemp("helm"))
    installed.install()
    yield installed
    if place.node is None:  # ours goes as it is
        installed.uninstall()


@pytest.fixture
def shop(release: Release, api: str, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop of three pods that mount the rules, with users; a failed test shows what the operator has said."""
    opened = Shop(release.place, api)
    try:
        opened.open()
        yield opened
    finally:
        if request.session.testsfailed:
            tell(release, opened)
        opened.close()


def tell(release: Release, shop: Shop) -> None:
    """Write what a person would look at first."""
    for arguments in (
        ("describe", "experiments.rampgate.dev", f"--namespace={shop.namespace}"),
        ("get", "pods", "--all-namespaces", "--output=wide"),
        ("logs", f"--namespace={NAMESPACE}", OPERATOR, "--tail=60"),
    ):
        try:
            sys.stdout.write(release.place.kubectl(*arguments)[-6000:])
        except subprocess.CalledProcessError as error:
            sys.stdout.write(f"{error}: {error.stderr}")
