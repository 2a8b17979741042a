"""The parts of the process: they begin together, and when one of them fails, all end and the failure is told."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from prometheus_client import CollectorRegistry

from rampgate_operator.adapters.clock import SystemClock
from rampgate_operator.adapters.metrics import OperatorMeter
from rampgate_operator.listing import Listing
from rampgate_operator.ports import Body, ClusterError, Key
from rampgate_operator.process import operate
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler
from rampgate_operator.workers import Workers


class Cluster:
    """One namespace whose lists have these outcomes, one after the other; the last one again and again."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self._outcomes = list(outcomes)

    async def list_experiments(self) -> list[Body]:
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if outcome is not None:
            raise outcome
        return []

    async def list_config_maps(self) -> list[Body]:
        return []


class Closing(Reconciler):
    """A reconciler that tells whether it was closed."""

    closed = False

    async def close(self) -> None:
        await super().close()
        self.closed = True


class Running:
    """The parts, of which the watch and the lists are given."""

    def __init__(self, clusters: Mapping[str | None, Cluster], watch: Callable[[], Awaitable[None]] | None = None) -> None:
        self.stop, self.watched = asyncio.Event(), asyncio.Event()
        queue: Queue[Key] = Queue()
        self.reconciler = Closing(
            cluster=Cluster(None), metrics=None, clock=SystemClock(), queue=queue, meter=OperatorMeter(CollectorRegistry())
        )  # type: ignore[arg-type]
        self.listing = Listing(clusters, self.reconciler, queue, every=0.0)  # type: ignore[arg-type]
        self._watch = watch or self.stop.wait
        self._held = asyncio.Event()
        self.ended = asyncio.ensure_future(
            operate(
                listing=self.listing,
                reconciler=self.reconciler,
                queue=queue,
                team=Workers(self.reconciler, queue, OperatorMeter(CollectorRegistry())),
                workers=2,
                watch=self._begin,
                hold=self._held.wait,
                stop=self.stop,
            )
        )

    async def _begin(self) -> None:
        self.watched.set()
        await self._watch()


async def test_all_end_when_they_are_told_to() -> None:
    running = Running({None: Cluster(None)})
    await running.watched.wait()
    running.stop.set()
    await running.ended
    assert running.reconciler.closed


@pytest.mark.parametrize("outcomes", [[KeyError("bug")], [None, KeyError("bug")]], ids=["at first", "later"])
async def test_a_list_that_fails_as_nobody_expects_ends_them_all(outcomes: list[Exception | None]) -> None:
    running = Running({None: Cluster(*outcomes)})
    with pytest.raises(ExceptionGroup) as failed:
        await running.ended
    assert failed.group_contains(KeyError, match="bug")
    assert running.reconciler.closed


async def test_a_watch_that_fails_ends_them_all() -> None:
    async def watch() -> None:
        raise KeyError("gone")

    running = Running({None: Cluster(None)}, watch)
    with pytest.raises(ExceptionGroup) as failed:
        await running.ended
    assert failed.group_contains(KeyError, match="gone")
    assert running.reconciler.closed


async def test_a_watch_that_ends_by_itself_is_a_failure() -> None:
    async def watch() -> None:
        return

    running = Running({None: Cluster(None)}, watch)
    with pytest.raises(ExceptionGroup) as failed:
        await running.ended
    assert failed.group_contains(RuntimeError, match="the watch ended by itself")


async def test_they_end_while_they_wait_for_the_first_list() -> None:
    running = Running({None: Cluster(ClusterError("not yet"))})
    await asyncio.sleep(0)
    running.stop.set()
    await running.ended
    assert not running.watched.is_set()
    assert running.reconciler.closed


async def test_a_namespace_that_cannot_be_listed_does_not_hold_up_another() -> None:
    running = Running({"shop": Cluster(None), "search": Cluster(ClusterError("no rights"))})
    await running.watched.wait()
    running.stop.set()
    await running.ended
