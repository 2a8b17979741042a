"""The rules in force: what a source delivered, compiled, and how sure of it we are.

Knows how to swap one reference, in an order that a fork may interrupt anywhere. Must not know how rules decide or travel, nor what an
application asks.
"""

from collections.abc import Callable, Collection, Mapping
from threading import Event, RLock
from time import monotonic

from rampgate.errors import UnusableEntryError
from rampgate.evaluate import CompiledGate, Counting, Decide, compile_gate, stale
from rampgate.exposure import Audience, Observer
from rampgate.forced import Forced
from rampgate.rules import parse_entry
from rampgate.sharing import sharing
from rampgate.snapshot import EMPTY, FORMAT_KEY, FORMAT_VALUE, Keys, Loaded, Snapshot, advance, is_ours
from rampgate.trouble import Trouble

OnChange = Callable[[frozenset[str]], None]
"""Called when new rules are in force, with the gates that changed, appeared or went; from the source's thread."""

OnStale = Callable[[bool], None]
"""Called when decisions begin to be stale (True) and when they no longer are (False)."""


class State:
    """Everything that changes at once. A gate is compiled when it is first asked for, and from then on whenever its rules change."""

    __slots__ = ("compiled", "is_stale", "rules", "snapshot")

    def __init__(self, snapshot: Snapshot, compiled: dict[str, CompiledGate], *, is_stale: bool) -> None:
        self.snapshot = snapshot
        self.compiled = compiled
        self.rules: dict[str, Decide] = {gate: each.decide for gate, each in compiled.items()}
        self.is_stale = is_stale


