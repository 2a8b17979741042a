"""Each case runs twice: in memory, and on the real API server."""

import secrets
from collections.abc import AsyncIterator

import pytest
from kubernetes.aio import client, config

from rampgate_operator.adapters.cluster import KubernetesCluster
from tests.contract.parts import Parts, RealPeople
from tests.simulation.memory import MemoryCluster
from tools.devcluster.cluster import Cluster as ControlPlane
from tools.devcluster.roles import Role


@pytest.fixture(params=["memory", "real"])
async def parts(request: pytest.FixtureRequest) -> AsyncIterator[Parts]:
    if request.param == "memory":
        memory = MemoryCluster()
        yield Parts(memory, memory, f"t-{secrets.token_hex(4)}")
        return
    control_plane: ControlPlane = request.getfixturevalue("cluster")
    namespace: str = request.getfixturevalue("namespace")
    people = RealPeople(control_plane)
    settings = client.Configuration()
    await config.load_kube_config(str(control_plane.kubeconfig(Role.ADMIN)), client_configuration=settings)  # type: ignore[no-untyped-call]
    async with client.ApiClient(settings) as api:
        yield Parts(KubernetesCluster(api, namespace), people, namespace)
    people.close()
