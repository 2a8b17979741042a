"""The requests that questions about the SDK's own metrics of many gates take together, and the answer to each; runs in a thread.

Knows what the SDK's metrics are called and labelled by. Must not know who waits for the answers, the event loop or guardrails.

One query brings the raw samples of all gates and metrics, up to the latest instant and from before the earliest beginning; each question's
windows are cut from its own gate's series, so an answer does not depend on who else asked. What comes along unasked, such as a gate's
namesake in another namespace, is dropped. Anybody may export a native histogram by the name of one of the counters: it fails the questions
of its own gate alone. Further queries are for what has no gate (processes) or is rare: a metric's last values before a gap, since when
a namespace is scraped at all, and the bounds that a histogram has instead of the one asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias, TypeVar

from rampgate_operator.adapters.prometheus_ask import Most, counted, memories, milliseconds, read_all
from rampgate_operator.adapters.prometheus_http import Call
from rampgate_operator.adapters.prometheus_json import Result, Sorted, read_groups, read_last_values, read_sorted_series, undisturbed
from rampgate_operator.core.counting import ALWAYS, Identity, Series, increases, without_base
from rampgate_operator.core.looks import Answer, Exposed, Failed, FailureReason, Increases, Kind, LookRequest, NoData
from rampgate_operator.core.promql_gates import BOUND, GENERATION, PROCESSES, bounds_of, last_values_of, samples_of, select
from rampgate_operator.core.promql_tree import Selector
from rampgate_operator.core.targets import by_target, count_processes, settled

_T = TypeVar("_T")

_Gate: TypeAlias = tuple[str, str]
"""Namespace, name."""

_ByGate: TypeAlias = Mapping[tuple[str, _Gate], Sequence[Series]]
"""Series by their metric's name and their gate."""

_Warnings: TypeAlias = tuple[str, ...]


class _Asked(NamedTuple):
    """A question, read once."""

    question: LookRequest
    gate: _Gate
    name: str
    labels: Sequence[tuple[str, str]]
    bound: float | None
    edges: tuple[int, ...]


class _Source(NamedTuple):
    """Where to ask, and for which time, in milliseconds."""

    call: Call
    start: int
    end: int

    @property
    def margin(self) -> int:
        """How long before the beginning a sample is sought."""
        return self.call.source.lookback // timedelta(milliseconds=1)

    @property
    def length(self) -> timedelta:
        """From the end back to the margin."""
        return timedelta(milliseconds=self.end - self.start + self.margin)

    def samples(self, selected: Selector) -> tuple[Sorted, _Warnings]:
        """Give raw samples, of each series from its base on."""
        return self.read(
            samples_of(selected, length=self.length), partial(read_sorted_series, source=self.call.name, since=self.start), at=self.end
        )

    def last_values(self, selected: Selector) -> Mapping[Identity, float]:
        """Look further back than samples do, from the beginning on."""
        text = last_values_of(selected, memory=self.call.limits.memory)
        return self.read(text, partial(read_last_values, source=self.call.name), at=self.start)[0]

    def memories(self, namespaces: Collection[str]) -> Mapping[str, float]:
        """Say since when the past of these namespaces' series would be known."""
        return memories(namespaces, self.call, start=self.start, end=self.end, most=self.most) if namespaces else {}

    def read(self, text: str, read: Callable[[Result], _T], *, at: int) -> tuple[_T, _Warnings]:
        """Ask for many gates at once."""
        return read_all(text, self.call, at=at, most=self.most, read=read)

    @property
    def most(self) -> Most:
        """What an answer for many gates may hold."""
        return Most(series=self.call.limits.max_together_series, size=self.call.limits.max_together_bytes)


def ask_together(questions: Sequence[LookRequest], call: Call) -> Mapping[LookRequest, Answer]:
    """Answer questions that have a metric: either all with a bound of a histogram, or none.

    Raises:
        SourceError: a query failed, and with it every question; when it is by data, fewer gates may do.
    """
    asked = [_read(question) for question in questions]
    source = _Source(call, min(one.edges[0] for one in asked), max(one.edges[-1] for one in asked))
    exposures = [one for one in asked if one.question.kind is Kind.EXPOSURES]
    names = {one.name for one in asked} | ({GENERATION} if exposures else set())
    series, warnings = source.samples(_selection(names, asked))
    with undisturbed():
        gates = {one.gate for one in asked}
        found, histograms = _by_gate(series.counters, gates), _by_gate(series.histograms, gates)
        own = {one.question: _own(one, found) for one in asked}
        lacking = _without_base(asked, own)
    earlier = {name: source.last_values(_selection([name], those)) for name, those in lacking.items()}
    remembers = source.memories(_without_past(lacking, own, earlier))
    processes = source.samples(select([PROCESSES], namespaces={one.gate[0] for one in exposures}))[0].counters if exposures else []
    with undisturbed():
        answers: dict[LookRequest, Answer] = {
            one.question: counted(
                increases(
                    own[one.question],
                    edges=one.edges,
                    earlier=earlier.get(one.name, {}),
                    remembers=remembers.get(one.gate[0], ALWAYS),
                ),
                warnings,
            )
            for one in asked
        }
        answers |= _exposed(
            [(one, answers[one.question]) for one in exposures], own=own, found=found, processes=processes, margin=source.margin
        )
    if unseen := [one for one in asked if one.bound is not None and isinstance(answers[one.question], NoData)]:
        answers |= _no_buckets(unseen, source)
    return answers | {one.question: _no_counter(one) for one in asked if _own(one, histograms)}


