"""Things on their way to somebody slow: a bounded queue, and a thread that empties it.

Knows queues and threads, and what to do about a receiver that fails or hangs. Must not know what is delivered.
"""

import atexit
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from random import uniform
from threading import Event, Thread
from time import monotonic
from typing import Generic, TypeVar

from rampgate.tally import Tally
from rampgate.trouble import Trouble

T = TypeVar("T")

TRIES = 5
"""A batch that failed so often is dropped: one that can never be taken must not keep those behind it for ever."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds that a failing receiver is left alone, at most: after the first failure in a row, and after many."""

HANGS_AFTER = 10.0
CLOSE_SECONDS = 2.0


class Courier(Generic[T]):
    """Hands what it takes to `deliver`, in batches of at most `batch`, about `every` so many seconds, in a thread of its own.

    Drop policy: when `capacity` items wait, the newest is dropped and counted. To drop the oldest would need a lock where requests are, and
    would tear as large a hole. A batch whose delivery raises is delivered again, after a pause with full jitter, so it may arrive twice.
    """

    def __init__(self, name: str, deliver: Callable[[Sequence[T]], object], *, capacity: int, batch: int, every: float) -> None:
        self._name = name
        self._deliver = deliver
        self._capacity = capacity
        self._batch = max(1, batch)
        self._every = every
        self._waiting: deque[T] = deque()
        self._in_hand: list[T] = []
        self._tries = 0
        self._busy_since: float | None = None
        self._dropped = Tally()
        self._stop = Event()
        self._thread: Thread | None = None
        self._failing = Trouble(f"exposures to {name}")
        self._hanging = Trouble(f"exposures to {name}")
        self._dropping = Trouble(f"exposures to {name}")

    @property
    def dropped(self) -> int:
        """How many items were not delivered, and never will be."""
        return self._dropped.value()

    def start(self) -> None:
        """Begin, unless it has."""
        if self._thread is None:
            atexit.register(self.close)
            self._begin()

    def start_in_child(self) -> None:
        """Begin anew after a fork: what waits is the parent's to deliver, and its thread is not here."""
        self._dropped.start_in_child()
        if self._thread is None or self._stop.is_set():
            return
        self._waiting, self._in_hand, self._tries, self._busy_since = deque(), [], 0, None
        self._begin()

    def take(self, item: T) -> None:
        """Queue an item, or drop it; never waits."""
        if len(self._waiting) >= self._capacity or self._stop.is_set():
            next(self._dropped.ticks)
        else:
            self._waiting.append(item)

    def check(self) -> None:
        """Say so when a delivery does not end, for nobody else can, and once when anything was dropped."""
        if self.dropped:
            self._dropping.report("some were dropped, and are counted in `rampgate_dropped_exposures_total`")
        since = self._busy_since
        if since is not None and monotonic() - since > HANGS_AFTER:
            self._hanging.report(f"a delivery has not returned for more than {HANGS_AFTER:g} seconds; what waits behind it may be dropped")
        else:
            self._hanging.report("")

    def close(self) -> None:
        """Deliver what waits, and end. What is not delivered within `CLOSE_SECONDS` is dropped, and so is what comes later."""
        self._stop.set()
        atexit.unregister(self.close)
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
        rest, self._waiting = self._waiting, deque()
        self._drop(rest)

    def _begin(self) -> None:
        self._stop = Event()
        self._thread = Thread(target=self._run, args=(self._stop,), name=f"rampgate-{self._name}", daemon=True)
        self._thread.start()

    def _run(self, stop: Event) -> None:
        failures = 0
        while not stop.wait(self._every if failures == 0 else _pause(failures)):
            failures = 0 if self._deliver_all() else failures + 1
        if not self._deliver_all():
            self._drop(self._in_hand)

    def _deliver_all(self) -> bool:
        """Deliver batch by batch until nothing waits, or one fails; whether none did."""
        while self._in_hand or self._take_up():
            if not self._hand_over():
                return False
        return True

    def _take_up(self) -> bool:
        """Take the next batch in hand, if there is one. A batch that failed stays as it was: nothing joins one that may be dropped."""
        with suppress(IndexError):  # `close` may take all that waits at any moment
            while len(self._in_hand) < self._batch:
                self._in_hand.append(self._waiting.popleft())
        return bool(self._in_hand)

    def _hand_over(self) -> bool:
        self._busy_since = monotonic()
        try:
            self._deliver(tuple(self._in_hand))
        except BaseException as error:  # noqa: BLE001 - the application's callback; not even its `sys.exit` may end this thread
            self._failing.report(f"{error!r}; tried again in up to {LONGEST_PAUSE:g} seconds")
            self._tries += 1
            if self._tries < TRIES:
                return False
            self._drop(self._in_hand)
        else:
            self._failing.report("")
        finally:
            self._busy_since = None
        self._in_hand, self._tries = [], 0
        return True

    def _drop(self, items: Iterable[T]) -> None:
        for _ in items:
            next(self._dropped.ticks)


def _pause(failures: int) -> float:
    return uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10)))  # noqa: S311 - no secret
