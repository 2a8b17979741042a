"""What observers hear: who was exposed for the first time, how requests ended; and what is counted without them.

Knows decisions and units. Must not know how decisions are made, nor any metrics library.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from threading import RLock
from typing import NamedTuple
from weakref import WeakValueDictionary

from rampgate.decision import Decision, Reason
from rampgate.evaluate import Memory
from rampgate.rules import is_unicode, plain
from rampgate.snapshot import Loaded
from rampgate.tally import Tally
from rampgate.trouble import Trouble

REMEMBERED_UNITS = 200_000
"""How many exposures `FirstSeen` tells apart by default: at most about 25 MB."""

OTHER_GATE = "_other"
"""What gates that no rules know are called after the first `KNOWN_STRANGERS`: free text must not become series without end."""

KNOWN_STRANGERS = 100

OTHER_OUTCOME = "_other"
"""What outcomes are called after the first `KNOWN_OUTCOMES`, and those whose name is no text, or a long one."""

KNOWN_OUTCOMES = 100

LONGEST_NAME = 253
"""Characters: an Experiment's name has no more, and whoever asks a server chooses the name, which stays in every scrape."""

_INFINITY, _NO_NUMBER = float("inf"), float("nan")  # `math` is a shared library, which weighs as much as two modules of ours


class Exposures(NamedTuple):
    """What is counted apart: metric labels."""

    gate: str
    variant: str
    reason: Reason


class Observed(NamedTuple):
    """What an observer may ask at any time.

    Seconds since the source confirmed its rules, all evaluations until now, and what sinks did not pass on until now, by their names.
    """

    age_seconds: Callable[[], float]
    exposures: Callable[[], Mapping[Exposures, int]]
    dropped: Callable[[], Mapping[str, int]]


class Observer:
    """A sink: metrics, a log. A subclass says what it wants to hear of, and does nothing about the rest.

    Called on the thread that evaluates, so it must be quick; what it raises is logged once and dropped.
    """

    def attached(self, observed: Observed) -> None:
        """Hear, before anything else, what can be asked."""

    def rules_changed(self, gates: Mapping[str, Loaded]) -> None:
        """Hear which rules are in force from now on."""

    def first_exposed(self, decision: Decision, *, unit: str) -> None:
        """Hear of a unit's first evaluation that was drawn (an arm or the baseline): once per process, attempt and percentage."""

    def finished(self, decision: Decision, *, seconds: float, failed: bool, is_first_failure: bool) -> None:
        """Hear how a measured request ended. `is_first_failure` is False unless the decision was drawn."""

    def recorded(self, decision: Decision, *, outcome: str, value: float) -> None:
        """Hear of something that happened during a measured request. `value` is finite and not negative."""

    def flush(self) -> None:
        """Pass on what was held back: asked for about once a second, and at the end."""

    def dropped(self) -> Mapping[str, int]:
        """Say how much was not passed on and never will be, by the sink's name."""
        return {}

    def before_fork(self) -> None:
        """Hear, in the parent, that it forks now: whatever must be whole in the child must not be touched, for a moment."""

    def after_fork(self) -> None:
        """Hear, in the parent, that it has forked."""

    def start_in_child(self) -> None:
        """Begin anew after a fork: no other thread of the parent's lives here, and what it counted or queued is its own to report.

        Called before any thread of ours runs in the child; `rules_changed` follows.
        """

    def close(self) -> None:
        """Pass on what can be passed on within a few seconds, and leave no thread behind."""


