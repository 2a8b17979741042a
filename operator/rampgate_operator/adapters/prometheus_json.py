"""What the body of a Prometheus answer says; anything but an answer is a SourceError.

Knows the JSON of `/api/v1/query` and the meaning of its errors. Must not know how it was fetched. Pure; runs in a thread because a large
body takes a while.

Nothing of a body reaches a message but Prometheus' own `errorType`, and for a query it could not parse its sentence, cut and cleaned: what
answers at a configured address may be anything, and messages end in a tenant's status.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

from pydantic_core import from_json

from rampgate_operator.adapters.prometheus_http import Payload, SourceError
from rampgate_operator.core.counting import Identity, Sample, Series
from rampgate_operator.core.looks import FailureReason, NoData, Value

Json: TypeAlias = Any
"""Whatever was sent. It is read as if it were right, within `_expecting_prometheus`, which catches what that does when it is not."""

_READING = Lock()
_MAX_TEXT = 200
_MAX_WARNINGS = 3
_UNPRINTABLE = re.compile(r"[^ -~]+")
_OVER_A_LIMIT = re.compile(r"too many (samples|points)|timeseries exceeds|limit \d+ violated|exceeded the maximum|err-mimir-max")
"""How Prometheus, Thanos, Mimir and VictoriaMetrics say that a query would load more than it may. A word such as "limit" would not do:
the text also quotes queries and labels."""

_ERROR_TYPES = frozenset({"bad_data", "execution", "timeout", "canceled", "internal", "unavailable", "not_found", "not_acceptable"})


@dataclass(frozen=True, slots=True)
class Result:
    """A successful answer: `items` is still Prometheus' JSON, whose shape depends on `kind`."""

    kind: str
    items: Json
    warnings: tuple[str, ...]


def read_result(payload: Payload, *, source: str) -> Result:
    """Tell a result from a refusal."""
    try:
        document = from_json(payload.body)  # not json's: a body that nests without end would overflow this thread's stack
    except ValueError:
        document = None
    if payload.status != 200:
        raise _refusal(payload.status, document, source)
    with _expecting_prometheus(source):
        if document["status"] != "success":
            raise ValueError(document)
        result = Result(document["data"]["resultType"], document["data"]["result"], _warnings(document))
    if document.get("isPartial") is True:  # VictoriaMetrics
        message = f"Metrics source {source} has only a part of the data, for one of its storage nodes does not answer: look at its logs."
        raise SourceError(FailureReason.SERVER_ERROR, message)
    return result


def read_value(result: Result, *, source: str) -> Value | NoData:
    """Read the one number there should be."""
    with _expecting_prometheus(source):
        match result.kind, result.items:
            case "scalar", [_, text]:
                return _value(text, result.warnings)
            case "vector", []:
                return NoData("The query found no series.")
            case "vector", [series]:
                if _is_histogram(series):
                    raise _not_a_number("a native histogram")
                return _value(series["value"][1], result.warnings)
            case "vector", [_, _, *_]:
                raise SourceError(FailureReason.MANY_SERIES, "The query gives more than one series: aggregate it, for example with sum().")
            case (("matrix" | "string" as kind), _):
                raise _not_a_number(f"a {kind}")
        raise ValueError(result.kind)


def read_series(result: Result, *, source: str, since: int) -> list[Series]:
    """Read raw samples; times become whole milliseconds. What precedes the last sample at or before `since` is left unread."""
    found = read_sorted_series(result, source=source, since=since)
    if found.histograms:
        raise _not_a_number("a native histogram")
    return found.counters


class Sorted(NamedTuple):
    """Series of numbers, and apart from them those that have native histograms; of these nothing but the labels is read."""

    counters: list[Series]
    histograms: list[Series]


def read_sorted_series(result: Result, *, source: str, since: int) -> Sorted:
    """Read raw samples as `read_series` does, where a series that is not to be counted may be one that nobody asked for."""
    found = Sorted([], [])
    with _expecting_prometheus(source):
        _expect_kind(result, "matrix")
        for item in result.items:
            if _is_histogram(item):
                found.histograms.append(Series(_labels(item), ()))
            else:
                found.counters.append(Series(_labels(item), _back_to(since, item["values"])))
    return found


def read_last_values(result: Result, *, source: str) -> Mapping[Identity, float]:
    """Read one value per series; those that are no count are left out."""
    with _expecting_prometheus(source):
        _expect_kind(result, "vector")
        counts = [item for item in result.items if not _is_histogram(item)]
        values = {Series(_labels(item), ()).identity: _number(item["value"][1]) for item in counts}
        return {identity: value for identity, value in values.items() if math.isfinite(value)}


def read_groups(result: Result, *, source: str) -> list[Mapping[str, str]]:
    """Read the labels of each element of a vector."""
    with _expecting_prometheus(source):
        _expect_kind(result, "vector")
        return [_labels(item) for item in result.items]


