"""Waiting for something another thread does: by polling with a deadline, never by sleeping and hoping."""

import time
from collections.abc import Callable

DEADLINE = 10.0


def eventually(holds: Callable[[], bool], *, within: float = DEADLINE) -> bool:
    """Whether `holds` becomes true before the deadline."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