class FirstSeen:
    """Tells the first exposure and the first failure of a unit from later ones, per gate, attempt and percentage, in bounded memory.

    A draw is remembered for as long as rules have it. One that comes back, as a percentage after a lower one, begins anew: so does whoever
    counts what it exposes.
    Drop policy: it keeps two halves; when the newer ones are full, the older ones are forgotten. A unit not seen for that long counts as
    new again, in whatever variant it is: forgetting takes no side. Only a 64-bit hash of the unit is kept, salted by the process.
    """

    def __init__(self, capacity: int = REMEMBERED_UNITS) -> None:
        self._half = max(1, capacity // 2)
        self._remembered = 0
        self._memories: WeakValueDictionary[Hashable, Memory] = WeakValueDictionary()
        self._lock = RLock()  # reentrant: a signal's handler may evaluate too

    def start_in_child(self) -> None:
        """Begin anew after a fork: the lock may be held by a thread that this process does not have, and units are counted by process."""
        self._lock = RLock()  # reentrant: a signal's handler may evaluate too
        self._forget()
        self._forget()

    def memory(self, draw: Hashable) -> Memory:
        """Give what is remembered of a draw: the same object while anybody holds it."""
        with self._lock:
            return self._memories.setdefault(draw, Memory())

    def is_first_exposure(self, memory: Memory, unit: str, *, arm: int) -> bool:
        """Whether this is the first exposure of `unit` by these rules; from then on it is not."""
        key = hash(unit)
        with self._lock:
            if key in memory.newer:
                return False
            self._make_room()
            memory.newer[key] = arm
            if key in memory.failed_older:
                memory.failed_newer.add(key)
            return key not in memory.older

    def is_first_failure(self, memory: Memory, unit: str) -> bool:
        """Whether this is the first failure of `unit` under these rules; from then on it is not."""
        key = hash(unit)
        with self._lock:
            if key in memory.failed_newer:
                return False
            self._make_room()
            memory.failed_newer.add(key)
            return key not in memory.failed_older

    def _make_room(self) -> None:
        if self._remembered >= self._half:
            self._forget()
        self._remembered += 1

    def _forget(self) -> None:
        """Let the older half go. Empty memories stay: rules in force may hold one."""
        for memory in tuple(self._memories.values()):
            memory.older, memory.newer = memory.newer, {}
            memory.failed_older, memory.failed_newer = memory.failed_newer, set()
        self._remembered = 0


class Audience:
    """All observers of one `Gates`, told as one: none of them can harm a request, or another observer.

    Evaluations are counted whether anybody observes or not; who was first is remembered only for observers.
    """

    def __init__(self, age_seconds: Callable[[], float], *, remembered_units: int = REMEMBERED_UNITS) -> None:
        self.observers: tuple[Observer, ...] = ()
        self._observed = Observed(age_seconds, self.exposures, self.dropped)
        self._first_seen = FirstSeen(remembered_units)
        self._tallies: dict[Exposures, Tally] = {}
        self._known: set[str] = set()
        self._strangers: set[str] = set()
        self._outcomes: set[str] = set()
        self._trouble = Trouble("an observer of exposures")
        self._unrecorded = Trouble("outcomes of measured requests")

    def start_in_child(self) -> None:
        """Begin anew after a fork: a process counts what it does itself."""
        self._first_seen.start_in_child()
        for tally in tuple(self._tallies.values()):
            tally.start_in_child()
        self._tell_all(lambda each: each.start_in_child())

    def before_fork(self) -> None:
        """Tell everybody that this process forks."""
        self._tell_all(lambda each: each.before_fork())

    def after_fork(self) -> None:
        """Tell everybody that this process has forked."""
        self._tell_all(lambda each: each.after_fork())

    def add(self, observer: Observer) -> None:
        """Begin to tell `observer`; `rules_changed` must follow."""
        self._tell(observer, lambda each: each.attached(self._observed))
        self.observers = (*self.observers, observer)

    def remove(self, observer: Observer) -> None:
        """Tell `observer` nothing more."""
        self.observers = tuple(each for each in self.observers if each is not observer)

    def rules_changed(self, gates: Mapping[str, Loaded]) -> None:
        """Tell everybody the rules in force."""
        self._known.update(gates)
        self._tell_all(lambda each: each.rules_changed(gates))

    def ticks(self, decision: Decision) -> Iterator[int]:
        """What to advance by one at each evaluation that decides this; for a gate of the rules."""
        return self._tally(Exposures(decision.gate, decision.label, decision.reason)).ticks

    def memory(self, draw: Hashable) -> Memory | None:
        """Whom a draw has exposed; None when nobody wants to know."""
        return self._first_seen.memory(draw) if self.observers else None

    def exposed(self, memory: Memory, decision: Decision, unit: str, *, arm: int) -> None:
        """Remember a unit, and tell everybody if this is its first exposure."""
        if self._first_seen.is_first_exposure(memory, unit, arm=arm):
            self._tell_all(lambda each: each.first_exposed(decision, unit=unit))

    def undecided(self, decision: Decision) -> None:
        """Count an evaluation that no rule decided, under a name that need not be anybody's gate."""
        tally = self._tally(Exposures(self._name(decision.gate), decision.label, decision.reason))
        next(tally.ticks)

    def finished(self, decision: Decision, unit: str, memory: Memory | None, *, seconds: float, failed: bool) -> None:
        """Tell everybody how a measured request ended; `memory` is that of the draw, None when none was."""
        is_first = failed and memory is not None and self._first_seen.is_first_failure(memory, unit)
        named = decision._replace(gate=self._name(decision.gate))
        self._tell_all(lambda each: each.finished(named, seconds=seconds, failed=failed, is_first_failure=is_first))

    def recorded(self, decision: Decision, outcome: object, value: object) -> None:
        """Tell everybody of something that happened during a measured request, unless its value is no number that can be added up."""
        what, worth = self._outcome(outcome), _number(value)
        if not 0 <= worth < _INFINITY:
            self._unrecorded.report(f"{what!r} was not recorded: its value was no finite number of 0 or more")
            return
        named = decision._replace(gate=self._name(decision.gate))
        self._tell_all(lambda each: each.recorded(named, outcome=what, value=worth))

    def flush(self) -> None:
        """Ask everybody to pass on what was held back."""
        self._tell_all(lambda each: each.flush())

    def close(self) -> None:
        """Tell everybody that this is the end."""
        self._tell_all(lambda each: each.close())

    def dropped(self) -> Mapping[str, int]:
        """What sinks did not pass on until now, by their names."""
        found: dict[str, int] = {}

        def add(observer: Observer) -> None:
            for name, count in observer.dropped().items():
                found[name] = found.get(name, 0) + count

        self._tell_all(add)
        return found

    def exposures(self) -> Mapping[Exposures, int]:
        """All evaluations until now."""
        return {labels: tally.value() for labels, tally in tuple(self._tallies.items())}

    def _tally(self, labels: Exposures) -> Tally:
        return self._tallies.get(labels) or self._tallies.setdefault(labels, Tally())

    def _name(self, gate: object) -> str:
        if isinstance(gate, str) and gate in self._known:
            return gate
        return _bounded(gate, self._strangers, most=KNOWN_STRANGERS, other=OTHER_GATE)

    def _outcome(self, outcome: object) -> str:
        return _bounded(plain(outcome) or None, self._outcomes, most=KNOWN_OUTCOMES, other=OTHER_OUTCOME)

    def _tell_all(self, news: Callable[[Observer], object]) -> None:
        for observer in self.observers:
            self._tell(observer, news)

    def _tell(self, observer: Observer, news: Callable[[Observer], object]) -> None:
        try:
            news(observer)
        except Exception as error:  # noqa: BLE001 - a sink's fault must not become the request's
            self._trouble.report(f"{type(observer).__name__} raised {error!r}")


def _bounded(name: object, known: set[str], *, most: int, other: str) -> str:
    """Give a name if it is one of the first so many, and can be written; free text must not become series without end."""
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not is_unicode(name):
        return other
    if name not in known:
        if len(known) >= most:
            return other
        known.add(name)
    return name


def _number(value: object) -> float:
    """Give a number as a float, whatever kind of number it is; of anything else, NaN."""
    try:
        return _NO_NUMBER if isinstance(value, str) else float(value)  # type: ignore[arg-type]  # that is the question
    except Exception:  # noqa: BLE001 - the application's object, and its code
        return _NO_NUMBER
