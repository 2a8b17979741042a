"""lease: one leader, on the real API server. Two candidates in one process, and the loop's clock is the real one.

So durations are short, but no shorter than a busy machine may stand still: a leader has 70 % of one to renew it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from kubernetes.aio import client, config

from rampgate_operator.adapters.clock import SystemClock
from rampgate_operator.adapters.lease import Lease, LostLeaseError
from rampgate_operator.settings import LeaseSettings
from tests.apiserver.team import PATIENCE
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

Candidate = Callable[..., Awaitable[Lease]]
DURATION = 3.0
SOON = 30.0
"""Half of a duration of a minute: who takes a lease within it did not wait for its end."""


@pytest.fixture
async def candidate(cluster: Cluster, namespace: str) -> AsyncIterator[Candidate]:
    """`await candidate("a")` is somebody who wants the lease of this test's namespace."""
    opened: list[client.ApiClient] = []

    async def make(identity: str, duration: float = DURATION, kubeconfig: Path | None = None) -> Lease:
        configuration = client.Configuration()
        kubeconfig = kubeconfig or cluster.kubeconfig(Role.ADMIN)
        await config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        opened.append(client.ApiClient(configuration))
        settings = LeaseSettings(duration=timedelta(seconds=duration))

        async def log_in_again() -> None:
            await config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]

        lease = {"identity": identity, "namespace": namespace, "clock": SystemClock(), "log_in_again": log_in_again}
        return Lease(opened[-1], settings, **lease)  # type: ignore[arg-type]

    yield make
    for api in opened:
        await api.close()


async def acquires(lease: Lease, *, within: float) -> bool:
    try:
        await asyncio.wait_for(lease.acquire(), within)
    except TimeoutError:
        return False
    return True


async def test_a_lease_that_nobody_has_is_created_and_held(candidate: Candidate, kubectl: Kubectl, namespace: str) -> None:
    lease = await candidate("a")
    assert not lease.is_held
    await lease.acquire()
    assert lease.is_held
    printed = kubectl(
        "get", "lease", "rampgate-operator", "-n", namespace, "-o", "jsonpath={.spec.holderIdentity} {.spec.leaseTransitions}"
    )
    assert printed.stdout == "a 1"


async def test_another_stands_by_as_long_as_it_is_renewed(candidate: Candidate) -> None:
    first, second = await candidate("a"), await candidate("b")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    assert not await acquires(second, within=1.5 * DURATION)
    assert first.is_held
    holding.cancel()
    assert await acquires(second, within=PATIENCE)
    assert not first.is_held


async def test_one_that_is_given_up_is_taken_at_once(candidate: Candidate) -> None:
    first, second = await candidate("a", 60), await candidate("b", 60)
    await first.acquire()
    await first.release()
    assert not first.is_held
    assert await acquires(second, within=SOON)


async def test_a_pod_that_comes_back_takes_its_own_at_once(candidate: Candidate) -> None:
    await (await candidate("a", 60)).acquire()
    assert await acquires(await candidate("a", 60), within=SOON)


async def test_whoever_was_suspended_is_told_that_another_leads_and_may_not_write_before_it_is_told(candidate: Candidate) -> None:
    first, second = await candidate("a"), await candidate("b")
    await first.acquire()
    await second.acquire()  # the first one renews nothing, as if it stood still
    assert not first.is_held
    with pytest.raises(LostLeaseError, match="held by b"):
        await first.hold()


async def test_a_touched_lease_is_still_ours(candidate: Candidate, kubectl: Kubectl, namespace: str) -> None:
    lease = await candidate("a", 10)
    await lease.acquire()
    before = said(kubectl, namespace, "renewTime")
    kubectl("annotate", "lease", "rampgate-operator", "-n", namespace, "touched=yes")
    holding = asyncio.create_task(lease.hold())
    await until(lambda: said(kubectl, namespace, "renewTime") != before)
    assert lease.is_held
    assert not holding.done()
    holding.cancel()


async def test_a_lease_that_was_deleted_is_lost(candidate: Candidate, kubectl: Kubectl, namespace: str) -> None:
    lease = await candidate("a")
    await lease.acquire()
    kubectl("delete", "lease", "rampgate-operator", "-n", namespace)
    with pytest.raises(LostLeaseError, match="held by nobody"):
        await asyncio.wait_for(lease.hold(), PATIENCE)


async def test_one_that_was_touched_meanwhile_is_given_up_all_the_same(candidate: Candidate, kubectl: Kubectl, namespace: str) -> None:
    """As when the answer to a renewal is not waited for."""
    first, second = await candidate("a", 60), await candidate("b", 60)
    await first.acquire()
    kubectl("annotate", "lease", "rampgate-operator", "-n", namespace, "touched=yes")
    await first.release()
    assert await acquires(second, within=SOON)


async def test_one_that_another_has_taken_is_not_given_up_for_it(candidate: Candidate, kubectl: Kubectl, namespace: str) -> None:
    first = await candidate("a", 60)
    await first.acquire()
    kubectl("patch", "lease", "rampgate-operator", "-n", namespace, "--type=merge", "-p", '{"spec":{"holderIdentity":"b"}}')
    await first.release()
    assert holder(kubectl, namespace) == "b"


async def test_a_lease_that_says_nothing_is_taken(candidate: Candidate, kubectl: Kubectl, namespace: str) -> None:
    empty = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "rampgate-operator"}}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(empty))
    await (await candidate("a")).acquire()
    assert holder(kubectl, namespace) == "a"


async def test_a_duration_that_somebody_wrote_does_not_stay(candidate: Candidate, kubectl: Kubectl, namespace: str) -> None:
    first, second = await candidate("a"), await candidate("b")
    await first.acquire()
    patch = '{"spec":{"leaseDurationSeconds":1000000000}}'
    kubectl("patch", "lease", "rampgate-operator", "-n", namespace, "--type=merge", "-p", patch)
    holding = asyncio.create_task(first.hold())
    await until(lambda: said(kubectl, namespace, "leaseDurationSeconds") == f"{DURATION:g}")
    holding.cancel()
    assert await acquires(second, within=PATIENCE)


async def test_a_token_that_was_rotated_is_read_again(candidate: Candidate, cluster: Cluster, tmp_path: Path) -> None:
    rotated = tmp_path / "kubeconfig"
    right = cluster.kubeconfig(Role.ADMIN).read_text()
    rotated.write_text(right.replace(cluster.token(Role.ADMIN), "an-old-one"))
    late = await candidate("a", 2, kubeconfig=rotated)
    waiting = asyncio.create_task(late.acquire())
    await asyncio.sleep(0.5)
    assert not late.stands_by
    (tmp_path / "new").write_text(right)
    (tmp_path / "new").rename(rotated)  # as a whole: it is read again and again
    await asyncio.wait_for(waiting, PATIENCE)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what a task beside this one does."""
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  # the API server has no event
            await asyncio.sleep(0.1)


def said(kubectl: Kubectl, namespace: str, field: str) -> str:
    """What the Lease says."""
    return kubectl("get", "lease", "rampgate-operator", "-n", namespace, "-o", f"jsonpath={{.spec.{field}}}").stdout


def holder(kubectl: Kubectl, namespace: str) -> str:
    return said(kubectl, namespace, "holderIdentity")
