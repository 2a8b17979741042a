"""The requests that one question takes, and the answer made of theirs; runs in a thread.

Knows the parameters of Prometheus' query API and the two kinds of question. Must not know of other questions, the event loop or guardrails.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from rampgate_operator.adapters.prometheus_http import Call, Payload, SourceError
from rampgate_operator.adapters.prometheus_json import (
    Result,
    read_groups,
    read_last_values,
    read_result,
    read_series,
    read_value,
    undisturbed,
)
from rampgate_operator.core.counting import ALWAYS, Identity, Series, increases, remembers_since, without_base
from rampgate_operator.core.looks import Answer, Failed, FailureReason, Increases, Kind, LookRequest, NoData
from rampgate_operator.core.promql import QueryError, last_value_of, samples_of
from rampgate_operator.core.promql_gates import scraped_of, scrapes_of

_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ask(question: LookRequest, call: Call) -> Answer:
    """Answer one question. Never raises for anything that a server does or a query says."""
    try:
        return _value(question, call) if question.kind is Kind.VALUE else _increases(question, call)
    except SourceError as error:
        return error.failed
    except QueryError as error:
        return Failed(FailureReason.REFUSED, str(error))


def _value(question: LookRequest, call: Call) -> Answer:
    # Two series are as wrong as a thousand, and shorter.
    payload = _query(question.query, call, at=milliseconds(question.at), limit=2, max_bytes=call.limits.max_value_bytes)
    return read_value(read_result(payload, source=call.name), source=call.name)


def _increases(question: LookRequest, call: Call) -> Answer:
    """Fetch the window and its margin; for series without a base their last value before the window; then count.

    The margin (the source's lookback) must hold two scrapes at least. Further requests are rare: when a series is new or was away for
    longer than the margin, and when even `memory` does not know it. Away for longer than that, it counts from 0 as a new one does.
    """
    edges = tuple(map(milliseconds, question.edges))
    start, end = edges[0], edges[-1]
    most = Most(series=call.limits.max_series, size=call.limits.max_series_bytes)
    span = timedelta(milliseconds=end - start) + call.source.lookback
    read = partial(read_series, source=call.name, since=start)
    series, warnings = read_all(samples_of(question.query, length=span), call, at=end, most=most, read=read)
    earlier: Mapping[Identity, float] = {}
    remembers = ALWAYS
    if lacking := without_base(series, start=start, end=end):
        past = last_value_of(question.query, memory=call.limits.memory)
        earlier, _ = read_all(past, call, at=start, most=most, read=partial(read_last_values, source=call.name))
        if lacking - earlier.keys():
            remembers = memories([question.tenant], call, start=start, end=end, most=most)[question.tenant]
    return counted(increases(series, edges=edges, earlier=earlier, remembers=remembers), warnings)


def memories(namespaces: Collection[str], call: Call, *, start: int, end: int, most: Most) -> Mapping[str, float]:
    """Say by namespace since when the source would know the past of a series: ALWAYS where it scraped anything before the margin."""
    margin = call.source.lookback // timedelta(milliseconds=1)
    text = scraped_of(namespaces, memory=call.limits.memory)
    groups, _ = read_all(text, call, at=start - margin, most=most, read=partial(read_groups, source=call.name))
    known = {labels.get("namespace", ""): ALWAYS for labels in groups}
    if not (unknown := set(namespaces) - known.keys()):
        return known
    text = scrapes_of(unknown, length=timedelta(milliseconds=end - start + margin))
    scrapes, _ = read_all(text, call, at=end, most=most, read=partial(read_series, source=call.name, since=start - margin))
    found: dict[str, list[Series]] = {}
    for one in scrapes:
        found.setdefault(one.labels.get("namespace", ""), []).append(one)
    return known | {namespace: remembers_since(found.get(namespace, ()), margin=margin) for namespace in unknown}


def counted(windows: tuple[Mapping[str, float], ...], warnings: tuple[str, ...]) -> Increases | NoData:
    """Give what was counted, if there was anything to count."""
    return Increases(windows, warnings) if any(windows) else NoData("No series of the counter has a sample in the window.")


class Most(NamedTuple):
    """How much an answer may hold: series, and bytes."""

    series: int
    size: int


def read_all(text: str, call: Call, *, at: int, most: Most, read: Callable[[Result], _T]) -> tuple[_T, tuple[str, ...]]:
    """Query for any number of series up to a limit, and read them; give the source's warnings with it.

    Raises:
        SourceError: there are more, or anything else that went wrong.
    """
    # One more than allowed, so that a cut answer can be told from a full one.
    payload = _query(text, call, at=at, limit=most.series + 1, max_bytes=most.size)
    with undisturbed():
        result = read_result(payload, source=call.name)
        if isinstance(result.items, list) and len(result.items) > most.series:
            message = f"The counter has more than {most.series} series: narrow its matchers, or use a recording rule."
            raise SourceError(FailureReason.TOO_LARGE, message)
        found, warnings = read(result), result.warnings
        del result
    return found, warnings


def _query(text: str, call: Call, *, at: int, limit: int, max_bytes: int) -> Payload:
    source = call.source
    params = {
        "query": text,
        "time": f"{at / 1000:.3f}",
        # A little less than the client waits, so that the server is the one to say why.
        "timeout": _duration(0.9 * source.timeout),
        "lookback_delta": _duration(source.lookback),
        "limit": str(limit),
        # Thanos, VictoriaMetrics: half of the data would be a wrong number. Prometheus ignores both.
        "partial_response": "false",
        "deny_partial_response": "1",
    }
    return call.get(params, max_bytes=max_bytes)


def milliseconds(at: datetime) -> int:
    """Say when an instant is, in Prometheus' own unit."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _duration(length: timedelta) -> str:
    return f"{max(length // timedelta(milliseconds=1), 1)}ms"
