"""Whether the operator lives: not that its loop turns, but that the watch tells what it must, and that keys are worked on.

Knows what was written and read, what the watch has told, and how long keys wait. Time is the event loop's. Must not know HTTP.
"""

import asyncio
from collections.abc import Iterable, Iterator

from rampgate_operator.cache import version_of
from rampgate_operator.ports import Body, Key
from rampgate_operator.queue import Queue

LONGEST_WAIT, LONGEST_WORK, LONGEST_SILENCE = 60.0, 120.0, 120.0
"""Seconds: that no key may be finished though some are due, that one may be worked on, that the watch may be behind what is there.

The last is longer than the time in which kopf itself gives up a stream that has fallen silent."""


class WatchProbe:
    """What the watch must still tell: every object that was written or listed is told of sooner or later, or a newer one of its kind is."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], int] = {}
        self._missing: dict[tuple[str, str], tuple[int, float]] = {}

    def told(self, body: Body) -> None:
        """Note what the watch tells."""
        stream, version = _stream(body), version_of(body)
        self._told[stream] = max(version, self._told.get(stream, 0))
        if stream in self._missing and self._missing[stream][0] <= version:
            del self._missing[stream]

    def expect(self, body: Body) -> None:
        """Note that an object is there in this version, so that the watch must tell of it, or of a later one."""
        stream, version = _stream(body), version_of(body)
        if version > self._told.get(stream, 0):
            self._missing.setdefault(stream, (version, _now()))

    def listed(self, bodies: Iterable[Body], namespace: str | None) -> None:
        """Take in a complete list of a namespace, or of all: what is gone again, the watch need not tell of any more."""
        there = list(bodies)
        newest: dict[tuple[str, str], int] = {}
        for body in there:
            newest[_stream(body)] = max(version_of(body), newest.get(_stream(body), 0))
        for stream, (version, _) in tuple(self._missing.items()):
            if namespace in (None, stream[1]) and version > newest.get(stream, 0):
                del self._missing[stream]
        for body in there:
            self.expect(body)

    def behind(self) -> Iterator[tuple[str, float]]:
        """Give each stream that owes something, with the seconds since."""
        for (kind, namespace), (_, since) in self._missing.items():
            yield f"{kind} in {namespace}", _now() - since


class Health:
    """The judgement for `/healthz`."""

    def __init__(self, queue: Queue[Key], watch: WatchProbe) -> None:
        self._queue, self._watch = queue, watch

    def troubles(self) -> list[str]:
        """Say what is stuck; nothing when the operator lives."""
        found = []
        if self._queue.stalled > LONGEST_WAIT:
            found.append(f"keys are due, and none was finished for {self._queue.stalled:.0f} s")
        if self._queue.longest_work > LONGEST_WORK:
            found.append(f"a key has been worked on for {self._queue.longest_work:.0f} s")
        found += [
            f"the watch of {stream} is {seconds:.0f} s behind" for stream, seconds in self._watch.behind() if seconds > LONGEST_SILENCE
        ]
        return found


def _stream(body: Body) -> tuple[str, str]:
    """Tell Experiments from ConfigMaps by what only one of them has."""
    return "experiments" if "spec" in body else "configmaps", body["metadata"]["namespace"]


def _now() -> float:
    return asyncio.get_running_loop().time()
