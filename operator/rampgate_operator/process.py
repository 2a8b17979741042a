"""The operator as a process: kopf watches, workers reconcile, a list now and then finds what the watch missed."""

import asyncio
import contextlib
import logging

import kopf
from kubernetes.aio import client, config

from rampgate_operator.adapters.clock import SystemClock
from rampgate_operator.adapters.cluster import KubernetesCluster
from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.adapters.prometheus_http import Source
from rampgate_operator.cache import key_of
from rampgate_operator.handlers import register, watch_settings
from rampgate_operator.ports import Cluster, ClusterError, ConflictError, Key, Metrics
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler, wants_kill
from rampgate_operator.rules import gates_in
from rampgate_operator.settings import Settings
from rampgate_operator.workers import Workers

logger = logging.getLogger(__name__)


async def resync(cluster: Cluster, reconciler: Reconciler, queue: Queue[Key]) -> None:
    """List everything, and queue every Experiment and every entry: also those whose deletion the watch missed."""
    experiments, config_maps = await cluster.list_experiments(), await cluster.list_config_maps()
    vanished = reconciler.experiments.replace(experiments)
    reconciler.rules.cache.replace(config_maps)
    for body in experiments:
        queue.add(key_of(body), urgent=wants_kill(body))
    for key in vanished | {Key(key_of(body).namespace, gate) for body in config_maps for gate in gates_in(body)}:
        queue.add(key)


async def resync_for_ever(cluster: Cluster, reconciler: Reconciler, queue: Queue[Key], *, every: float) -> None:
    """List everything now and then."""
    while True:
        await asyncio.sleep(every)
        try:
            await resync(cluster, reconciler, queue)
        except (ClusterError, ConflictError) as error:
            logger.warning("could not list everything again: %s", error)


async def first_sync(cluster: Cluster, reconciler: Reconciler, queue: Queue[Key]) -> None:
    """List everything before anything is decided; wait for the API server and the CRD as long as it takes."""
    while True:
        try:
            return await resync(cluster, reconciler, queue)
        except (ClusterError, ConflictError) as error:
            logger.warning("waiting for the API server and the CRD experiments.rampgate.dev: %s", error)
            await asyncio.sleep(1)


async def run(settings: Settings, *, metrics: Metrics) -> None:
    """Run until SIGTERM or SIGINT; finish the writes at hand, then return."""
    await config.load_config()  # type: ignore[no-untyped-call]  # kubernetes.aio.config has no types
    queue: Queue[Key] = Queue()
    async with client.ApiClient() as api:
        cluster = KubernetesCluster(api, settings.namespaces)
        reconciler = Reconciler(cluster=cluster, metrics=metrics, clock=SystemClock(), queue=queue)
        await first_sync(cluster, reconciler, queue)
        logger.info("watching %s; metrics sources: %s", _scope(settings), ", ".join(sorted(settings.sources)) or "none")
        workers = Workers(reconciler, queue)
        tasks = [asyncio.create_task(workers.work()) for _ in range(settings.workers)]
        listing = asyncio.create_task(resync_for_ever(cluster, reconciler, queue, every=settings.resync.total_seconds()))
        try:
            await _watch(settings, reconciler, queue)
        finally:
            listing.cancel()
            queue.close()
            await asyncio.gather(*tasks)
            with contextlib.suppress(asyncio.CancelledError):
                await listing
            await reconciler.close()


async def _watch(settings: Settings, reconciler: Reconciler, queue: Queue[Key]) -> None:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(settings: kopf.OperatorSettings, **_: object) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)

    register(registry, reconciler=reconciler, queue=queue)
    await kopf.operator(
        registry=registry,
        settings=watch_settings(),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        standalone=True,
    )


def _scope(settings: Settings) -> str:
    return f"the namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces"


def connect(settings: Settings) -> Prometheus:
    """Give the metrics sources of the configuration."""
    return Prometheus(
        {
            name: Source(
                name=name,
                url=str(source.url),
                token_file=source.token_file,
                ca_file=source.ca_file,
                timeout=source.timeout,
                max_concurrent=source.max_concurrent,
                lookback=source.lookback,
            )
            for name, source in settings.sources.items()
        }
    )
