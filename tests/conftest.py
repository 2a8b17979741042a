"""The real parts that tests share: a control plane and a Prometheus per session, a namespace per test, kubectl.

Thin over tools.devcluster. Nothing is built here: a missing binary fails with the command that builds it.
"""

import secrets
from collections.abc import Callable, Generator, Iterator
from http import HTTPStatus
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hypothesis import HealthCheck, settings

from tools.devcluster import kubectl as devcluster_kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role

# How long an example takes depends on who else uses the machine: timings are no tests here.
settings.register_profile("rampgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rampgate")

CRDS = Path(__file__).parent.parent / "crds"
Kubectl = Callable[..., "CompletedProcess[str]"]
TOLD_OF_A_FAILURE = 12_000
"""The last characters of each log that a failed test's report shows."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes of a failed test have logged: a failure on another machine is not to be seen again."""
    report = yield
    directory = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and directory is not None:
        for log in sorted(directory.glob("*.log")):
            report.sections.append((log.name, log.read_text(errors="replace")[-TOLD_OF_A_FAILURE:]))
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real API server with Rampgate's CRDs established; whatever the tests did, the operator's rights were enough for it."""
    with Cluster.start() as running:
        devcluster_kubectl.apply_crds(running, CRDS)
        yield running
        asked = [((each.verb, each.group, each.resource), each) for each in running.requests() if each.user == Role.OPERATOR.user]
        allowed = {right for right, each in asked if each.status != HTTPStatus.FORBIDDEN}
        # what is refused here and allowed there wants no right, but a binding, or an API server that has read its bindings
        assert {str(each) for right, each in asked if right not in allowed} == set()


@pytest.fixture(scope="session")
def prometheus() -> Iterator[Prometheus]:
    """A real Prometheus without targets that scrapes four times a second; `add_target` gives it some."""
    with Prometheus.launch(scrape_interval=0.25) as running:
        yield running


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """`kubectl("get", "pods", "-n", namespace, role=Role.DEVELOPER, stdin=…, check=False)` on the session's cluster."""

    def run(*arguments: str, **options: object) -> "CompletedProcess[str]":
        return devcluster_kubectl.kubectl(cluster, *arguments, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def namespace(kubectl: Kubectl) -> str:
    """A fresh namespace. It stays: without a controller manager a deleted one would be Terminating for ever."""
    name = f"t-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    return name
