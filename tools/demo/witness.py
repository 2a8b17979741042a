"""A witness notes what it saw and when, and can be asked later, or waited for.

Knows values and times. Must not know where they come from.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class NotSeenError(Exception):
    """What was waited for did not come in time; the message says what, and what was seen instead."""


@dataclass(frozen=True)
class Seen(Generic[T]):
    """A value, and the Unix time at which it was first seen."""

    at: float
    value: T


class Witness(Generic[T]):
    """The changes of one thing. Any thread may record, any may wait."""

    def __init__(self, subject: str, *, on_change: Callable[[Seen[T]], None] | None = None) -> None:
        self.subject = subject
        self._on_change = on_change
        self._seen: list[Seen[T]] = []
        self._changed = threading.Condition()

    def record(self, value: T, *, at: float) -> None:
        """Note a value seen at Unix time `at`, unless it is the one seen last."""
        with self._changed:
            if self._seen and self._seen[-1].value == value:
                return
            self._seen.append(Seen(at, value))
            self._changed.notify_all()
        if self._on_change is not None:
            self._on_change(Seen(at, value))

    def since(self, moment: float) -> tuple[Seen[T], ...]:
        """Give what was first seen at or after a Unix time, in order."""
        with self._changed:
            return tuple(seen for seen in self._seen if seen.at >= moment)

    @property
    def latest(self) -> Seen[T] | None:
        """What was seen last; None when nothing was."""
        with self._changed:
            return self._seen[-1] if self._seen else None

    def wait(self, wanted: Callable[[T], bool], what: str, *, since: float = 0.0, timeout: float = 20.0) -> Seen[T]:
        """Give the first value at or after `since` that is wanted, waiting for it up to `timeout` seconds.

        `what` names it in the NotSeenError.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := next((seen for seen in self._seen if seen.at >= since and wanted(seen.value)), None)) is None:
                if not self._changed.wait(deadline - time.monotonic()):
                    last = self._seen[-1].value if self._seen else "nothing"
                    raise NotSeenError(f"{self.subject}: {what} did not come within {timeout:.0f} s; seen last: {last}")
        return found
