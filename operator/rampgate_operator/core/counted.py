"""What is counted for a guardrail, whatever its form: the counters that are asked for, and the windows that the answers make.

Knows the SDK's metrics and the forms of a guardrail. Must not know evidence, verdicts, or how counts are fetched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat, zip_longest

from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.looks import Answer, Exposed, Failed, Increases, Metric
from rampgate_operator.core.promql import counter_for
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.spec import BASELINE, Spec

EVENTS, TOTAL, REQUESTS = "events", "total", "requests"
_WITHIN = "within "
_DURATIONS = "rampgate_request_duration_seconds"
MOST_COUNTED = 1e12
"""In one window: beyond it sums and logarithms lose what is to be told apart."""
_ROUNDING = 1e-9
"""Counts are sums of floating-point numbers."""

Arms = Mapping[str, float]
"""How much something rose, by arm."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What rose in one window; an arm is absent when nobody counted it."""

    totals: Arms
    events: Mapping[str, Arms]
    """By bound of the histogram's buckets; by "" when it is no histogram."""
    requests: Arms
    """Which arms had anything to do: of units the total does not say that, for each counts once."""
    is_settled: bool = True
    """Whether all who counted units went by the same rules from its beginning on."""


def needed(spec: Spec) -> float:
    """Give the e-value of a breach: the false rollback rate is shared evenly (Bonferroni) by limits of what is counted and treatments."""
    counted = [guardrail for guardrail in spec.guardrails or () if guardrail.is_counted]
    limits = sum((guardrail.max_increase is not None) + (guardrail.max is not None) for guardrail in counted)
    return limits * len(spec.drawn_treatments) / spec.false_rollback_rate


def others(spec: Spec) -> tuple[str, ...]:
    """Give whom treatments are compared with, as far as they are served."""
    return tuple(arm for arm in (spec.control, BASELINE) if arm in spec.arms)


def has_comparison(spec: Spec, percent: float) -> bool:
    """Tell whether anybody is served control's value."""
    return percent < 100 or spec.control in spec.arms


def bounds(guardrail: Guardrail) -> tuple[str, ...]:
    """Give the bounds of the histogram's buckets that it is about, "" when it is about none."""
    if guardrail.latency is not None:
        return tuple(dict.fromkeys(guardrail.latency.buckets))
    return (guardrail.slower_than or "",)


def within(bound: str) -> str:
    """Name the counter of what took no longer than a bound."""
    return _WITHIN + bound


def asked(guardrail: Guardrail, *, gate: str, namespace: str, arms: tuple[str, ...]) -> Mapping[str, str | Metric]:
    """Give what is to be counted: for each name a finished selector, or a metric of the SDK. Empty for a query."""
    if guardrail.counters is not None:
        texts = {EVENTS: guardrail.counters.events, TOTAL: guardrail.counters.total}
        return {name: counter_for(arms, text=text, gate=gate, namespace=namespace) for name, text in texts.items()}
    return {name: Metric(name=metric, gate=gate, labels=labels) for name, metric, labels in _metrics(guardrail)}


def _metrics(guardrail: Guardrail) -> Iterator[tuple[str, str, tuple[tuple[str, str], ...]]]:
    if guardrail.is_per_unit:
        yield EVENTS, "rampgate_first_errors_total", ()
        yield TOTAL, "rampgate_first_exposures_total", ()
        yield REQUESTS, "rampgate_requests_total", ()
    elif guardrail.error_rate is not None:
        yield EVENTS, "rampgate_requests_total", (("outcome", "error"),)
        yield TOTAL, "rampgate_requests_total", ()
    elif guardrail.query is None:
        yield TOTAL, f"{_DURATIONS}_count", ()
        for bound in bounds(guardrail):
            yield within(bound), f"{_DURATIONS}_bucket", (("le", f"{duration(bound).total_seconds():g}"),)


def failure(answers: Mapping[str, Answer]) -> tuple[str, Failed] | None:
    """Give the first question that got no usable answer."""
    return next(((name, answer) for name, answer in answers.items() if isinstance(answer, Failed)), None)


def windows(guardrail: Guardrail, answers: Mapping[str, Answer]) -> tuple[Window, ...]:
    """Put the answers to one look together, window by window."""
    names = list(answers)
    columns = zip_longest(*(_rises(answers[name]) for name in names), fillvalue={})
    total = answers[TOTAL]
    settled = chain(total.settled if isinstance(total, Exposed) else (), repeat(True))
    return tuple(_window(guardrail, dict(zip(names, column, strict=True)), seen) for column, seen in zip(columns, settled, strict=False))


def _rises(answer: Answer) -> tuple[Arms, ...]:
    return answer.windows if isinstance(answer, Increases | Exposed) else ()


def _window(guardrail: Guardrail, rose: Mapping[str, Arms], is_settled: bool) -> Window:
    totals = rose[TOTAL]
    events = {"": rose[EVENTS]} if EVENTS in rose else {bound: _slower(totals, rose[within(bound)]) for bound in bounds(guardrail)}
    return Window(totals=totals, events=events, requests=rose.get(REQUESTS, totals), is_settled=is_settled)


def _slower(totals: Arms, within: Arms) -> Arms:
    return {arm: total - within[arm] for arm, total in totals.items() if arm in within}


def impossible(window: Window, arms: tuple[str, ...]) -> str | None:
    """Say what no counter can have done."""
    for arm in arms:
        total = window.totals.get(arm, 0.0)
        for bound, events in window.events.items():
            rose = events.get(arm, 0.0)
            for each in (total, rose):
                if not -_ROUNDING * min(abs(total), MOST_COUNTED) <= each <= MOST_COUNTED:
                    return f"a counter of {arm} rose by {each:g}: no counter does"
            if bound and total and arm not in events:
                return f"total of {arm} rose by {total:g}, but no bucket {bound} was counted"
    return None


def more_events_than_total(arm: str, events: float, total: float) -> str | None:
    """Say that events are no part of the total, which makes nonsense of any rate. In one window they may be more: they come later."""
    if events <= total * (1 + _ROUNDING):
        return None
    both = f"events of {arm} rose by {events:g}, and total by {total:g}"
    return f"{both}: what is counted as events must be counted in total as well"
