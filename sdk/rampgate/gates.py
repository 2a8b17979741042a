"""What an application holds: gates that answer in-process.

Knows how to serve the caller's default, and to swap one reference when rules change. Must not know how rules decide or travel.
Nothing here raises at evaluation, whatever it is given: trouble is an answer with a reason.
"""

from collections.abc import Callable, Mapping
from math import inf
from os import PathLike
from threading import Event
from time import monotonic
from types import TracebackType
from typing import Any, Self

from rampgate.decision import Decision, Reason
from rampgate.exposure import Audience, Observer
from rampgate.measure import Measurement
from rampgate.snapshot import EMPTY, Keys, advance, changed_gates, is_ours, problems
from rampgate.sources import Source
from rampgate.sources.memory import Entries, MemorySource
from rampgate.trouble import Trouble

Context = Mapping[str, object] | None
OnChange = Callable[[frozenset[str]], None]
"""Called when new rules are in force, with the gates that changed, appeared or went; from the source's thread."""

STALE_AFTER = 300.0


class Gates:
    """The gates of one ConfigMap. Make one per process with a `from_…` method, and close it (or use it as a context manager).

    Common arguments: `wait`, the seconds that the constructor may wait for the first rules (later ones are taken when they come; until
    then every answer is the caller's default, reason ERROR); `on_change`, see `OnChange`; `metrics`, an observer as `observe` takes it;
    `stale_after`, the seconds without word from the source after which decisions say `stale`.
    """

    def __init__(
        self,
        source: Source,
        *,
        wait: float = 0,
        on_change: OnChange | None = None,
        metrics: Observer | None = None,
        stale_after: float = STALE_AFTER,
    ) -> None:
        self._source = source
        self._on_change = on_change
        self._stale_after = stale_after
        self._snapshot = EMPTY
        self._ready = Event()
        self._confirmed_at = monotonic()
        self._is_ours = False
        self._is_closed = False
        self._trouble = Trouble("rules")
        self._audience = Audience(self.age_seconds)
        if metrics is not None:
            self.observe(metrics)
        source.start(self)
        if not self._ready.wait(wait):
            self._trouble.report("none yet: every gate answers with the caller's default until they come")

    @classmethod
    def from_rules(cls, entries: Entries, *, kill: str = "", on_change: OnChange | None = None, metrics: Observer | None = None) -> Self:
        """Gates from entries given in the program: `{gate: entry}`, an entry being its fields or its JSON line.

        Raises TypeError when `entries` is no mapping.
        """
        return cls(MemorySource(entries, kill=kill), on_change=on_change, metrics=metrics, stale_after=inf)

    @classmethod
    def from_directory(
        cls,
        path: str | PathLike[str],
        *,
        wait: float = 1.0,
        on_change: OnChange | None = None,
        metrics: Observer | None = None,
        stale_after: float = STALE_AFTER,
    ) -> Self:
        """Gates from a mounted ConfigMap, or any directory with the same files. Changes are seen within 100 ms."""
        from rampgate.sources.directory import DirectorySource  # noqa: PLC0415 - keeps `import rampgate` light

        return cls(DirectorySource(path), wait=wait, on_change=on_change, metrics=metrics, stale_after=stale_after)

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
        metrics: Observer | None = None,
        stale_after: float = STALE_AFTER,
    ) -> Self:
        """Gates from the API server, by watching one ConfigMap.

        Inside a pod all arguments default to its service account, which must be allowed to `list` and `watch` that ConfigMap. Elsewhere
        pass `url` and what it needs. Raises `ConfigurationError` when there is neither.
        """
        from rampgate.sources.cluster import ClusterSource, locate  # noqa: PLC0415 - http and ssl only for those who watch

        place = locate(namespace, config_map, url=url, token_file=token_file, ca_file=ca_file)
        return cls(ClusterSource(place), wait=wait, on_change=on_change, metrics=metrics, stale_after=stale_after)

    def decide(self, gate: str, context: Context = None, *, default: object = None) -> Decision:
        """Decide what the unit in `context` sees of `gate`, and why.

        `default` is the value to serve when no rule answers (UNKNOWN_GATE, or ERROR without a usable entry). Never raises, never blocks.
        """
        return self._expose(gate, context, default)[0]

    def variant(self, gate: str, context: Context = None, *, default: str) -> str:
        """Name of the variant to serve; `default` when no rule answers."""
        name = self._expose(gate, context, None)[0].variant
        return default if name is None else name

    def value(self, gate: str, context: Context = None, *, default: object) -> Any:  # noqa: ANN401 - any JSON
        """Value of the variant to serve, as the experiment's author wrote it; `default` when no rule answers."""
        return self._expose(gate, context, default)[0].value

    def measure(self, gate: str, context: Context = None, *, default: object = None) -> Measurement:
        """Decide, and count the request in the `with` block that follows: its outcome and its duration, per variant."""
        decision, unit = self._expose(gate, context, default)
        return Measurement(decision, unit, self._audience)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` of every exposure and measured request from now on."""
        self._audience.add(observer, lambda: self._snapshot.compiled)

    def age_seconds(self) -> float:
        """Seconds since the source last confirmed the rules (since the start, when it never did); 0 after `close`."""
        return 0.0 if self._is_closed else monotonic() - self._confirmed_at

    def close(self) -> None:
        """Stop the source and leave no thread behind. Evaluation goes on with the last rules."""
        self._source.close()
        self._is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def deliver(self, keys: Keys) -> None:
        """Take rules from the source (a `Receiver`'s method: not for applications)."""
        self._is_ours = is_ours(keys)
        if not self._is_ours:
            self._trouble.report("what the source delivers is no ConfigMap of rules (key `format`): the last good ones stay")
            return
        last, self._snapshot = self._snapshot, advance(self._snapshot, keys)
        self.confirm()
        self._ready.set()
        self._trouble.report(problems(self._snapshot))
        if self._snapshot is not last:
            self._audience.rules_changed(lambda: self._snapshot.compiled)
            self._tell_change(changed_gates(last, self._snapshot))

    def confirm(self) -> None:
        """Hear from the source that its rules are unchanged (a `Receiver`'s method: not for applications)."""
        if self._is_ours:
            self._confirmed_at = monotonic()

    def _tell_change(self, gates: frozenset[str]) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(gates)
        except Exception as error:  # noqa: BLE001 - the application's callback must not end the source's thread
            self._trouble.report(f"on_change raised {error!r}")

    def _expose(self, gate: str, context: Context, default: object) -> tuple[Decision, str]:
        """Evaluate, and tell the audience; the unit is empty unless enrolment was drawn and somebody listens."""
        decision, unit = self._evaluate(gate, {} if context is None else context) or (self._undecided(gate, default), "")
        if monotonic() - self._confirmed_at > self._stale_after:
            decision = decision._replace(stale=True)
        if self._audience.observers:
            self._audience.exposed(decision, unit)
        return decision, unit

    def _evaluate(self, gate: str, context: Mapping[str, object]) -> tuple[Decision, str] | None:
        compiled = None
        try:
            compiled = self._snapshot.compiled.get(gate)
            if compiled is None:
                return None
            decision = compiled.decide(context)
            return decision, str(context[compiled.unit]) if self._audience.observers and decision.is_drawn else ""
        except Exception:  # noqa: BLE001 - gate and context may be anything that an application has at hand; its request must go on
            return None if compiled is None else (compiled.error, "")

    def _undecided(self, gate: str, default: object) -> Decision:
        snapshot = self._snapshot
        if not isinstance(gate, str):
            return Decision(gate, None, default, Reason.ERROR)
        name = str.__str__(gate)  # the plain text of an enumeration's member too, and no code of a subclass of str runs
        is_unknown = snapshot.ready and name not in snapshot.gates
        return Decision(name, None, default, Reason.UNKNOWN_GATE if is_unknown else Reason.ERROR)
