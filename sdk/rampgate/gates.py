"""What an application holds: gates that answer in-process.

Knows how to serve the caller's default, and to swap one reference when rules change. Must not know where rules come from or how they decide.
Nothing here raises at evaluation, whatever it is given: trouble is an answer with a reason.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rampgate.decision import Decision, Reason
from rampgate.snapshot import EMPTY, Keys, advance
from rampgate.sources import Source
from rampgate.sources.memory import Entries, MemorySource

OnChange = Callable[[frozenset[str]], None]
"""Called after new rules are in force, with the gates that changed, appeared or went; from the source's thread."""


class Gates:
    """The gates of one ConfigMap. Make one per process with a `from_…` method, and close it (or use it as a context manager)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._snapshot = EMPTY
        source.start(self)

    @classmethod
    def from_rules(cls, entries: Entries, *, kill: str = "") -> Self:
        """Gates from entries given in the program: `{gate: entry}`, an entry being its fields or its JSON line."""
        return cls(MemorySource(entries, kill=kill))

    def decide(self, gate: str, context: Mapping[str, object] | None = None, *, default: object = None) -> Decision:
        """Decide what the unit in `context` sees of `gate`, and why.

        `default` is the value to serve when no rule answers (UNKNOWN_GATE, or ERROR without a usable entry). Never raises, never blocks.
        """
        try:
            compiled = self._snapshot.compiled[gate]
        except (KeyError, TypeError):
            return self._undecided(gate, default)
        try:
            return compiled.decide({} if context is None else context)
        except Exception:  # noqa: BLE001 - an application's context may be anything; its request must go on
            return compiled.error

    def variant(self, gate: str, context: Mapping[str, object] | None = None, *, default: str) -> str:
        """Name of the variant to serve; `default` when no rule answers."""
        return self.decide(gate, context).variant or default

    def value(self, gate: str, context: Mapping[str, object] | None = None, *, default: object) -> Any:  # noqa: ANN401 - any JSON
        """Value of the variant to serve, as the experiment's author wrote it; `default` when no rule answers."""
        return self.decide(gate, context, default=default).value

    def deliver(self, keys: Keys) -> None:
        """Take rules from the source (not for applications)."""
        self._snapshot = advance(self._snapshot, keys)

    def confirm(self) -> None:
        """Hear from the source that its rules are unchanged (not for applications)."""

    def close(self) -> None:
        """Stop the source. Evaluation goes on with the last rules."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _undecided(self, gate: str, default: object) -> Decision:
        snapshot = self._snapshot
        is_unknown = snapshot.ready and isinstance(gate, str) and gate not in snapshot.gates
        return Decision(gate, None, default, Reason.UNKNOWN_GATE if is_unknown else Reason.ERROR)
