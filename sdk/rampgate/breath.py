"""Long work beside threads that must not wait for it.

Knows how CPython shares itself among threads. Must not know what the work is.
"""

from time import perf_counter, sleep

_WORK = 0.0003
_REST = 0.0001


class Breather:
    """Called between pieces of work, lets the other threads run after every third of a millisecond of it.

    A thread that computes hands over only when asked, after 5 ms (`sys.getswitchinterval`); a request that is evaluated meanwhile would
    wait as long. A rest of no length would not do: the thread would have the interpreter back before another one has woken up.
    """

    def __init__(self) -> None:
        self._until = perf_counter() + _WORK

    def __call__(self) -> None:
        """Rest, if it is time."""
        if perf_counter() > self._until:
            sleep(_REST)
            self._until = perf_counter() + _WORK
