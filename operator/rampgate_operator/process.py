"""The operator as a process: kopf watches, workers reconcile, lists find what the watch missed; all live and die together."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator

import kopf
from kubernetes.aio import client

from rampgate_operator.adapters.clock import SystemClock
from rampgate_operator.adapters.cluster import KubernetesCluster
from rampgate_operator.adapters.login import Login, log_in
from rampgate_operator.handlers import register, watch_settings
from rampgate_operator.listing import Listing, doubling, resync
from rampgate_operator.ports import Cluster, Key, Metrics
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler
from rampgate_operator.settings import Settings
from rampgate_operator.workers import Workers

__all__ = ["operate", "resync", "run"]

logger = logging.getLogger(__name__)


async def run(settings: Settings, *, metrics: Metrics) -> None:
    """Run until SIGTERM or SIGINT; finish the writes at hand, then return.

    Raises NoClusterError when there is none, and ExceptionGroup when a part of it ended by itself.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    login = await log_in(os.environ)
    queue: Queue[Key] = Queue()
    async with client.ApiClient(login.configuration) as api:
        cluster = KubernetesCluster(api, settings.namespaces)
        reconciler = Reconciler(cluster=cluster, metrics=metrics, clock=SystemClock(), queue=queue)
        apart: dict[str | None, Cluster] = {name: KubernetesCluster(api, (name,)) for name in settings.namespaces}
        listing = Listing(apart or {None: cluster}, reconciler, queue, every=settings.resync.total_seconds())
        _tell(settings)

        async def watch() -> None:
            logger.info("watching %s", _scope(settings))
            await _watch(settings, login=login, reconciler=reconciler, queue=queue, stop=stop)

        await operate(listing=listing, reconciler=reconciler, queue=queue, workers=settings.workers, watch=watch, stop=stop)


async def operate(
    *,
    listing: Listing,
    reconciler: Reconciler,
    queue: Queue[Key],
    workers: int,
    watch: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """List, then watch and work until `stop` is set; finish the writes at hand.

    Raises ExceptionGroup when a part of it ended by an exception that nobody expects; the others are then ended too.
    """
    try:
        async with asyncio.TaskGroup() as group:
            lists = listing.start(group)
            await _any_of(listing.ready, stop)
            if not stop.is_set():
                team = Workers(reconciler, queue)
                for _ in range(workers):
                    group.create_task(team.work())
                await watch()
                if not stop.is_set():
                    raise RuntimeError("the watch ended by itself")
            queue.close()
            for task in lists:
                task.cancel()
    finally:
        await reconciler.close()


class _Backoffs:
    """kopf's delays after errors: without end, so that neither an outage nor a namespace without rights ends the watch of the others."""

    def __iter__(self) -> Iterator[float]:
        return doubling(0.5, 5.0)


async def _watch(settings: Settings, *, login: Login, reconciler: Reconciler, queue: Queue[Key], stop: asyncio.Event) -> None:
    registry, watching = kopf.OperatorRegistry(), watch_settings()
    watching.networking.error_backoffs = _Backoffs()

    @kopf.on.login(registry=registry)
    async def log_in_again(**_: object) -> kopf.ConnectionInfo:
        await login.renew()
        return login.connection()

    register(registry, reconciler=reconciler, queue=queue)
    others = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=watching,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        standalone=True,
        stop_flag=stop,
    )
    _stop_on_signals(stop)  # kopf has put handlers of its own in their place
    await kopf.run_tasks(tasks, ignored=others)


def _stop_on_signals(stop: asyncio.Event) -> None:
    def heard(number: signal.Signals) -> None:
        if not stop.is_set():
            logger.info("%s: stopping", number.name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, heard, number)


async def _any_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _tell(settings: Settings) -> None:
    for name, source in sorted(settings.sources.items()):
        logger.info("metrics source %s: %s", name, source.shown_url)
    if not settings.sources:
        logger.warning(
            "no metrics source is configured: no guardrail can be read, so guarded ramps hold and nothing is rolled back by itself"
        )


def _scope(settings: Settings) -> str:
    return f"the namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces"
