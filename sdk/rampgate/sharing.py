"""Long work beside threads that must not wait for it, nor it for them.

Knows how CPython shares itself among threads. Must not know what the work is.
"""

import os
import sys
from threading import Lock

_INTERVAL = 0.0005


class _Sharing:
    """While anybody is within, threads take turns after half a millisecond instead of five (`sys.getswitchinterval`).

    Loading thousands of rules would else hold up a request for five milliseconds at each turn, and beside a thread that never rests each
    of the thousands of files would wait as long. Whoever chose an interval of their own meanwhile keeps it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._within = 0
        self._usual = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._within += 1
            if self._within == 1 and sys.getswitchinterval() > _INTERVAL:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(_INTERVAL)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._restore()

    def start_in_child(self) -> None:
        """Begin anew after a fork: whoever was within is not in this process."""
        self._lock = Lock()
        self._within = 0
        self._restore()

    def _restore(self) -> None:
        if self._usual and sys.getswitchinterval() == _INTERVAL:
            sys.setswitchinterval(self._usual)
        self._usual = 0.0


sharing = _Sharing()
if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(after_in_child=sharing.start_in_child)
