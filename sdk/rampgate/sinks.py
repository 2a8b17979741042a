"""Exposures for those who analyse them: who was shown what, by pseudonym, handed to a callback in batches.

Knows decisions and pseudonyms. Must not know who takes them: a log, OpenTelemetry, a warehouse.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from time import time
from typing import NamedTuple

from rampgate.courier import Courier
from rampgate.decision import Decision, Reason
from rampgate.exposure import Observed, Observer
from rampgate.pseudonym import Pseudonyms

CAPACITY, BATCH, EVERY = 10_000, 500, 1.0


class Exposure(NamedTuple):
    """The first evaluation, in this process, that drew this unit in this attempt at this percentage.

    `variant` is what was served, `label` the arm as metrics name it (`baseline`: served control's value, not enrolled). `unit` is a
    pseudonym, None without a key. `percent` is 0..100; `at` is in UTC.
    """

    gate: str
    variant: str | None
    label: str
    reason: Reason
    generation: int
    attempt: int
    percent: float
    unit: str | None
    at: datetime


Deliver = Callable[[Sequence[Exposure]], object]
"""Takes a batch, or raises; then it is given the same batch again."""


def exposure_of(decision: Decision, *, unit: str | None, at: float) -> Exposure:
    """What is passed on of a decision, its unit being a pseudonym already; `at` in seconds since the epoch."""
    label = str(decision.label)
    when = datetime.fromtimestamp(at, UTC)
    return Exposure(
        decision.gate, decision.variant, label, decision.reason, decision.generation, decision.attempt, decision.percent, unit, when
    )


class ExposureSink(Observer):
    """Hands first exposures to `deliver`, in a thread of its own: `gates.observe(ExposureSink(deliver, key_file=…))`.

    At most `capacity` wait; what comes then is dropped, and counted in `dropped_exposures` and in the metric
    `rampgate_dropped_exposures_total`, whose label `sink` is `name`. They go in batches of at most `batch`, `every` so many seconds.
    `key_file` holds the key of the pseudonyms, 32 bytes or more, and is read again about once a second. Without it nobody learns of units.
    One sink belongs to one `Gates`, which closes it.
    """

    def __init__(
        self,
        deliver: Deliver,
        *,
        key_file: str | PathLike[str] | None = None,
        name: str = "callback",
        capacity: int = CAPACITY,
        batch: int = BATCH,
        every: float = EVERY,
    ) -> None:
        self._name = name
        self._pseudonyms = Pseudonyms(key_file)
        self._courier: Courier[Exposure] = Courier(name, deliver, capacity=capacity, batch=batch, every=every)

    @property
    def dropped_exposures(self) -> int:
        """How many exposures were not delivered, and never will be."""
        return self._courier.dropped

    def attached(self, observed: Observed) -> None:  # noqa: ARG002 - nothing is asked
        """Read the key, and begin."""
        self._pseudonyms.refresh()
        self._courier.start()

    def first_exposed(self, decision: Decision, *, unit: str) -> None:
        """Queue an exposure. The unit's pseudonym is made here, so that the unit itself is kept nowhere."""
        self._courier.take(exposure_of(decision, unit=self._pseudonyms.of(unit), at=time()))

    def flush(self) -> None:
        """Read the key again, and see whether deliveries go on; they need no asking."""
        self._pseudonyms.refresh()
        self._courier.check()

    def dropped(self) -> Mapping[str, int]:
        """Say how many exposures were dropped."""
        return {self._name: self._courier.dropped}

    def start_in_child(self) -> None:
        """Begin anew after a fork, with nothing queued."""
        self._courier.start_in_child()

    def close(self) -> None:
        """Deliver what is queued, for at most two seconds; what is left then is dropped."""
        self._courier.close()
