"""Waiting for something another thread does: by polling with a deadline, never by sleeping and hoping."""

import time
from collections.abc import Callable

DEADLINE = 60.0
"""Seconds until something that must happen counts as not happening, also on a busy machine: a bound, not an expectation."""


def eventually(holds: Callable[[], bool], *, within: float = DEADLINE) -> bool:
    """Whether `holds` becomes true before the deadline."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
