"""Lists: what is queued by them, what vanished, and what is said when they fail."""

import asyncio
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from rampgate_operator import listing
from rampgate_operator.adapters.clock import SystemClock
from rampgate_operator.adapters.metrics import OperatorMeter
from rampgate_operator.listing import Listing, doubling, resync
from rampgate_operator.ports import Body, ClusterError, ConflictError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler


class Cluster:
    """What there is, or why it is not told."""

    def __init__(self) -> None:
        self.experiments: list[Body] = []
        self.config_maps: list[Body] = []
        self.trouble: Exception | None = None

    async def list_experiments(self) -> list[Body]:
        return self.experiments

    async def list_config_maps(self) -> list[Body]:
        if self.trouble is not None:
            raise self.trouble
        return self.config_maps


class Keys(Queue[Key]):
    """A queue that remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.added: set[str] = set()

    def add(self, key: Key, *, delay: float = 0.0, urgent: bool = False) -> None:
        self.added.add(str(key))
        super().add(key, delay=delay, urgent=urgent)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def queue() -> Keys:
    return Keys()


@pytest.fixture
def reconciler(cluster: Cluster, queue: Keys) -> Reconciler:
    return Reconciler(cluster=cluster, metrics=None, clock=SystemClock(), queue=queue, meter=OperatorMeter(CollectorRegistry()))  # type: ignore[arg-type]


ENTRY = '{"attempt":1,"control":{"name":"a","value":0},"format":1,"gate":"two","generation":1,"percent":0,"serve":"KILLED"}'


def named(name: str) -> Body:
    namespace, _, name = name.partition("/")
    return {"metadata": {"namespace": namespace, "name": name, "resourceVersion": "1", "uid": name, "generation": 1}}


async def test_every_experiment_and_every_gate_with_an_entry_is_queued(cluster: Cluster, queue: Keys, reconciler: Reconciler) -> None:
    cluster.experiments = [named("shop/one")]
    cluster.config_maps = [{**named("shop/feature-gates"), "data": {"format": "rampgate.dev/1", "two.json": ENTRY, "three.json": "{}"}}]
    await resync(cluster, reconciler, queue)  # type: ignore[arg-type]  # lists alone
    assert queue.added == {"shop/one", "shop/two"}


async def test_what_vanished_is_queued_and_forgotten(cluster: Cluster, queue: Keys, reconciler: Reconciler) -> None:
    reconciler.experiments.see(named("shop/gone"))
    await resync(cluster, reconciler, queue)  # type: ignore[arg-type]  # lists alone
    assert queue.added == {"shop/gone"}
    assert reconciler.experiments.get(Key("shop", "gone")) is None


async def test_the_list_of_a_namespace_says_nothing_about_another(cluster: Cluster, queue: Keys, reconciler: Reconciler) -> None:
    for name in ("shop/gone", "search/other"):
        reconciler.experiments.see(named(name))
        reconciler.rules.cache.see(named(name))
    await resync(cluster, reconciler, queue, namespace="shop")  # type: ignore[arg-type]  # lists alone
    assert queue.added == {"shop/gone"}
    assert [str(body["metadata"]["namespace"]) for cache in (reconciler.experiments, reconciler.rules.cache) for body in cache] == [
        "search",
        "search",
    ]


@pytest.mark.parametrize(
    ("status", "namespace", "said"),
    [
        (403, "search", "403 Forbidden: may not list configmaps in namespace search; the rights are in manifests/rbac/operator.yaml: bind"),
        (403, "search", "bind them there, or take it out of `namespaces`"),
        (403, None, "bind them in the whole cluster, or configure `namespaces`"),
        (404, "search", "404 Not Found: cannot list configmaps in namespace search; is the CRD experiments.rampgate.dev there?"),
        (500, "search", "cannot list configmaps in namespace search: 500 Oops"),
        (None, None, "cannot list configmaps in all namespaces: None Oops"),
    ],
)
async def test_a_list_that_fails_says_which_and_what_helps(
    status: int | None, namespace: str | None, said: str, cluster: Cluster, queue: Keys, reconciler: Reconciler
) -> None:
    cluster.trouble = (ConflictError if status == 404 else ClusterError)(f"{status} Oops")
    cluster.trouble.__cause__ = answered(status) if status else None
    with pytest.raises(ClusterError) as failed:
        await resync(cluster, reconciler, queue, namespace=namespace)  # type: ignore[arg-type]  # lists alone
    assert said in str(failed.value)


def answered(status: int) -> Exception:
    error = Exception()
    vars(error).update(vars(SimpleNamespace(status=status)))
    return error


def test_delays_double_up_to_the_longest() -> None:
    delays = doubling(1.0, 5.0)
    assert [next(delays) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


async def test_a_second_list_follows_soon_for_what_was_deleted_before_the_watch_began(
    cluster: Cluster, queue: Keys, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SOON", 0.01)
    cluster.experiments = [named("shop/gone")]
    lists = Listing({None: cluster}, reconciler, queue, every=3600)  # type: ignore[dict-item]  # as much of a cluster as lists use
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        [task] = lists.start(group)
        await lists.ready.wait()
        cluster.experiments = []
        while reconciler.experiments.versions():  # noqa: ASYNC110  # a cache has no event
            await asyncio.sleep(0.01)
        task.cancel()
