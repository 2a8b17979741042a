"""The operator as a process: kopf watches, workers reconcile, lists find what the watch missed; all live and die together."""

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, cast

import kopf
from kubernetes.aio import client
from prometheus_client import CollectorRegistry, ProcessCollector

from rampgate_operator.adapters import deep_json
from rampgate_operator.adapters.clock import SystemClock
from rampgate_operator.adapters.cluster import KubernetesCluster
from rampgate_operator.adapters.lease import Lease
from rampgate_operator.adapters.login import Login, NoClusterError, log_in
from rampgate_operator.adapters.metrics import OperatorMeter, StateCollector
from rampgate_operator.adapters.web import serve
from rampgate_operator.flagd import WRITERS
from rampgate_operator.handlers import register, watch_settings
from rampgate_operator.health import Health
from rampgate_operator.listing import Listing, doubling, resync
from rampgate_operator.ports import Cluster, Key, Metrics
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler
from rampgate_operator.settings import Settings
from rampgate_operator.workers import Workers

__all__ = ["operate", "resync", "run"]

logger = logging.getLogger(__name__)
NAME = "rampgate"
URGENT_WORKERS = 2
"""Workers for kills and rollbacks alone: all others may be busy with an API server that is slow."""


async def run(settings: Settings, *, metrics: Metrics) -> None:
    """Wait until this replica leads, and run until SIGTERM or SIGINT; finish the writes at hand, then return.

    Raises NoClusterError when there is none, ListenError when the address is taken, and ExceptionGroup when a part of it ended by itself,
    or the lease was lost.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    login = await log_in(os.environ)
    # the lease has a connection of its own: when all fall silent, one try is lost, and the next one opens a new one; of many that are
    # shared, each try might be given another silent one
    async with client.ApiClient(login.configuration) as api, client.ApiClient(login.configuration) as lease_api:
        lease = _lease(lease_api, settings, login)
        queue, registry = Queue[Key](lambda key: key.namespace), CollectorRegistry()
        meter = OperatorMeter(registry)

        def talk_to(namespace: str | None) -> KubernetesCluster:
            return KubernetesCluster(api, namespace, may_write=lambda: lease.is_held)

        everywhere = talk_to(None)
        reconciler = Reconciler(
            cluster=everywhere,
            metrics=metrics,
            clock=SystemClock(),
            queue=queue,
            meter=meter,
            render_flagd=settings.render_flagd,
            nudge_pods=settings.nudge_pods,
        )
        apart: dict[str | None, Cluster] = {name: talk_to(name) for name in settings.namespaces}
        listing = Listing(apart or {None: everywhere}, reconciler, queue, every=settings.resync.total_seconds())
        ProcessCollector(registry=registry)
        registry.register(StateCollector(reconciler, queue, metrics, lambda: lease.is_held))

        def unready() -> list[str]:
            return [] if listing.ready.is_set() or lease.stands_by else ["it neither leads and has listed everything, nor stands by"]

        async def watch() -> None:
            logger.info("watching %s", _scope(settings))
            await _watch(settings, login=login, reconciler=reconciler, queue=queue, stop=stop)

        healthy = Health(queue, reconciler.watch)
        async with serve(settings.listen, unhealthy=healthy.troubles, unready=unready, registry=registry) as address:
            logger.info("listening on %s", address)
            _tell(settings)
            team = Workers(reconciler, queue, meter)
            parts: dict[str, Any] = {"listing": listing, "reconciler": reconciler, "queue": queue, "watch": watch, "hold": lease.hold}
            await _lead(lease, stop, lambda: operate(team=team, workers=settings.workers, stop=stop, **parts))


async def _lead(lease: Lease, stop: asyncio.Event, work: Callable[[], Coroutine[None, None, None]]) -> None:
    try:
        if await _unless(stop, lease.acquire()):
            await work()
    finally:
        await lease.release()


async def operate(
    *,
    listing: Listing,
    reconciler: Reconciler,
    queue: Queue[Key],
    team: Workers,
    workers: int,
    watch: Callable[[], Awaitable[None]],
    hold: Callable[[], Coroutine[None, None, None]],
    stop: asyncio.Event,
) -> None:
    """List, then watch and work until `stop` is set; finish the writes at hand. `hold` keeps the leadership meanwhile.

    Raises ExceptionGroup when a part of it ended by an exception that nobody expects; the others are then ended too.
    """
    try:
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(hold()), *listing.start(group)]
            if reconciler.flagd is not None:
                background += [group.create_task(reconciler.flagd.work()) for _ in range(WRITERS)]
            if reconciler.nudges is not None:
                background.append(group.create_task(reconciler.nudges.work()))
            if await _unless(stop, listing.ready.wait()):
                urgent = [False] * workers + [True] * URGENT_WORKERS
                working = [group.create_task(team.work(urgent_only=each)) for each in urgent]
                await watch()
                if not stop.is_set():
                    raise RuntimeError("the watch ended by itself")
                queue.close()
                await asyncio.wait(working)
            for task in background:
                task.cancel()
    finally:
        await reconciler.close()


class _Backoffs:
    """kopf's delays after errors: without end, so that neither an outage nor a namespace without rights ends the watch of the others."""

    def __iter__(self) -> Iterator[float]:
        return doubling(0.5, 5.0)


async def _watch(settings: Settings, *, login: Login, reconciler: Reconciler, queue: Queue[Key], stop: asyncio.Event) -> None:
    deep_json.teach_kopf()
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
        identity=cast("Any", NAME),  # kopf would ask for the user's name, and a number in a pod has none; without peers nobody reads it
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


async def _unless(stop: asyncio.Event, what: Coroutine[None, None, object]) -> bool:
    """Wait for something, and tell whether it came; False once `stop` is set."""
    waits = [asyncio.ensure_future(what), asyncio.ensure_future(stop.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if waits[0].done():
            await waits[0]
        return waits[0].done() and not stop.is_set()
    finally:
        for wait in waits:
            wait.cancel()


def _lease(api: client.ApiClient, settings: Settings, login: Login) -> Lease:
    namespace = settings.lease.namespace or login.pod_namespace or next(iter(settings.namespaces), "default")
    host = socket.gethostname()  # in a pod, the pod's name
    identity = settings.lease.identity or (host if login.pod_namespace else f"{host}-{uuid.uuid4()}")

    async def log_in_again() -> None:
        try:
            await login.renew()
        except NoClusterError as error:  # it may just be written anew
            logger.warning("%s", error)

    return Lease(api, settings.lease, identity=identity, namespace=namespace, clock=SystemClock(), log_in_again=log_in_again)


def _tell(settings: Settings) -> None:
    for name, source in sorted(settings.sources.items()):
        logger.info("metrics source %s: %s", name, source.shown_url)
    if not settings.sources:
        logger.warning(
            "no metrics source is configured: no guardrail can be read, so guarded ramps hold and nothing is rolled back by itself"
        )


def _scope(settings: Settings) -> str:
    return f"the namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces"
