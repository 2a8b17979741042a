"""Exposures as structured log records, through the standard library's logging.

Knows loggers, and OpenTelemetry's names by way of the vocabulary. Must not know how decisions are made, nor what a log is written to.
"""

import logging
from collections.abc import Sequence
from os import PathLike

from rampgate.integrations.vocabulary import EVENT, attributes_of
from rampgate.sinks import BATCH, CAPACITY, EVERY, Exposure, ExposureSink
from rampgate.trouble import Trouble

LOGGER = "rampgate.exposures"


class LogSink(ExposureSink):
    """Writes a record for each exposure: `gates.observe(LogSink(key_file=…))`. Arguments are as for `ExposureSink`.

    Its message and `event.name` are `feature_flag.evaluation`, its level is INFO, its time that of the exposure, and its attributes are
    those of OpenTelemetry's event of that name, as `extra`. `set_id` names the set of gates, such as `shop/feature-gates`.
    Handlers are called in the sink's thread.
    """

    def __init__(
        self,
        logger: str = LOGGER,
        *,
        set_id: str = "",
        key_file: str | PathLike[str] | None = None,
        name: str = "log",
        capacity: int = CAPACITY,
        batch: int = BATCH,
        every: float = EVERY,
    ) -> None:
        super().__init__(self._write, key_file=key_file, name=name, capacity=capacity, batch=batch, every=every)
        self._logger = logging.getLogger(logger)
        self._set_id = set_id
        self._trouble = Trouble("the log of exposures")

    def _write(self, exposures: Sequence[Exposure]) -> None:
        if not self._logger.isEnabledFor(logging.INFO):
            self._trouble.report(f"nothing is written: set the level of the logger {self._logger.name} to INFO")
            return
        self._trouble.report("")
        for exposure in exposures:
            self._logger.handle(self._record(exposure))

    def _record(self, exposure: Exposure) -> logging.LogRecord:
        fields = {"event.name": EVENT, **attributes_of(exposure, set_id=self._set_id)}
        record = self._logger.makeRecord(self._logger.name, logging.INFO, "", 0, EVENT, (), None, extra=fields)
        record.created = exposure.at.timestamp()
        record.msecs = exposure.at.microsecond // 1000
        return record
