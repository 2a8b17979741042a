"""What an application holds: gates that answer in-process.

Knows how to serve the caller's default. Must not know how rules decide, travel or come into force.
Nothing here raises at evaluation, whatever it is given: trouble is an answer with a reason.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from os import PathLike
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from rampgate.decision import Decision, Label, Reason
from rampgate.evaluate import Memory
from rampgate.exposure import Observer
from rampgate.forced import Forced
from rampgate.in_force import InForce, OnChange, OnStale
from rampgate.pulse import Pulse
from rampgate.rules import plain
from rampgate.sources import Source
from rampgate.trouble import Trouble

if TYPE_CHECKING:
    from rampgate.measure import Measurement
    from rampgate.sources.memory import Entries

Context = Mapping[str, object] | None

STALE_AFTER = 300.0
_NOBODY: Mapping[str, object] = MappingProxyType({})
_NEVER = float("inf")
_PULSE_SECONDS = 1.0

request_context: ContextVar[Mapping[str, object]] = ContextVar("rampgate_context", default=_NOBODY)
"""The context of the request at hand, for those who ask without one: set by the middlewares in `rampgate.integrations`."""


class Gates:
    """The gates of one ConfigMap. Make one per process with a `from_…` method, and close it (or use it as a context manager).

    Common arguments: `wait`, the seconds that the constructor may wait for the first rules (later ones are taken when they come; until
    then every answer is the caller's default, reason ERROR); `on_change` and `on_stale`, see `listen`; `metrics`, an observer as `observe`
    takes it; `stale_after`, the seconds without word from the source after which decisions say `stale`.

    A process that is forked goes on with the rules of that moment, and with threads of its own it sees what changes.
    """

    def __init__(
        self,
        source: Source,
        *,
        wait: float = 0,
        on_change: OnChange | None = None,
        on_stale: OnStale | None = None,
        metrics: Observer | None = None,
        stale_after: float = STALE_AFTER,
    ) -> None:
        self._source = source
        self._in_force = InForce(stale_after=stale_after, forced=Forced(os.environ))
        self._pulse = Pulse("rampgate", self._beat, seconds=min(_PULSE_SECONDS, max(stale_after / 4, 0.01)), trouble=Trouble("the pulse"))
        self._is_beating = False
        self._process = os.getpid()
        self.listen(on_change=on_change, on_stale=on_stale)
        if metrics is not None:
            self.observe(metrics)
        source.start(self._in_force)
        if not self._in_force.ready.wait(wait):
            self._in_force.trouble.report("none yet: every gate answers with the caller's default until they come")
        if stale_after < _NEVER:
            self._in_force.check()
            self._begin_to_beat()
        _ALIVE.add(self)

    @classmethod
    def from_rules(cls, entries: "Entries", *, kill: str = "", on_change: OnChange | None = None, metrics: Observer | None = None) -> Self:
        """Gates from entries given in the program: `{gate: entry}`, an entry being its fields or its JSON line.

        Raises TypeError when `entries` is no mapping.
        """
        from rampgate.sources.memory import MemorySource  # noqa: PLC0415 - as the other sources

        return cls(MemorySource(entries, kill=kill), on_change=on_change, metrics=metrics, stale_after=_NEVER)

    @classmethod
    def from_directory(
        cls,
        path: str | PathLike[str],
        *,
        wait: float = 1.0,
        on_change: OnChange | None = None,
        on_stale: OnStale | None = None,
        metrics: Observer | None = None,
        stale_after: float = STALE_AFTER,
    ) -> Self:
        """Gates from a mounted ConfigMap, or any directory with the same files. Changes are seen within 100 ms."""
        from rampgate.sources.directory import DirectorySource  # noqa: PLC0415 - keeps `import rampgate` light

        return cls(DirectorySource(path), wait=wait, on_change=on_change, on_stale=on_stale, metrics=metrics, stale_after=stale_after)

    @classmethod
    def from_file(
        cls,
        path: str | PathLike[str],
        *,
        wait: float = 1.0,
        on_change: OnChange | None = None,
        on_stale: OnStale | None = None,
        metrics: Observer | None = None,
        stale_after: float = STALE_AFTER,
    ) -> Self:
        """Gates from a ConfigMap in a file, as `kubectl get configmap NAME -o json` prints it. Changes are seen within 100 ms."""
        from rampgate.sources.file import FileSource  # noqa: PLC0415 - keeps `import rampgate` light

        return cls(FileSource(path), wait=wait, on_change=on_change, on_stale=on_stale, metrics=metrics, stale_after=stale_after)

    @classmethod
    def from_cluster(
        cls,
        namespace: str | None = None,
        config_map: str = "feature-gates",
        *,
        url: str | None = None,
        token_file: str | PathLike[str] | None = None,
        ca_file: str | PathLike[str] | None = None,
        wait: float = 5.0,
        on_change: OnChange | None = None,
        on_stale: OnStale | None = None,
        metrics: Observer | None = None,
        stale_after: float = STALE_AFTER,
    ) -> Self:
        """Gates from the API server, by watching one ConfigMap.

        Inside a pod all arguments default to its service account, which must be allowed to `list` and `watch` that ConfigMap. Elsewhere
        pass `url` and what it needs. Raises `ConfigurationError` when there is neither.
        """
        from rampgate.sources.cluster import ClusterSource, locate  # noqa: PLC0415 - http and ssl only for those who watch

        place = locate(namespace, config_map, url=url, token_file=token_file, ca_file=ca_file)
        return cls(ClusterSource(place), wait=wait, on_change=on_change, on_stale=on_stale, metrics=metrics, stale_after=stale_after)

    def decide(self, gate: str, context: Context = None, *, default: object = None) -> Decision:
        """Decide what the unit in `context` sees of `gate`, and why; without a context by that of the request at hand.

        `default` is the value to serve when no rule answers (UNKNOWN_GATE, or ERROR without a usable entry). Never raises, never blocks.
        """
        try:
            return self._in_force.rules[gate](request_context.get() if context is None else context)
        except Exception:  # noqa: BLE001 - gate and context may be anything that an application has at hand; its request must go on
            return self._in_trouble(gate, context, default)

    def variant(self, gate: str, context: Context = None, *, default: str) -> str:
        """Name of the variant to serve; `default` when no rule answers."""
        name = self.decide(gate, context).variant
        return default if name is None else name

    def value(self, gate: str, context: Context = None, *, default: object) -> Any:  # noqa: ANN401 - any JSON
        """Value of the variant to serve, as the experiment's author wrote it; `default` when no rule answers."""
        try:  # as in `decide`, whose call would be a tenth of the cost
            return self._in_force.rules[gate](request_context.get() if context is None else context)[2]  # its value; a name costs more
        except Exception:  # noqa: BLE001
            return self._in_trouble(gate, context, default).value

    def measure(self, gate: str, context: Context = None, *, default: object = None) -> "Measurement":
        """Decide, and count the request in the `with` block that follows: its outcome and its duration, per variant."""
        from rampgate.measure import Measurement  # noqa: PLC0415 - most processes that import the SDK do so long before they measure

        decision = self.decide(gate, context, default=default)
        unit, memory = self._drawn(decision, request_context.get() if context is None else context)
        return Measurement(decision, unit, memory, self._in_force.audience)

    def peek(self, gate: str, context: Context = None, *, default: object = None) -> Decision:
        """Decide as `decide` does, but nobody hears of it: no exposure is counted. For prefetching, tools and tests."""
        compiled = self._in_force.uncounted(plain(gate))
        if compiled is None:
            return self._undecided(gate, default)
        try:
            return compiled.decide(request_context.get() if context is None else context)
        except Exception:  # noqa: BLE001 - as in `decide`
            return compiled.error

    def names(self) -> frozenset[str]:
        """The gates that the rules know."""
        return frozenset(self._in_force.state.snapshot.gates)

    @property
    def is_ready(self) -> bool:
        """Whether rules have ever come."""
        return self._in_force.ready.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether they have been closed: rules that change are no longer seen."""
        return self._in_force.is_closed

    @property
    def is_stale(self) -> bool:
        """Whether the rules have not been confirmed for longer than `stale_after`."""
        return self._in_force.is_stale

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait for the first rules, at most so long; whether they are there. In a coroutine: `await asyncio.to_thread(…)`."""
        return self._in_force.ready.wait(seconds)

    def listen(self, *, on_change: OnChange | None = None, on_stale: OnStale | None = None) -> None:
        """Call `on_change` with the names of the gates that changed, and `on_stale` with whether decisions are stale, when that changes.

        Both are called from a thread of the SDK's; what they raise is logged and harms nobody. Until `on_change` returns, no further change
        is seen, not even a kill.
        """
        self._in_force.listen(on_change, on_stale)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of first exposures and measured requests from now on."""
        self._in_force.observe(observer)
        self._begin_to_beat()

    def age_seconds(self) -> float:
        """Seconds since the source last confirmed the rules (since the start, when it never did); 0 after `close`."""
        return self._in_force.age_seconds()

    def close(self) -> None:
        """Stop the source, pass on what observers hold back, and leave no thread behind. Evaluation goes on with the last rules."""
        self._source.close()
        self._in_force.is_closed = True
        self._pulse.close()
        self._beat()
        self._in_force.audience.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _beat(self) -> None:
        self._in_force.check()
        self._in_force.audience.flush()

    def _begin_to_beat(self) -> None:
        if not self._is_beating:
            self._is_beating = True
            self._pulse.start()

    def _start_in_child(self) -> None:
        if self._process == os.getpid():  # two hooks may tell of the same fork
            return
        self._process = os.getpid()
        self._in_force.start_in_child()  # all locks first: a thread that waited for an old one would wait for ever
        if self._in_force.is_closed:
            return
        self._source.start_in_child()
        if self._is_beating:
            self._pulse.start()

    def _in_trouble(self, gate: str, context: Context, default: object) -> Decision:
        """Answer when the short way raised: a gate not asked for before, a name that is no plain text, or a context that is no mapping."""
        compiled = self._in_force.find(plain(gate))
        if compiled is None:
            decision = self._undecided(gate, default)
            self._in_force.audience.undecided(decision)
            return decision
        try:
            return compiled.decide(request_context.get() if context is None else context)
        except Exception:  # noqa: BLE001 - as in `decide`
            self._in_force.audience.undecided(compiled.error)
            return compiled.error

    def _undecided(self, gate: object, default: object) -> Decision:
        if not isinstance(gate, str):
            return Decision(gate, None, default, Reason.ERROR, stale=self.is_stale)  # type: ignore[arg-type]  # whatever was asked for
        name, in_force = plain(gate), self._in_force
        if forced := in_force.forced.variant(name):
            return Decision(name, forced, default, Reason.OVERRIDE, label=Label.OVERRIDE, stale=self.is_stale)
        is_unknown = in_force.ready.is_set() and name not in in_force.state.snapshot.gates
        return Decision(name, None, default, Reason.UNKNOWN_GATE if is_unknown else Reason.ERROR, stale=self.is_stale)

    def _drawn(self, decision: Decision, context: Mapping[str, object]) -> tuple[str, Memory | None]:
        """Give the unit that was drawn, and the memory of that draw; neither when none was, or other rules came in between."""
        compiled = self._in_force.state.compiled.get(decision.gate) if decision.is_drawn else None
        if compiled is None or compiled.error.generation != decision.generation:
            return "", None
        try:
            return plain(context.get(compiled.unit)), compiled.memory
        except Exception:  # noqa: BLE001 - a context that gave the unit once need not give it again
            return "", None


_ALIVE: "WeakSet[Gates]" = WeakSet()


def _in_every_child() -> None:
    _each(lambda gates: gates._start_in_child())()


def _each(do: Callable[[Gates], None]) -> Callable[[], None]:
    def do_it() -> None:
        for gates in tuple(_ALIVE):
            do(gates)

    return do_it


if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(
        before=_each(lambda gates: gates._in_force.audience.before_fork()),
        after_in_parent=_each(lambda gates: gates._in_force.audience.after_fork()),
        after_in_child=_in_every_child,
    )
if "uwsgi" in sys.modules:  # it forks in C, and asks Python's own hooks only when it is told to
    from rampgate.integrations.uwsgi import after_every_fork

    after_every_fork(_in_every_child)
