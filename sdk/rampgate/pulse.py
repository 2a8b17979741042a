"""Something that is done again and again, by a thread that ends when it is told to.

Knows threads. Must not know what is done.
"""

from collections.abc import Callable
from threading import Event, Thread, current_thread

from rampgate.trouble import Trouble

_CLOSE_TIMEOUT = 2.0


class Pulse:
    """Calls `beat` every `seconds`. What it raises is logged once, and the next beat comes all the same."""

    def __init__(self, name: str, beat: Callable[[], None], *, seconds: float, trouble: Trouble) -> None:
        self._name = name
        self._beat = beat
        self._seconds = seconds
        self._trouble = trouble
        self._stop = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, with a beat at once; in a child after a fork, begin again: no thread of the parent's lives there."""
        self._stop = Event()
        self._thread = Thread(target=self._run, args=(self._stop,), name=self._name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the thread to end."""
        self._stop.set()
        if self._thread is not None and self._thread is not current_thread():  # which ends when it comes back
            self._thread.join(_CLOSE_TIMEOUT)

    def _run(self, stop: Event) -> None:
        while not stop.is_set():
            try:
                self._beat()
                self._trouble.report("")
            except Exception as error:  # noqa: BLE001 - whatever was met, this thread must live to try again
                self._trouble.report(f"{type(error).__name__}: {error}")
            stop.wait(self._seconds)
