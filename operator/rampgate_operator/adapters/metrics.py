"""The operator's own metrics, by prometheus_client; names by Prometheus' conventions.

Knows metric names and labels. What is happened is counted as it is told; what is, is read when Prometheus asks, so that no series outlives
its Experiment. Must not know HTTP, nor why anything was decided.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rampgate_operator.adapters.experiment_metrics import OF_EXPERIMENT, ExperimentCollector
from rampgate_operator.core.conditions import RESULTS_VALID
from rampgate_operator.core.observation import kill_key
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import Status, Verdict
from rampgate_operator.ports import Key, Metrics, Nudged, Outcome, Patched
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler
from rampgate_operator.rules import gates_in

_CONVERGENCE = (1, 2.5, 5, 10, 20, 30, 60, 90, 120, 300, 600)


class OperatorMeter:
    """Counts what happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._looks = Counter("rampgate_operator_looks", "Looks at guardrails, by verdict.", ("verdict",), registry=registry)
        self._transitions = Counter(
            "rampgate_operator_transitions", "Changes of phase or percentage, by reason.", ("reason",), registry=registry
        )
        self._reconciles = Histogram("rampgate_operator_reconcile_seconds", "Duration of a reconcile.", ("outcome",), registry=registry)
        self._lateness = Histogram(
            "rampgate_operator_step_lateness_seconds",
            "How long after it was due a step was taken, where time was the last thing to wait for.",
            registry=registry,
        )
        self._nudges = Counter("rampgate_operator_nudges", "Rounds of telling a ConfigMap's pods.", ("outcome",), registry=registry)
        self._patches = Counter("rampgate_operator_nudge_patches", "Pods that were told of a change.", ("outcome",), registry=registry)
        self._nudge_seconds = Histogram(
            "rampgate_operator_nudge_seconds", "From a change of a ConfigMap until the last of its pods was told.", registry=registry
        )
        self._convergence = Histogram(
            "rampgate_operator_convergence_seconds",
            "From when rules were decided until enough pods were seen to run them.",
            buckets=_CONVERGENCE,
            registry=registry,
        )
        # each begins at 0: of a series that is born at 1, `increase` would never see the 1
        for verdict in Verdict:
            self._looks.labels(verdict.value)
        for outcome in Outcome:
            self._reconciles.labels(outcome.value)
        for nudged in Nudged:
            self._nudges.labels(nudged.value)
        for patched in Patched:
            self._patches.labels(patched.value)

    def decided(self, before: Status | None, after: Status, now: datetime, *, due: datetime | None) -> None:
        """Count new looks, rules that pods have come to run, the transition, and how late a due step was taken."""
        known = {guardrail.name: guardrail.looked_at for guardrail in before.guardrails} if before else {}
        for guardrail in after.guardrails:
            if known.get(guardrail.name) != guardrail.looked_at:
                self._looks.labels(guardrail.verdict.value).inc()
        rules = after.rules
        if rules is not None and rules.converged_at is not None and not _has_converged(before):
            self._convergence.observe((rules.converged_at - rules.rendered_at).total_seconds())
        newest = after.history[-1] if after.history else None
        if newest is None or (before and before.history and before.history[-1] == newest):
            return
        self._transitions.labels(newest.reason).inc()
        if newest.reason == Reason.STEPPED and due is not None and due <= now:
            self._lateness.observe((now - due).total_seconds())

    def reconciled(self, seconds: float, outcome: Outcome) -> None:
        """Count one reconcile."""
        self._reconciles.labels(outcome.value).observe(seconds)

    def nudged(self, outcome: Nudged, patches: Mapping[Patched, int], *, seconds: float) -> None:
        """Count one round of telling pods; the time only if there were some, and all were told."""
        self._nudges.labels(outcome.value).inc()
        for patched, count in patches.items():
            self._patches.labels(patched.value).inc(count)
        if outcome is Nudged.OK and patches.get(Patched.OK):
            self._nudge_seconds.observe(seconds)


class StateCollector(Collector):
    """Reads how things are, at each scrape."""

    def __init__(self, reconciler: Reconciler, queue: Queue[Key], metrics: Metrics, is_leading: Callable[[], bool]) -> None:
        self._reconciler, self._queue, self._metrics, self._is_leading = reconciler, queue, metrics, is_leading

    def collect(self) -> Iterator[Metric]:
        """Give everything that is a state."""
        yield GaugeMetricFamily("rampgate_operator_leader", "Whether this replica leads.", value=float(self._is_leading()))
        yield GaugeMetricFamily("rampgate_operator_queue_depth", "Experiments that are due and wait.", value=self._queue.ready)
        yield GaugeMetricFamily(
            "rampgate_operator_queue_oldest_seconds", "How long the oldest of these has waited.", value=self._queue.longest_wait
        )
        behind = max((seconds for _, seconds in self._reconciler.watch.behind()), default=0.0)
        yield GaugeMetricFamily("rampgate_operator_watch_behind_seconds", "How long the watch has owed what is there.", value=behind)
        yield from self._experiments()
        yield from ExperimentCollector(self._reconciler.statuses).collect()
        yield from self._rules()
        yield from self._sources()

    def _experiments(self) -> Iterator[GaugeMetricFamily]:
        percent = GaugeMetricFamily("rampgate_operator_experiment_percent", "Percentage that is served.", labels=(*OF_EXPERIMENT, "phase"))
        generation = GaugeMetricFamily("rampgate_operator_rules_generation", "Generation that pods should run.", labels=OF_EXPERIMENT)
        valid = GaugeMetricFamily(
            "rampgate_operator_results_valid",
            "Whether first exposures fall to the arms as they are drawn; absent while that is not known.",
            labels=OF_EXPERIMENT,
        )
        for key, status in self._reconciler.statuses():
            percent.add_metric((*key, status.phase.value), status.percent)
            if status.rules is not None:
                generation.add_metric(key, status.rules.generation)
            judged = status.condition(RESULTS_VALID)
            if judged is not None and judged.status != "Unknown":
                valid.add_metric(key, float(judged.status == "True"))
        yield from (percent, generation, valid)

    def _rules(self) -> Iterator[GaugeMetricFamily]:
        labels = ("namespace", "config_map")
        size = GaugeMetricFamily("rampgate_operator_rules_bytes", "Size of a ConfigMap's keys; at most 900 KiB are written.", labels=labels)
        broken = GaugeMetricFamily("rampgate_operator_break_glass", "Gates that a ConfigMap's key kill names, * as one.", labels=labels)
        left = GaugeMetricFamily("rampgate_operator_entries_left", "Entries whose Experiment is gone, kept until a person removes them.")
        orphans, known = 0, self._reconciler.experiments.versions()
        for body in self._reconciler.rules.cache:
            place = body["metadata"]["namespace"], body["metadata"]["name"]
            size.add_metric(place, sum(len(key) + len(value.encode()) for key, value in (body.get("data") or {}).items()))
            broken.add_metric(place, len(kill_key(body).replace(",", " ").split()))
            orphans += sum(Key(place[0], gate) not in known for gate in gates_in(body))
        left.add_metric((), orphans)
        yield from (size, broken, left)

    def _sources(self) -> Iterator[CounterMetricFamily]:
        answers = CounterMetricFamily("rampgate_operator_answers", "What came of questions to sources.", labels=("source", "outcome"))
        for labels, count in self._metrics.answered().items():
            answers.add_metric(labels, count)
        yield answers


def _has_converged(status: Status | None) -> bool:
    return status is not None and status.rules is not None and status.rules.converged_at is not None
