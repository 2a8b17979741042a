"""Exposures as OpenTelemetry's events (extra `opentelemetry`).

Knows the API's logs and spans; the application brings an SDK, and says where they go. Must not know how decisions are made.
There is no queue here: the SDK's batch processors have one, which drops likewise, and only the request's own thread knows its span.
"""

from os import PathLike
from time import time_ns

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger

from rampgate.decision import Decision
from rampgate.exposure import Observed, Observer
from rampgate.integrations.vocabulary import EVENT, attributes_of
from rampgate.pseudonym import Pseudonyms
from rampgate.sinks import exposure_of

SCOPE = "rampgate"


class OpenTelemetrySink(Observer):
    """Emits a `feature_flag.evaluation` event for each exposure: `gates.observe(OpenTelemetrySink(key_file=…))`.

    It is a log record with that event's name, within the span at hand. `span_events` adds the same to that span itself, for backends that
    show spans alone. `logger_provider` is the global one by default; `set_id` names the set of gates, such as `shop/feature-gates`.
    `key_file` is as for `ExposureSink`. Use processors that batch: others export while the request waits.
    """

    def __init__(
        self,
        *,
        key_file: str | PathLike[str] | None = None,
        set_id: str = "",
        span_events: bool = False,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        self._pseudonyms = Pseudonyms(key_file)
        self._set_id = set_id
        self._span_events = span_events
        self._logger = get_logger(SCOPE, logger_provider=logger_provider)

    def attached(self, observed: Observed) -> None:  # noqa: ARG002 - nothing is asked
        """Read the key."""
        self._pseudonyms.refresh()

    def flush(self) -> None:
        """Read the key again."""
        self._pseudonyms.refresh()

    def first_exposed(self, decision: Decision, *, unit: str) -> None:
        """Emit an event."""
        nanoseconds = time_ns()
        exposure = exposure_of(decision, unit=self._pseudonyms.of(unit), at=nanoseconds / 1e9)
        attributes = attributes_of(exposure, set_id=self._set_id)
        self._logger.emit(LogRecord(timestamp=nanoseconds, event_name=EVENT, severity_number=SeverityNumber.INFO, attributes=attributes))
        if self._span_events:
            trace.get_current_span().add_event(EVENT, attributes, nanoseconds)
