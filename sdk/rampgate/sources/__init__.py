"""Where rules come from: one file per kind of source.

Knows the two-sided contract: a source delivers keys to a receiver, from a thread of its own or at once. Must not know what keys mean.
"""

from collections.abc import Collection
from typing import Protocol

from rampgate.snapshot import Keys


class Receiver(Protocol):
    """What a source talks to; its methods may be called from any thread and never raise."""

    def deliver(self, keys: Keys) -> None:
        """Take the ConfigMap's keys as they are now, all of them."""

    def wanted(self) -> Collection[str]:
        """The gates that were asked for: of many, these are worth delivering first."""

    def confirm(self) -> None:
        """Note that the keys delivered last are still what the source holds."""


class Source(Protocol):
    """Something that delivers rules until it is closed."""

    def start(self, receiver: Receiver) -> None:
        """Begin; return at once. Trouble is the source's own: it retries, and the last good rules stay."""

    def start_in_child(self) -> None:
        """Begin again in a process that was forked: no thread of the parent's lives there, and its locks may be held for ever."""

    def close(self) -> None:
        """Stop, and leave no thread behind. Closing twice is fine."""
