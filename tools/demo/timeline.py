"""The story as a person reads it: lines that begin with the seconds since the start.

Knows text only; plain, so that it reads the same in a terminal, a file and a CI log.
"""

import sys
import textwrap
import threading
import time
from typing import TextIO

INDENT = " " * 10
WIDTH = 132


class Timeline:
    """Writes lines from any thread, one at a time."""

    def __init__(self, *, started: float, out: TextIO | None = None) -> None:
        self._started = started
        self._out = out or sys.stdout
        self._lock = threading.Lock()

    def act(self, title: str) -> None:
        """Begin a part of the story."""
        self._write(f"\n== {title} {'=' * max(0, 90 - len(title))}")

    def say(self, text: str, *, at: float | None = None) -> None:
        """Write what happened, at Unix time `at` (by default now)."""
        seconds = (time.time() if at is None else at) - self._started
        self._write(textwrap.fill(text, WIDTH, initial_indent=f"{seconds:6.1f} s  ", subsequent_indent=INDENT, break_long_words=False))

    def show(self, text: str) -> None:
        """Write what a command printed, as it is."""
        self._write(textwrap.indent(text.rstrip(), INDENT + "| ", lambda _: True))

    def plain(self, text: str) -> None:
        """Write a block that is no part of the story."""
        self._write(f"\n{text}")

    def _write(self, text: str) -> None:
        with self._lock:
            print(text, file=self._out, flush=True)
