"""Which Experiment to reconcile next: a queue that keeps each key once, by deadline, urgent ones first, one worker per key.

Tenants take turns, so that one with many keys keeps nobody else waiting for more than one of them. Knows nothing of Experiments.
Time is the event loop's. A key added while it is being worked on is handed out again afterwards.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
MOST_OUTDATED = 64


class Ticket(NamedTuple):
    """When a key is due, and whether it goes before all that is not urgent."""

    due: float
    urgent: bool


class _Lane(Generic[K]):
    """Keys that are due, with since when: of a tenant in the order of their arrival, the tenants in turn."""

    def __init__(self, tenant_of: Callable[[K], Hashable]) -> None:
        self._tenant_of = tenant_of
        self._lines: dict[Hashable, dict[K, float]] = {}  # in the order of their turn

    def add(self, key: K, since: float) -> None:
        self._lines.setdefault(self._tenant_of(key), {}).setdefault(key, since)

    def pop(self, key: K, default: float) -> float:
        return self._lines.get(self._tenant_of(key), {}).pop(key, default)

    def next(self, running: Collection[K]) -> K | None:
        """Take the first key that nobody works on; its tenant's next one has to wait for a round."""
        for tenant, line in tuple(self._lines.items()):
            key = next((each for each in line if each not in running), None)
            if key is not None or not line:
                del self._lines[tenant]
            if key is not None:
                del line[key]
                if line:
                    self._lines[tenant] = line
                return key
        return None

    def waiting(self, running: Collection[K]) -> list[float]:
        """Give since when each key waits that nobody works on."""
        return [since for line in self._lines.values() for key, since in line.items() if key not in running]


class Queue(Generic[K]):
    """A deduplicating queue with deadlines and one fast lane; for one event loop. `tenant_of` says whose a key is."""

    def __init__(self, tenant_of: Callable[[K], Hashable] = lambda _: None) -> None:
        self._tickets: dict[K, Ticket] = {}
        self._by_deadline: list[tuple[float, int, K]] = []
        self._urgent, self._other = _Lane(tenant_of), _Lane(tenant_of)
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
        return len(self._waiting())

    @property
    def longest_wait(self) -> float:
        """Give the seconds that the oldest of these has waited."""
        self._collect_due()
        return self._age(self._waiting())

    @property
    def stalled(self) -> float:
        """Give the seconds for which keys were due and none was finished: a long line that moves is no trouble."""
        return min(self.longest_wait, asyncio.get_running_loop().time() - self._finished_at)

    @property
    def longest_work(self) -> float:
        """Give the seconds that the key in hand longest has been worked on."""
        return self._age(self._running.values())

    def _waiting(self) -> list[float]:
        return self._urgent.waiting(self._running) + self._other.waiting(self._running)

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
        key = self._urgent.next(self._running)
        if key is None and not urgent_only:
            key = self._other.next(self._running)
        if key is not None:
            del self._tickets[key]
        return key

    def _collect_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._by_deadline and self._by_deadline[0][0] <= now:
            due, _, key = heapq.heappop(self._by_deadline)
            ticket = self._tickets.get(key)
            if ticket is None or ticket.due != due:
                continue  # taken since, or asked for earlier
            if ticket.urgent:
                self._urgent.add(key, self._other.pop(key, due))
            else:
                self._other.add(key, due)
