"""Which Experiment to reconcile next: a queue that keeps each key once, by deadline, urgent ones first, one worker per key.

Knows nothing of Experiments. Time is the event loop's. A key added while it is being worked on is handed out again afterwards.
"""

import asyncio
import heapq
import itertools
from collections.abc import Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
MOST_OUTDATED = 64


class Ticket(NamedTuple):
    """When a key is due, and whether it goes before all that is not urgent."""

    due: float
    urgent: bool


class Queue(Generic[K]):
    """A deduplicating queue with deadlines and one fast lane; for one event loop."""

    def __init__(self) -> None:
        self._tickets: dict[K, Ticket] = {}
        self._by_deadline: list[tuple[float, int, K]] = []
        self._ready: tuple[dict[K, float], dict[K, float]] = ({}, {})  # urgent, other; in order of arrival, and since when
        self._running: dict[K, float] = {}
        self._finished_at = 0.0
        self._changed = asyncio.Event()
        self._order = itertools.count()
        self._closed = False

    def add(self, key: K, *, delay: float = 0.0, urgent: bool = False) -> None:
        """Ask for a key after `delay` seconds; an earlier deadline and a greater urgency that were asked for before stay."""
        due = asyncio.get_running_loop().time() + max(0.0, delay)
        known = self._tickets.get(key)
        ticket = Ticket(due, urgent) if known is None else Ticket(min(due, known.due), urgent or known.urgent)
        if ticket != known:
            self._tickets[key] = ticket
            heapq.heappush(self._by_deadline, (ticket.due, next(self._order), key))
            self._drop_outdated()
            self._changed.set()

    async def take(self, *, urgent_only: bool = False) -> K | None:
        """Wait for the next key, or the next urgent one, and mark it as being worked on; None once the queue is closed."""
        while not self._closed:
            key = self._next_ready(urgent_only=urgent_only)
            if key is not None:
                self._running[key] = asyncio.get_running_loop().time()
                return key
            self._changed.clear()
            timer = asyncio.get_running_loop().call_at(self._by_deadline[0][0], self._changed.set) if self._by_deadline else None
            await self._changed.wait()
            if timer is not None:
                timer.cancel()
        return None

    def finish(self, key: K) -> None:
        """Give a key back; it may now be taken again."""
        self._running.pop(key, None)
        self._finished_at = asyncio.get_running_loop().time()
        self._changed.set()

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True
        self._changed.set()

    def __len__(self) -> int:
        """Count the keys that are due or will be."""
        return len(self._tickets)

    @property
    def ready(self) -> int:
        """Count the keys that are due and wait for a worker."""
        self._collect_due()
        return sum(key not in self._running for lane in self._ready for key in lane)

    @property
    def longest_wait(self) -> float:
        """Give the seconds that the oldest of these has waited."""
        self._collect_due()
        return self._age(since for lane in self._ready for key, since in lane.items() if key not in self._running)

    @property
    def stalled(self) -> float:
        """Give the seconds for which keys were due and none was finished: a long line that moves is no trouble."""
        return min(self.longest_wait, asyncio.get_running_loop().time() - self._finished_at)

    @property
    def longest_work(self) -> float:
        """Give the seconds that the key in hand longest has been worked on."""
        return self._age(self._running.values())

    def _age(self, since: Iterable[float]) -> float:
        now = asyncio.get_running_loop().time()
        return now - min(since, default=now)

    def _drop_outdated(self) -> None:
        """A deadline that became earlier leaves its old one behind, and that may lie weeks ahead."""
        if len(self._by_deadline) > 2 * len(self._tickets) + MOST_OUTDATED:
            self._by_deadline = [(ticket.due, next(self._order), key) for key, ticket in self._tickets.items()]
            heapq.heapify(self._by_deadline)

    def _next_ready(self, *, urgent_only: bool) -> K | None:
        self._collect_due()
        for lane in self._ready[:1] if urgent_only else self._ready:
            for key in lane:
                if key not in self._running:
                    del lane[key]
                    del self._tickets[key]
                    return key
        return None

    def _collect_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._by_deadline and self._by_deadline[0][0] <= now:
            due, _, key = heapq.heappop(self._by_deadline)
            ticket = self._tickets.get(key)
            if ticket is None or ticket.due != due:
                continue  # taken since, or asked for earlier
            urgent, other = self._ready
            if ticket.urgent:
                urgent.setdefault(key, other.pop(key, due))
            else:
                other.setdefault(key, due)
