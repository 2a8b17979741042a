"""How the SDK tells people that something is wrong: in the log, once, not at every poll or evaluation.

Knows the logger's name, `rampgate`. Must not know what the trouble is about.
"""

from contextlib import suppress

_LOGGER = "rampgate"


class Trouble:
    """The state of one thing that can fail. A new problem is a warning, the same problem again is silent, its end is worth a line."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._problem = ""

    def report(self, problem: str) -> None:
        """Say what is wrong, if that is news; an empty problem says that nothing is wrong (any more)."""
        last, self._problem = self._problem, problem
        if problem == last:
            return
        import logging  # noqa: PLC0415 - a quarter of the SDK's import time, and only trouble needs it

        with suppress(Exception):  # the application's handlers and filters: their fault must end no thread of ours, and no request
            if problem:
                logging.getLogger(_LOGGER).warning("%s: %s", self._subject, problem)
            else:
                logging.getLogger(_LOGGER).info("%s: well again", self._subject)
