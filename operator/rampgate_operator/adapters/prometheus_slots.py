"""The slots of one source, and the threads that use them.

Knows how many calls may be under way, and what ends one. Must not know what a call asks, nor how its answer is handed out.

`requests` blocks, so each call has a thread from a pool that all sources share. A slot is given back when the thread has ended, not when
the wait for it has: a source that hangs fills its own slots, never another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from rampgate_operator.adapters.prometheus_http import Call, Limits
from rampgate_operator.core.looks import Failed, FailureReason
from rampgate_operator.fair import FairSlots
from rampgate_operator.settings import SourceSettings

_T = TypeVar("_T")

_GRACE = timedelta(seconds=2)
"""For connecting and reading, on top of the query's own timeout."""

_WAITS = 3
"""How many timeouts a question waits for a free slot of its source."""


class Slots:
    """One source: its free slots, its calls in flight. For one event loop."""

    def __init__(self, name: str, source: SourceSettings, *, limits: Limits, threads: ThreadPoolExecutor) -> None:
        self._name, self._source, self._limits, self._threads = name, source, limits, threads
        self._free = FairSlots(source.max_concurrent)
        self._calls: set[Call] = set()

    @property
    def patience(self) -> float:
        """Seconds that a question waits for a slot."""
        return _WAITS * self._source.timeout.total_seconds()

    def longest(self, rounds: int) -> float:
        """Seconds that so many queries take at most, one after the other."""
        return rounds * self._source.timeout.total_seconds() + _GRACE.total_seconds()

    @property
    def busy(self) -> Failed:
        """What a question is told that has lost patience."""
        said = f"All {self._source.max_concurrent} connections to metrics source {self._name} stayed busy"
        return Failed(FailureReason.THROTTLED, f"{said}: lengthen intervals, or allow it more.")

    @property
    def busy_apart(self) -> Failed:
        """What a question is told that has lost patience where those wait that are asked apart."""
        said = f"Metrics source {self._name} was too slow, or had too much to answer, for too many namespaces' questions"
        return Failed(FailureReason.THROTTLED, f"{said}: no turn came in time to ask again. See how long its queries take.")

    @property
    def too_slow(self) -> Failed:
        """What a question is told that took longer than `longest`."""
        return Failed(FailureReason.TIMEOUT, f"Metrics source {self._name} gave no complete answer in time.")

    def close(self) -> None:
        """End the calls in flight."""
        for call in tuple(self._calls):
            call.abandon()

    async def acquire(self, tenant: str) -> None:
        """Take a slot, which `work` gives back, or `release`."""
        await self._free.acquire(tenant)

    def release(self) -> None:
        """Give a slot back that was not used."""
        self._free.release()

    async def work(self, do: Callable[[Call], _T], *, rounds: int) -> _T:
        """Use a slot: run `do` in a thread, and stop waiting in time.

        Raises:
            TimeoutError: it took longer than `longest`.
        """
        call = Call(self._name, self._source, self._limits)
        running = self._start(call, do)
        try:
            async with asyncio.timeout(self.longest(rounds)):
                return await asyncio.shield(asyncio.wrap_future(running))
        finally:
            if not running.done():
                call.abandon()

    def _start(self, call: Call, do: Callable[[Call], _T]) -> Future[_T]:
        loop = asyncio.get_running_loop()
        self._calls.add(call)

        def ended() -> None:
            self._calls.discard(call)
            self._free.release()

        def tell_the_loop(_: Future[_T]) -> None:
            # A thread may outlive the loop; then nobody waits for its slot either.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended)

        running = self._threads.submit(do, call)
        running.add_done_callback(tell_the_loop)
        return running