class InForce:
    """A source's receiver. `rules` is what is evaluated: those of `state`, one mapping of gate to function, replaced as a whole."""

    def __init__(self, *, stale_after: float, forced: Forced) -> None:
        self.state = State(EMPTY, {}, is_stale=False)
        self.rules: Mapping[str, Decide] = self.state.rules
        self.audience = Audience(self.age_seconds)
        self.trouble = Trouble("rules")
        self.forced = forced
        self.is_closed = False
        self.ready = Event()
        self._stale_after = stale_after
        self._confirmed_at = monotonic()
        self._is_ours = False
        self._uncounted: dict[str, tuple[Loaded, bool, CompiledGate]] = {}
        self._listeners: tuple[tuple[OnChange | None, OnStale | None], ...] = ()
        self._callbacks = Trouble("a callback of the application")
        self._was_told_stale = False
        self._is_untold = False
        self._swapping = RLock()
        """Rules that come while an observer is added must reach it, and last; reentrant, for an observer may bring rules about."""

    @property
    def is_stale(self) -> bool:
        """Whether decisions say that the rules have not been confirmed for too long."""
        return self.state.is_stale

    def start_in_child(self) -> None:
        """Begin anew after a fork: locks may be held by threads that this process does not have, and a swap may have been half done."""
        self._swapping = RLock()
        was_ready, self.ready = self.ready.is_set(), Event()
        if was_ready:
            self.ready.set()
        self.audience.start_in_child()
        self._is_untold = True

    def deliver(self, keys: Keys) -> None:
        """Take the ConfigMap's keys as they are now."""
        with sharing:
            self._take_in(keys)

    def _take_in(self, keys: Keys) -> None:
        self._is_ours = is_ours(keys)
        if not self._is_ours:
            found = "there is no key `format`" if FORMAT_KEY not in keys else f"its key `format` does not say {FORMAT_VALUE}"
            instead = "the last good rules stay" if self.ready.is_set() else "every gate answers with the caller's default"
            self.trouble.report(f"what the source delivers is no ConfigMap of rules, for {found}: {instead}")
            return
        with self._swapping:
            last = self.state.snapshot
            new = advance(last, keys)
            self.confirm()  # else a look in between would find them stale
            if new is not last:
                self._serve(new)
                self.forced.check_names(new.gates)
                self._tell_rules()
        self.ready.set()
        self.trouble.report(new.problems)
        if new is not last:
            self._tell_change(new.changed)
            gone = list(last.gates.values())
            del last
            while gone:  # one by one: thousands at once would be freed within a single turn of this thread's
                gone.pop()

    def wanted(self) -> Collection[str]:
        """Give the gates that were asked for."""
        return tuple(self.state.compiled)

    def confirm(self) -> None:
        """Hear that the keys delivered last are still what the source holds."""
        if self._is_ours:
            self._confirmed_at = monotonic()

    def check(self) -> None:
        """Find out whether the rules have gone without confirmation for too long, and say so in every decision; for one thread alone."""
        with self._swapping:
            is_stale = not self.is_closed and self.age_seconds() > self._stale_after
            if is_stale != self.is_stale:
                self._serve(self.state.snapshot, anew=True, is_stale=is_stale)
            if self._is_untold:
                self._tell_rules()
        if is_stale != self._was_told_stale:
            self._was_told_stale = is_stale
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
            self._serve(self.state.snapshot, anew=True, is_stale=self.is_stale)  # nobody was remembered without an observer
            self._tell_rules()

    def force(self, forced: Forced) -> None:
        """Force these variants from now on, and no others."""
        with self._swapping:
            self.forced = forced
            self._serve(self.state.snapshot, anew=True, is_stale=self.is_stale)

    def find(self, gate: str) -> CompiledGate | None:
        """Give a gate that is in force, compiled; None when there is none that can be."""
        state = self.state
        compiled, loaded = state.compiled.get(gate), state.snapshot.gates.get(gate)
        if compiled is None and loaded is not None and loaded.good is not None:
            compiled = self._compile(gate, loaded, counting=self.audience, is_stale=state.is_stale)
            if compiled is not None:
                state.compiled[gate], state.rules[gate] = compiled, compiled.decide
        return compiled

    def uncounted(self, gate: str) -> CompiledGate | None:
        """Give a gate whose evaluation nobody hears of; None when there is none that can be compiled."""
        state = self.state
        loaded, known = state.snapshot.gates.get(gate), self._uncounted.get(gate)
        if loaded is None or loaded.good is None:
            return None
        if known is None or known[0] is not loaded or known[1] is not state.is_stale:
            compiled = self._compile(gate, loaded, counting=None, is_stale=state.is_stale)
            if compiled is None:
                return None
            known = self._uncounted[gate] = loaded, state.is_stale, compiled
        return known[2]

    def _serve(self, new: Snapshot, *, anew: bool = False, is_stale: bool = False) -> None:
        """Put rules in force: compile the gates that were asked for, `anew` even if they did not change, and swap.

        The state goes last: a child that is forked in between takes the new rules for unseen, and puts them in force itself.
        """
        last, compiled = self.state, {}
        for gate, known in tuple(last.compiled.items()):
            loaded = new.gates.get(gate)
            if loaded is not None and loaded.good is not None:
                is_same = loaded is last.snapshot.gates.get(gate) and last.is_stale == is_stale and not anew
                again = known if is_same else self._compile(gate, loaded, counting=self.audience, is_stale=is_stale)
                if again is not None:
                    compiled[gate] = again
        state = State(new, compiled, is_stale=is_stale)
        if len(self._uncounted) > len(new.gates):
            self._uncounted = {}
        self.rules = state.rules
        self.state = state

    def _compile(self, gate: str, loaded: Loaded, *, counting: Counting | None, is_stale: bool) -> CompiledGate | None:
        """Compile a gate whose bytes were understood; what cannot be compiled all the same serves control, with an error.

        None when they cannot be read here: what nests deeply could be where fewer calls were under way, and a request must not pay for it.
        """
        assert loaded.good is not None
        try:
            entry = parse_entry(loaded.good)
        except UnusableEntryError as error:
            self.trouble.report(f"gate {gate} cannot be compiled: {error}")
            return None
        self.forced.check(gate, entry.names)
        try:
            compiled = compile_gate(entry, killed=loaded.killed, forced=self.forced.variant(gate), counting=counting)
        except Exception as error:  # noqa: BLE001 - it is compiled in a request, which must go on: this would be a bug
            self.trouble.report(f"gate {gate} cannot be compiled: {error!r}")
            compiled = compile_gate(entry._replace(rule=None), killed=loaded.killed, counting=counting)
        if not is_stale:
            return compiled
        return compiled._replace(decide=stale(compiled.decide), error=compiled.error._replace(stale=True))

    def _tell_rules(self) -> None:
        self._is_untold = False
        self.audience.rules_changed(self.state.snapshot.gates)

    def _tell_change(self, gates: frozenset[str]) -> None:
        for on_change, _ in self._listeners:
            if on_change is not None:
                self._call(lambda on_change=on_change: on_change(gates))  # type: ignore[misc]  # bound now

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the application's callback; not even its `sys.exit` may end this thread
            self._callbacks.report(f"it raised {error!r}")
