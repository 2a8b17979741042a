"""One real node on this machine for the tests of a file, and what they do with it.

They need root and Linux, and a process of their own (`pytest tests/node`): a machine has room for one node.
"""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Kubectl
from tools.devcluster.images import BUSYBOX
from tools.devcluster.kubectl import kubectl as run_kubectl
from tools.devcluster.node import Node, why_not

WEB = "mkdir /www; echo $HOSTNAME > /www/index.html; echo serving; exec httpd -f -p 8080 -h /www"


@pytest.fixture(scope="session", autouse=True)
def _able() -> None:
    """Skip all of it, saying why, where no node can run."""
    if reason := why_not():
        pytest.skip(reason)
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("a machine has room for one node: run `pytest tests/node` in a process of its own")


@pytest.fixture(scope="module")
def node(_able: None) -> Iterator[Node]:
    with Node.start() as running:
        yield running


@pytest.fixture(scope="module")
def kubectl(node: Node) -> Kubectl:
    """As everywhere, on the node's cluster; so that `namespace` is one there."""
    return lambda *arguments, **options: run_kubectl(node.cluster, *arguments, **options)


def web(name: str, image: str = BUSYBOX) -> str:
    """A pod that serves its name by HTTP on port 8080."""
    container = {
        "name": "web",
        "image": image,
        "command": ["sh", "-c", WEB],
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec})


@pytest.fixture
def run_pods(kubectl: Kubectl, namespace: str) -> Callable[..., None]:
    """`run_pods("one", "two")`: start such pods in the test's namespace, and return when they are ready."""

    def run(*names: str) -> None:
        for name in names:
            kubectl("apply", "-n", namespace, "-f", "-", stdin=web(name))
        kubectl("wait", "-n", namespace, "--for=condition=Ready", *(f"pod/{name}" for name in names), "--timeout=50s")

    return run


@pytest.fixture
def fetch() -> Callable[[str], str]:
    """What GET answers the host, past any proxy; empty while nobody does."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(url: str) -> str:
        try:
            with direct.open(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            return ""

    return get


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(condition: Callable[[], bool], sentence: str, *, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {sentence}"
            time.sleep(0.1)

    return wait
