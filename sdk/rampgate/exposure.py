"""What observers hear: who was exposed, how their requests ended, and each of it for the first time.

Knows decisions and units. Must not know how decisions are made, nor any metrics library.
"""

import os
from collections.abc import Callable, Mapping
from threading import Lock, RLock
from typing import Protocol
from weakref import WeakSet

from rampgate.decision import Decision
from rampgate.evaluate import CompiledGate
from rampgate.trouble import Trouble

REMEMBERED_UNITS = 200_000
"""How many exposures `FirstSeen` tells apart by default: at most about 25 MB."""


class Observer(Protocol):
    """A sink: metrics, a log. Called on the thread that evaluates, so it must be quick; what it raises is logged once and dropped."""

    def attached(self, age_seconds: Callable[[], float]) -> None:
        """Hear, before anything else, how to ask for the seconds since the source last confirmed its rules."""

    def rules_changed(self, gates: Mapping[str, CompiledGate]) -> None:
        """Hear which rules are in force from now on."""

    def exposed(self, decision: Decision, *, unit: str, is_first: bool) -> None:
        """Hear of one evaluation. `unit` is empty and `is_first` False unless the decision was drawn (`decision.is_drawn`)."""

    def finished(self, decision: Decision, *, seconds: float, failed: bool, is_first_failure: bool) -> None:
        """Hear how a measured request ended. `is_first_failure` is False unless the decision was drawn."""


class FirstSeen:
    """Tells the first exposure and the first failure of a unit from later ones, per gate, attempt and percentage, in bounded memory.

    Drop policy: it keeps two halves; when the newer one is full, the older one is forgotten. A unit not seen for that long counts as new
    again, in whatever variant it is: forgetting takes no side. Only a 64-bit hash of the unit is kept, salted by the process.
    """

    def __init__(self, capacity: int = REMEMBERED_UNITS) -> None:
        self._half = max(1, capacity // 2)
        self._newer: dict[int, bool] = {}  # hash -> whether it has failed
        self._older: dict[int, bool] = {}
        self._lock = Lock()
        _REMEMBERING.add(self)

    def start_in_child(self) -> None:
        """Begin anew after a fork: the lock may be held by a thread that this process does not have, and units are counted by process."""
        self._lock = Lock()
        self._newer, self._older = {}, {}

    def is_first_exposure(self, decision: Decision, unit: str) -> bool:
        """Whether this is the first exposure of `unit` to these rules; from then on it is not."""
        key = hash((decision.gate, decision.attempt, decision.percent, unit))
        if key in self._newer:
            return False
        with self._lock:
            has_failed = self._newer.get(key, self._older.get(key))
            self._remember(key, has_failed=has_failed or False)
            return has_failed is None

    def is_first_failure(self, decision: Decision, unit: str) -> bool:
        """Whether this is the first failure of `unit` under these rules; from then on it is not."""
        key = hash((decision.gate, decision.attempt, decision.percent, unit))
        with self._lock:
            has_failed = self._newer.get(key, self._older.get(key, False))
            self._remember(key, has_failed=True)
            return not has_failed

    def _remember(self, key: int, *, has_failed: bool) -> None:
        if len(self._newer) >= self._half and key not in self._newer:
            self._older, self._newer = self._newer, {}
        self._newer[key] = has_failed


_REMEMBERING: "WeakSet[FirstSeen]" = WeakSet()


def _start_in_child() -> None:
    for each in tuple(_REMEMBERING):
        each.start_in_child()


if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(after_in_child=_start_in_child)


class Audience:
    """All observers of one `Gates`, told as one: none of them can harm a request, or another observer."""

    def __init__(self, age_seconds: Callable[[], float], *, remembered_units: int = REMEMBERED_UNITS) -> None:
        self.observers: tuple[Observer, ...] = ()
        self._age_seconds = age_seconds
        self._first_seen = FirstSeen(remembered_units)
        self._trouble = Trouble("an observer of exposures")
        self._telling_rules = RLock()
        """Rules that come while an observer is added must reach it, and last; reentrant, for an observer may bring rules about."""

    def add(self, observer: Observer, rules: Callable[[], Mapping[str, CompiledGate]]) -> None:
        """Begin to tell `observer`, starting with the rules in force, which `rules` gives."""
        self._tell(observer, lambda each: each.attached(self._age_seconds))
        with self._telling_rules:
            self.observers = (*self.observers, observer)
            self._tell(observer, lambda each: each.rules_changed(rules()))

    def rules_changed(self, rules: Callable[[], Mapping[str, CompiledGate]]) -> None:
        """Tell everybody the rules in force, which `rules` gives."""
        with self._telling_rules:
            for observer in self.observers:
                self._tell(observer, lambda each: each.rules_changed(rules()))

    def exposed(self, decision: Decision, unit: str) -> None:
        """Tell everybody of one evaluation."""
        is_first = decision.is_drawn and self._first_seen.is_first_exposure(decision, unit)
        for observer in self.observers:
            self._tell(observer, lambda each: each.exposed(decision, unit=unit, is_first=is_first))

    def finished(self, decision: Decision, unit: str, *, seconds: float, failed: bool) -> None:
        """Tell everybody how a measured request ended."""
        is_first = failed and decision.is_drawn and self._first_seen.is_first_failure(decision, unit)
        for observer in self.observers:
            self._tell(observer, lambda each: each.finished(decision, seconds=seconds, failed=failed, is_first_failure=is_first))

    def _tell(self, observer: Observer, news: Callable[[Observer], None]) -> None:
        try:
            news(observer)
        except Exception as error:  # noqa: BLE001 - a sink's fault must not become the request's
            self._trouble.report(f"{type(observer).__name__} raised {error!r}")
