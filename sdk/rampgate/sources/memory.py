"""Rules from the program itself: tests, scripts, development.

Knows how entries become keys. Has no thread.
"""

from collections.abc import Mapping

from rampgate.rules import render_entry
from rampgate.snapshot import ENTRY_SUFFIX, FORMAT_KEY, FORMAT_VALUE, KILL_KEY
from rampgate.sources import Receiver

Entries = Mapping[str, str | Mapping[str, object]]
"""Gate to entry: as fields, or as the JSON line that stands in the ConfigMap."""


class MemorySource:
    """Delivers `entries` (and the `kill` key, when not empty) once, and again whenever they are replaced."""

    def __init__(self, entries: Entries, *, kill: str = "") -> None:
        self._receiver: Receiver | None = None
        self.replace(entries, kill=kill)

    def replace(self, entries: Entries, *, kill: str = "") -> None:
        """Make these the rules from now on; a gate that is not among them is unknown. Raises TypeError when `entries` is no mapping."""
        if not isinstance(entries, Mapping):
            raise TypeError(f"entries: wanted a mapping of gate to entry, not {type(entries).__name__}")
        texts = {f"{gate}{ENTRY_SUFFIX}": entry if isinstance(entry, str) else render_entry(entry) for gate, entry in entries.items()}
        texts[FORMAT_KEY] = FORMAT_VALUE
        if kill:
            texts[KILL_KEY] = kill
        self._keys = {key: text.encode("utf-8", "surrogatepass") for key, text in texts.items()}
        if self._receiver:
            self._receiver.deliver(self._keys)

    def start(self, receiver: Receiver) -> None:
        """Deliver the rules at once."""
        self._receiver = receiver
        receiver.deliver(self._keys)

    def start_in_child(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to stop."""
