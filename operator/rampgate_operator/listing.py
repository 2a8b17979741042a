"""What there is, listed: once before anything is decided, then now and then, against deletions that the watch missed.

Each namespace is listed for itself, so that one which cannot be listed holds up no other. Knows how to wait and what to tell a person; what
is decided about an Experiment it does not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterator, Mapping
from http import HTTPStatus

from rampgate_operator.cache import key_of
from rampgate_operator.ports import Body, Cluster, ClusterError, ConflictError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler, wants_kill
from rampgate_operator.rules import gates_in

logger = logging.getLogger(__name__)
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
"""Seconds until a list that failed is asked for again; doubled each time."""
SOON = 5.0
"""Seconds until the second list: what is deleted between the first one and the watch's beginning, the watch never tells."""


class Listing:
    """Keeps each namespace listed; the namespace None is all of them. `ready` once each has been tried and one was listed."""

    def __init__(self, clusters: Mapping[str | None, Cluster], reconciler: Reconciler, queue: Queue[Key], *, every: float) -> None:
        self.ready = asyncio.Event()
        self._clusters, self._reconciler, self._queue, self._every = clusters, reconciler, queue, every
        self._tried: dict[str | None, bool] = {}

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """List each namespace in a task of its own."""
        return [group.create_task(self._keep(namespace)) for namespace in self._clusters]

    async def _keep(self, namespace: str | None) -> None:
        delays, some = doubling(FIRST_RETRY, LONGEST_RETRY), False
        while True:
            try:
                await resync(self._clusters[namespace], self._reconciler, self._queue, namespace=namespace)
            except (ClusterError, ConflictError) as error:
                logger.warning("%s", error)
                delay = next(delays)
            else:
                delay = self._every if some else min(SOON, self._every)
                delays, some = doubling(FIRST_RETRY, LONGEST_RETRY), True
            self._tell(namespace, listed=some)
            await asyncio.sleep(delay)

    def _tell(self, namespace: str | None, *, listed: bool) -> None:
        self._tried[namespace] = listed
        if self._tried.keys() == self._clusters.keys() and any(self._tried.values()):
            self.ready.set()


async def resync(cluster: Cluster, reconciler: Reconciler, queue: Queue[Key], *, namespace: str | None = None) -> None:
    """List everything in a namespace, or in all that the cluster gives, and queue it: also what vanished unseen.

    Raises ClusterError with a sentence for a person.
    """
    known, known_rules = reconciler.experiments.versions(namespace), reconciler.rules.cache.versions(namespace)
    experiments = await _listed(cluster.list_experiments(), "experiments", namespace)
    config_maps = await _listed(cluster.list_config_maps(), "configmaps", namespace)
    vanished = reconciler.experiments.replace(experiments, since=known)
    reconciler.rules.replace(config_maps, since=known_rules)
    reconciler.watch.listed((*experiments, *config_maps), namespace)
    for body in experiments:
        queue.add(key_of(body), urgent=wants_kill(body))
    for key in vanished | {Key(key_of(body).namespace, gate) for body in config_maps for gate in gates_in(body)}:
        queue.add(key)


def doubling(first: float, longest: float) -> Iterator[float]:
    """Give ever longer delays, in seconds, without end."""
    delay = first
    while True:
        yield delay
        delay = min(2 * delay, longest)


async def _listed(request: Awaitable[list[Body]], resource: str, namespace: str | None) -> list[Body]:
    try:
        return await request
    except (ClusterError, ConflictError) as error:
        raise ClusterError(_sentence(error, resource, namespace)) from error


def _sentence(error: Exception, resource: str, namespace: str | None) -> str:
    where = "in all namespaces" if namespace is None else f"in namespace {namespace}"
    match getattr(error.__cause__, "status", None):  # what the API server answered, if it did
        case HTTPStatus.FORBIDDEN:
            remedy = "in the whole cluster, or configure `namespaces`" if namespace is None else "there, or take it out of `namespaces`"
            return f"403 Forbidden: may not list {resource} {where}; the rights are in manifests/rbac/operator.yaml: bind them {remedy}"
        case HTTPStatus.NOT_FOUND:
            return f"404 Not Found: cannot list {resource} {where}; is the CRD experiments.rampgate.dev there? Apply crds/"
    return f"cannot list {resource} {where}: {error}"