def read_vector(result: Result, *, source: str) -> list[tuple[Mapping[str, str], float]]:
    """Read the labels and the value of each element of a vector; NaN is the value of a native histogram."""
    with _expecting_prometheus(source):
        _expect_kind(result, "vector")
        return [(_labels(item), math.nan if _is_histogram(item) else _number(item["value"][1])) for item in result.items]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Read a large body here, and count what it holds: one at a time, and without the cycle collector.

    A body is parsed to millions of lists, which are gone when its series are read. The collector would look through them again and again,
    and take three quarters of the time; JSON has no cycles. Threads that read at the same time would not be faster, for they share one
    interpreter, but would need the memory for all their bodies at once, and keep the event loop waiting for its turn among them.
    """
    with _READING:
        was_on = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if was_on:
                gc.enable()


@contextmanager
def _expecting_prometheus(source: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        raise _not_prometheus(source) from None


def _expect_kind(result: Result, kind: str) -> None:
    if result.kind != kind:
        raise ValueError(result.kind)


def _value(text: Json, warnings: tuple[str, ...]) -> Value | NoData:
    number = _number(text)
    if math.isnan(number):
        return NoData("The query gives NaN, as a division of 0 by 0 does when there is no traffic.")
    if math.isinf(number):
        return NoData("The query gives infinity, as a division by 0 does when there is no traffic.")
    return Value(number, warnings)


def _is_histogram(item: Json) -> bool:
    return "histogram" in item or "histograms" in item


def _number(text: Json) -> float:
    # A sample's value is always a JSON string; a bare number means that something else is talking.
    if not isinstance(text, str):
        raise TypeError(text)
    return float(text)


def _labels(item: Json) -> Mapping[str, str]:
    labels: Mapping[str, str] = item["metric"]
    "".join(labels.values())  # fails when a value is no text
    return labels


def _back_to(since: int, samples: Json) -> list[Sample]:
    """Read samples from the last one back to the base: a look's margin holds many more than its window."""
    read = []
    for at, text in reversed(samples):
        sample = round(at * 1000), _number(text)
        read.append(sample)
        if sample[0] <= since and math.isfinite(sample[1]):
            break
    read.reverse()
    return read


def _warnings(document: Json) -> tuple[str, ...]:
    found = document.get("warnings") or ()
    return tuple(_clean(text) for text in found[:_MAX_WARNINGS])


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text[: 4 * _MAX_TEXT]).strip()[:_MAX_TEXT].rstrip(".")


def _not_a_number(what: str) -> SourceError:
    message = f"The query gives {what} where a number is needed: apply a function that makes one of it."
    return SourceError(FailureReason.NOT_A_NUMBER, message)


def _not_prometheus(source: str) -> SourceError:
    message = f"What answers as metrics source {source} does not speak the Prometheus HTTP API: check its URL and path prefix."
    return SourceError(FailureReason.NOT_PROMETHEUS, message)


def _refusal(status: int, document: Json, source: str) -> SourceError:
    """Explain an HTTP status other than 200: by Prometheus' `errorType` when there is one, else by the status alone."""
    kind, text = (document.get("errorType"), document.get("error")) if isinstance(document, dict) else (None, None)
    if kind == "execution" or status == 422:
        return _not_executed(text if isinstance(text, str) else "", source)
    if not isinstance(kind, str) or kind not in _ERROR_TYPES:
        return _by_status(status, f"HTTP {status}", source)
    if kind in {"timeout", "canceled"}:
        message = f"Metrics source {source} gave up the query ({kind}): it is overloaded, or the query is too heavy."
        return SourceError(FailureReason.TIMEOUT, message)
    if kind == "bad_data" and isinstance(text, str):
        return SourceError(FailureReason.REFUSED, f"Metrics source {source} refuses the query: {_clean(text)}.")
    return _by_status(status, f"HTTP {status}, {kind}", source)


def _not_executed(text: str, source: str) -> SourceError:
    """Explain a query that was understood, but met something in the data."""
    if _OVER_A_LIMIT.search(text):
        message = f"Metrics source {source} would have to load more for the query than it may: narrow it, or raise the source's limits."
        return SourceError(FailureReason.TOO_LARGE, message)
    hint = "one of its matches is many-to-many" if "many-to-many" in text else "run it there by hand"
    return SourceError(FailureReason.REFUSED, f"Metrics source {source} cannot execute the query: {hint}.", is_by_data=True)


def _by_status(status: int, said: str, source: str) -> SourceError:
    name = f"Metrics source {source}"
    if status in {401, 403}:
        return SourceError(FailureReason.UNAUTHORIZED, f"{name} does not let the operator in ({said}): check its token and rights.")
    if status == 429:
        return SourceError(FailureReason.THROTTLED, f"{name} gets too many queries ({said}): lengthen intervals, or raise its limit.")
    if status >= 500:
        return SourceError(FailureReason.SERVER_ERROR, f"{name} has trouble of its own ({said}): look at its logs.")
    if status in {400, 405, 413, 414, 431}:
        return SourceError(FailureReason.REFUSED, f"{name} refuses the query ({said}): run it there by hand.")
    return _not_prometheus(source)