def _read(question: LookRequest) -> _Asked:
    metric = question.metric
    assert metric is not None, "a question without a metric is asked alone"
    bound = next((float(value) for name, value in metric.labels if name == BOUND), None)
    labels = [label for label in metric.labels if label[0] != BOUND]
    return _Asked(question, (question.tenant, metric.gate), metric.name, labels, bound, tuple(map(milliseconds, question.edges)))


def _selection(names: Collection[str], asked: Collection[_Asked], *, bounded: bool = True) -> Selector:
    bounds = {one.bound for one in asked if one.bound is not None} if bounded else set()
    return select(names, namespaces={one.gate[0] for one in asked}, gates={one.gate[1] for one in asked}, bounds=bounds)


def _by_gate(series: Sequence[Series], gates: Collection[_Gate]) -> _ByGate:
    found: dict[tuple[str, _Gate], list[Series]] = {}
    for one in series:
        labels = one.labels
        gate = labels.get("namespace", ""), labels.get("gate", "")
        if gate in gates:
            found.setdefault((labels.get("__name__", ""), gate), []).append(one)
    return found


def _own(asked: _Asked, found: _ByGate) -> Sequence[Series]:
    series = found.get((asked.name, asked.gate), ())
    if asked.bound is not None:
        series = [one for one in series if _bound(one.labels.get(BOUND, "")) == asked.bound]
    return [one for one in series if all(one.labels.get(name) == value for name, value in asked.labels)] if asked.labels else series


@lru_cache(maxsize=1024)
def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _without_base(asked: Sequence[_Asked], own: Mapping[LookRequest, Sequence[Series]]) -> Mapping[str, Sequence[_Asked]]:
    """Give by metric, whose name a source may drop, those whose last values must be sought before the earliest beginning.

    Also for those whose windows begin later: what lies between the earliest beginning and theirs has been fetched.
    """
    lacking: dict[str, list[_Asked]] = {}
    for one in asked:
        if without_base(own[one.question], start=one.edges[0], end=one.edges[-1]):
            lacking.setdefault(one.name, []).append(one)
    return lacking


def _without_past(
    lacking: Mapping[str, Sequence[_Asked]], own: Mapping[LookRequest, Sequence[Series]], earlier: Mapping[str, Mapping[Identity, float]]
) -> Collection[str]:
    """Name the namespaces with series of which not even a last value is known."""
    return {
        one.gate[0]
        for name, those in lacking.items()
        for one in those
        if without_base(own[one.question], start=one.edges[0], end=one.edges[-1]) - earlier[name].keys()
    }


def _exposed(
    counts: Sequence[tuple[_Asked, Answer]],
    *,
    own: Mapping[LookRequest, Sequence[Series]],
    found: _ByGate,
    processes: Sequence[Series],
    margin: int,
) -> Mapping[LookRequest, Exposed]:
    """Add who counted to what was counted."""
    known, exposed = by_target(processes), {}
    for one, answer in counts:
        if isinstance(answer, Increases):
            exposures, generations = by_target(own[one.question]), by_target(found.get((GENERATION, one.gate), ()))
            exposed[one.question] = Exposed(
                answer.windows,
                settled(exposures, generations, edges=one.edges, generation=one.question.generation, margin=margin),
                count_processes(exposures, known, edges=one.edges, margin=margin),
                answer.warnings,
            )
    return exposed


def _no_buckets(asked: Sequence[_Asked], source: _Source) -> Mapping[LookRequest, Failed]:
    """Tell a bound that a gate's histogram does not have from a histogram that has no samples."""
    selected = _selection({one.name for one in asked}, asked, bounded=False)
    groups, _ = source.read(bounds_of(selected, length=source.length), partial(read_groups, source=source.call.name), at=source.end)
    bounds: dict[_Gate, set[float]] = {}
    for labels in groups:
        if (bound := _bound(labels.get(BOUND, ""))) is not None:
            bounds.setdefault((labels.get("namespace", ""), labels.get("gate", "")), set()).add(bound)
    return {
        one.question: Failed(FailureReason.REFUSED, _say_nearest(one, one.bound, bounds[one.gate]))
        for one in asked
        if one.bound is not None and one.gate in bounds and one.bound not in bounds[one.gate]
    }


def _no_counter(asked: _Asked) -> Failed:
    said = f"A series of {asked.name} is a native histogram where a counter is needed"
    return Failed(FailureReason.NOT_A_NUMBER, f"{said}: something other than the SDK exports it by that name.")


def _say_nearest(asked: _Asked, bound: float, bounds: Collection[float]) -> str:
    below = [f"{max(lower):g} s"] if (lower := [one for one in bounds if one < bound]) else []
    above = [f"{min(higher):g} s"] if (higher := [one for one in bounds if bound < one < math.inf]) else []
    nearest = (
        f"the nearest {'are' if below and above else 'is'} {' and '.join(below + above)}" if below or above else "it has none but +Inf"
    )
    return f"{bound:g} s is no bucket of {asked.name.removesuffix('_bucket')}: {nearest}."
