"""The rules in force: what a source delivered, compiled, and how sure of it we are.

Knows how to swap one reference, in an order that a fork may interrupt anywhere. Must not know how rules decide or travel, nor what an
application asks.
"""

from collections.abc import Callable, Mapping
from threading import Event, RLock
from time import monotonic

from rampgate.evaluate import CompiledGate, Decide, compile_gate, stale
from rampgate.exposure import Audience, Observer
from rampgate.forced import Forced
from rampgate.snapshot import EMPTY, Keys, Loaded, Snapshot, advance, changed_gates, is_ours, problems
from rampgate.trouble import Trouble

OnChange = Callable[[frozenset[str]], None]
"""Called when new rules are in force, with the gates that changed, appeared or went; from the source's thread."""

OnStale = Callable[[bool], None]
"""Called when decisions begin to be stale (True) and when they no longer are (False)."""


class InForce:
    """A source's receiver. `rules` is what is evaluated: one mapping of gate to function, replaced as a whole."""

    def __init__(self, *, stale_after: float, forced: Forced) -> None:
        self.rules: Mapping[str, Decide] = {}
        self.compiled: Mapping[str, CompiledGate] = {}
        self.snapshot: Snapshot = EMPTY
        self.audience = Audience(self.age_seconds)
        self.trouble = Trouble("rules")
        self.is_stale = False
        self.ready = Event()
        self.is_closed = False
        self._stale_after = stale_after
        self.forced = forced
        self._confirmed_at = monotonic()
        self._is_ours = False
        self._uncounted: dict[str, tuple[Loaded, CompiledGate]] = {}
        self._listeners: tuple[tuple[OnChange | None, OnStale | None], ...] = ()
        self._swapping = RLock()
        """Rules that come while an observer is added must reach it, and last; reentrant, for an observer may bring rules about."""

    def start_in_child(self) -> None:
        """Begin anew after a fork: locks may be held by threads that this process does not have."""
        self._swapping = RLock()
        was_ready, self.ready = self.ready.is_set(), Event()
        if was_ready:
            self.ready.set()
        self.audience.start_in_child()

    def deliver(self, keys: Keys) -> None:
        """Take the ConfigMap's keys as they are now."""
        self._is_ours = is_ours(keys)
        if not self._is_ours:
            self.trouble.report("what the source delivers is no ConfigMap of rules (key `format`): the last good ones stay")
            return
        with self._swapping:
            last, new = self.snapshot, advance(self.snapshot, keys)
            if new is not last:
                self._swap(last, new)
        self.confirm()
        self.ready.set()
        self.trouble.report(problems(new))
        if new is not last:
            self._tell_change(changed_gates(last, new))

    def confirm(self) -> None:
        """Hear that the keys delivered last are still what the source holds."""
        if self._is_ours:
            self._confirmed_at = monotonic()
            if self.is_stale:
                self.check()

    def check(self) -> None:
        """Find out whether the rules have gone without confirmation for too long, and say so in every decision."""
        is_stale = not self.is_closed and self.age_seconds() > self._stale_after
        with self._swapping:
            if is_stale == self.is_stale:
                return
            self.is_stale = is_stale
            self._serve(self.compiled)
        for _, on_stale in self._listeners:
            if on_stale is not None:
                self._call(lambda on_stale=on_stale: on_stale(is_stale))  # type: ignore[misc]  # bound now

    def age_seconds(self) -> float:
        """Seconds since the source last confirmed the rules (since the start, when it never did); 0 when it is closed."""
        return 0.0 if self.is_closed else monotonic() - self._confirmed_at

    def listen(self, on_change: OnChange | None, on_stale: OnStale | None) -> None:
        """Call these from now on."""
        self._listeners = (*self._listeners, (on_change, on_stale))

    def observe(self, observer: Observer) -> None:
        """Tell `observer` from now on, starting with the rules in force."""
        with self._swapping:
            self.audience.add(observer)
            # Nobody was remembered without an observer, so every gate is compiled anew.
            self._serve({gate: self._compile(loaded) for gate, loaded in self.snapshot.gates.items() if loaded.entry})
            self.audience.rules_changed(self.compiled)

    def uncounted(self, gate: str) -> CompiledGate | None:
        """Give a gate whose evaluation nobody hears of; None when there is none."""
        loaded = self.snapshot.gates.get(gate)
        if loaded is None or loaded.entry is None:
            return None
        known = self._uncounted.get(gate)
        if known is None or known[0] is not loaded:
            known = self._uncounted[gate] = loaded, compile_gate(loaded.entry, killed=loaded.killed, forced=self.forced.variant(gate))
        return known[1]

    def _swap(self, last: Snapshot, new: Snapshot) -> None:
        """Put new rules in force. The snapshot goes last: a child forked in between compiles again what it then takes for unseen."""
        compiled = {}
        for gate, loaded in new.gates.items():
            if loaded is last.gates.get(gate):
                if gate in self.compiled:
                    compiled[gate] = self.compiled[gate]
            elif loaded.entry is not None:
                compiled[gate] = self._compile(loaded)
        self._serve(compiled)
        self._uncounted = {gate: known for gate, known in self._uncounted.items() if known[0] is new.gates.get(gate)}
        self.snapshot = new
        self.audience.rules_changed(compiled)

    def _compile(self, loaded: Loaded) -> CompiledGate:
        assert loaded.entry is not None
        forced = self.forced.variant(loaded.entry.gate)
        return compile_gate(loaded.entry, killed=loaded.killed, forced=forced, counting=self.audience)

    def _serve(self, compiled: Mapping[str, CompiledGate]) -> None:
        self.rules = {gate: stale(each.decide) if self.is_stale else each.decide for gate, each in compiled.items()}
        self.compiled = compiled

    def _tell_change(self, gates: frozenset[str]) -> None:
        for on_change, _ in self._listeners:
            if on_change is not None:
                self._call(lambda on_change=on_change: on_change(gates))  # type: ignore[misc]  # bound now

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - the application's callback must not end the source's thread
            self.trouble.report(f"a callback of the application raised {error!r}")
