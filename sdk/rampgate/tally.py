"""Counting evaluations without a lock on the way of a request.

Knows how to add one and how to read. Must not know what is counted.
"""

from collections.abc import Iterator
from itertools import count
from threading import RLock


class Tally:
    """A number that threads raise at once, and lose nothing: `next(tally.ticks)` adds one.

    `itertools.count` advances within a single call into C, between whose halves no other thread can run. Reading advances it too, which is
    why reads are counted and taken off.
    """

    __slots__ = ("_lock", "_not_counted", "ticks")

    def __init__(self) -> None:
        self.ticks: Iterator[int] = count()
        self._not_counted = 0
        self._lock = RLock()

    def value(self) -> int:
        """How often one was added."""
        with self._lock:
            counted = next(self.ticks) - self._not_counted
            self._not_counted += 1
            return counted

    def start_in_child(self) -> None:
        """Begin at 0 after a fork: what the parent counted it reports itself."""
        self._lock = RLock()
        counted = self.value()
        self._not_counted += counted
