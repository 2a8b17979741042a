"""Which Experiment to reconcile next: a queue that keeps each key once, by deadline, urgent ones first, one worker per key.

Knows nothing of Experiments. Time is the event loop's. A key added while it is being worked on is handed out again afterwards.
"""

import asyncio
import heapq
import itertools
from collections.abc import Hashable
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
        self._ready: tuple[dict[K, None], dict[K, None]] = ({}, {})  # urgent, other; in order of arrival
        self._running: set[K] = set()
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

    async def take(self) -> K | None:
        """Wait for the next key and mark it as being worked on; None once the queue is closed."""
        while not self._closed:
            key = self._next_ready()
            if key is not None:
                self._running.add(key)
                return key
            self._changed.clear()
            timer = asyncio.get_running_loop().call_at(self._by_deadline[0][0], self._changed.set) if self._by_deadline else None
            await self._changed.wait()
            if timer is not None:
                timer.cancel()
        return None

    def finish(self, key: K) -> None:
        """Give a key back; it may now be taken again."""
        self._running.discard(key)
        self._changed.set()

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True
        self._changed.set()

    def __len__(self) -> int:
        """Count the keys that are due or will be."""
        return len(self._tickets)

    def _drop_outdated(self) -> None:
        """A deadline that became earlier leaves its old one behind, and that may lie weeks ahead."""
        if len(self._by_deadline) > 2 * len(self._tickets) + MOST_OUTDATED:
            self._by_deadline = [(ticket.due, next(self._order), key) for key, ticket in self._tickets.items()]
            heapq.heapify(self._by_deadline)

    def _next_ready(self) -> K | None:
        self._collect_due()
        for lane in self._ready:
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
                other.pop(key, None)
                urgent[key] = None
            else:
                other[key] = None
