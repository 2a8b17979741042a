"""The sinks that write OpenTelemetry's event: into a log, and through its own SDK; their names are those of its semantic conventions."""

import hmac
import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import feature_flag_attributes
from pythonjsonlogger.json import JsonFormatter

from rampgate import Gates
from rampgate.exposure import Observer
from rampgate.integrations.log import LOGGER, LogSink
from rampgate.integrations.opentelemetry import OpenTelemetrySink
from rampgate.integrations.vocabulary import REASONS
from tests.sdk.entries import entry

KEY = bytes(range(32))
EXPECTED = {
    "feature_flag.key": "g",
    "feature_flag.provider.name": "rampgate",
    "feature_flag.result.variant": "control",
    "feature_flag.result.reason": "split",
    "feature_flag.context.id": hmac.new(KEY, b"user-1", "sha256").hexdigest(),
    "feature_flag.set.id": "shop/feature-gates",
    "feature_flag.version": "1795600000",
    "rampgate.label": "baseline",
    "rampgate.reason": "NOT_ENROLLED",
    "rampgate.attempt": 1,
    "rampgate.percent": 0,
}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    (tmp_path / "key").write_bytes(KEY)
    return tmp_path / "key"


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """What the logger of exposures writes, as JSON lines."""
    logger, stream = logging.getLogger(LOGGER), StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("%(message)s %(levelname)s %(created)f"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def expose(sink: Observer, unit: str = "user-1") -> None:
    with Gates.from_rules({"g": entry(percent=0)}) as gates:
        gates.observe(sink)
        gates.decide("g", {"userId": unit})


def test_the_names_are_those_of_the_semantic_conventions() -> None:
    known = {value for name, value in vars(feature_flag_attributes).items() if name.startswith("FEATURE_FLAG_")}
    assert {name for name in EXPECTED if not name.startswith("rampgate.")} <= known
    reasons = {each.value for each in feature_flag_attributes.FeatureFlagResultReasonValues}
    assert {reason.lower() for reason in REASONS.values()} <= reasons


def test_a_record_in_the_log_is_an_event_with_its_attributes(logged: StringIO, key_file: Path) -> None:
    expose(LogSink(set_id="shop/feature-gates", key_file=key_file))
    fields = json.loads(logged.getvalue())
    assert fields.pop("created") > 0
    assert fields == {
        "message": "feature_flag.evaluation",
        "levelname": "INFO",
        "event.name": "feature_flag.evaluation",
        **EXPECTED,
    }


def test_a_records_time_is_that_of_the_exposure(logged: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rampgate.sinks.time", lambda: 1795600000.25)
    expose(LogSink())
    assert json.loads(logged.getvalue())["created"] == 1795600000.25


def test_what_is_not_known_is_no_attribute(logged: StringIO) -> None:
    expose(LogSink())
    assert {"feature_flag.context.id", "feature_flag.set.id"} & json.loads(logged.getvalue()).keys() == set()


def test_a_log_that_takes_no_exposures_is_complained_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, LOGGER)  # as where nobody has set any
    expose(LogSink())
    assert f"set the level of the logger {LOGGER} to INFO" in caplog.text


class Telemetry:
    """OpenTelemetry's SDK, with what it exported."""

    def __init__(self) -> None:
        self.records, self.spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
        self.logger_provider, self.tracer_provider = LoggerProvider(shutdown_on_exit=False), TracerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self.records))
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans))

    def expose(self, **options: Any) -> None:
        with self.tracer_provider.get_tracer("test").start_as_current_span("request"):
            expose(OpenTelemetrySink(logger_provider=self.logger_provider, set_id="shop/feature-gates", **options))


def test_an_exposure_is_a_log_event_within_its_request(key_file: Path) -> None:
    telemetry = Telemetry()
    telemetry.expose(key_file=key_file)
    (record,) = (each.log_record for each in telemetry.records.get_finished_logs())
    (span,) = telemetry.spans.get_finished_spans()
    assert (record.event_name, dict(record.attributes)) == ("feature_flag.evaluation", EXPECTED)
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert span.start_time <= record.timestamp <= span.end_time
    assert span.events == ()


def test_the_span_at_hand_can_have_the_event_too(key_file: Path) -> None:
    telemetry = Telemetry()
    telemetry.expose(key_file=key_file, span_events=True)
    (event,) = telemetry.spans.get_finished_spans()[0].events
    assert (event.name, dict(event.attributes)) == ("feature_flag.evaluation", EXPECTED)


def test_without_an_sdk_and_outside_of_a_span_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    expose(OpenTelemetrySink(span_events=True))
    assert caplog.text == ""


def test_an_unsound_key_leaves_the_unit_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry()
    telemetry.expose(key_file=tmp_path / "none")
    (record,) = (each.log_record for each in telemetry.records.get_finished_logs())
    assert "feature_flag.context.id" not in record.attributes
    assert "WITHOUT a unit" in caplog.text
