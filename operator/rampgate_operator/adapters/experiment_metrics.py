"""Gauges of each Experiment: what alerts and dashboards ask about one of them, read from its status when Prometheus asks.

Knows metric names, labels and the status. Must not know HTTP, nor why anything was decided.
"""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rampgate_operator.core.conditions import PROGRESSING
from rampgate_operator.core.status import GuardrailStatus, Status
from rampgate_operator.ports import Key

OF_EXPERIMENT = ("namespace", "experiment")
_OF_GUARDRAIL = (*OF_EXPERIMENT, "guardrail")


class ExperimentCollector(Collector):
    """Reads how Experiments are, at each scrape."""

    def __init__(self, statuses: Callable[[], Iterable[tuple[Key, Status]]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give where each is, and what is wrong with it."""
        yield from self._progress()
        yield from self._guardrails()

    def _progress(self) -> Iterator[GaugeMetricFamily]:
        waiting = GaugeMetricFamily(
            "rampgate_operator_experiment_waiting",
            "1 for what keeps it from advancing; the reason is a closer word, of its condition Progressing.",
            labels=(*OF_EXPERIMENT, "waiting_for", "reason"),
        )
        false = GaugeMetricFamily(
            "rampgate_operator_condition_false", "1 for each condition that is False.", labels=(*OF_EXPERIMENT, "type", "reason")
        )
        moved = GaugeMetricFamily(
            "rampgate_operator_last_transition_timestamp_seconds",
            "When phase or percentage changed last.",
            labels=(*OF_EXPERIMENT, "reason"),
        )
        for key, status in self._statuses():
            if status.waiting_for is not None:
                waiting.add_metric((*key, status.waiting_for.value, _closer(status)), 1)
            for condition in status.conditions:
                if condition.status == "False" and condition.type != PROGRESSING:  # of that one `waiting_for` and `phase` say more
                    false.add_metric((*key, condition.type, condition.reason), 1)
            if status.history:
                moved.add_metric((*key, status.history[-1].reason), status.history[-1].at.timestamp())
        yield from (waiting, false, moved)

    def _guardrails(self) -> Iterator[GaugeMetricFamily]:
        value = GaugeMetricFamily(
            "rampgate_operator_guardrail_value",
            "What was read last, of the worst treatment; of counters the ratio of its rate to the comparison's.",
            labels=_OF_GUARDRAIL,
        )
        bound = GaugeMetricFamily(
            "rampgate_operator_guardrail_bound", "The ends of the interval in which that ratio is.", labels=(*_OF_GUARDRAIL, "end")
        )
        verdict = GaugeMetricFamily("rampgate_operator_guardrail_verdict", "1 for the last verdict.", labels=(*_OF_GUARDRAIL, "verdict"))
        for key, status in self._statuses():
            for guardrail in status.guardrails:
                labels = (*key, guardrail.name)
                verdict.add_metric((*labels, guardrail.verdict.value), 1)
                read = guardrail.ratio if guardrail.value is None else guardrail.value
                if read is not None:
                    value.add_metric(labels, read)
                for end, at in _bounds(guardrail):
                    bound.add_metric((*labels, end), at)
        yield from (value, bound, verdict)


def _closer(status: Status) -> str:
    progressing = status.condition(PROGRESSING)
    return progressing.reason if progressing is not None else ""


def _bounds(guardrail: GuardrailStatus) -> Iterator[tuple[str, float]]:
    if guardrail.interval is not None:
        yield "low", guardrail.interval.low
        if guardrail.interval.high is not None:
            yield "high", guardrail.interval.high
