"""Exposures, outcomes and rules as Prometheus metrics (extra `prometheus`).

Knows prometheus_client, and the metrics' names and labels, which are fixed: the operator's queries are made of them.
Must not know how decisions are made. The `namespace` label comes from the scrape, never from here.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import RLock
from weakref import WeakSet

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from rampgate.breath import Breather
from rampgate.decision import Decision, Label, Reason
from rampgate.exposure import Exposures, Observed, Observer
from rampgate.snapshot import Loaded

_OUTCOMES = ("ok", "error")


class PrometheusMetrics(Observer):
    """An observer for one `Gates`: `Gates.from_…(…, metrics=PrometheusMetrics())`.

    `buckets` are the bounds of the duration histogram in seconds; a guardrail `slowerThan` needs its limit among them.
    Series of every arm and of the baseline exist at 0 as soon as rules are loaded, so that Prometheus sees the first increments.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS) -> None:
        gate, variant = "gate", "variant"
        self._exposures = Counter("rampgate_exposures", "Evaluations, by what they decided.", (gate, variant, "reason"), registry=None)
        self._first_exposures = Counter(
            "rampgate_first_exposures", "Units exposed: each once per process, attempt and percentage.", (gate, variant), registry=None
        )
        self._first_errors = Counter(
            "rampgate_first_errors",
            "Units that met an error: each once per process, attempt and percentage.",
            (gate, variant),
            registry=None,
        )
        self._requests = Counter("rampgate_requests", "Measured requests, by outcome.", (gate, variant, "outcome"), registry=None)
        self._durations = Histogram(
            "rampgate_request_duration_seconds", "Duration of measured requests.", (gate, variant), registry=None, buckets=buckets
        )
        outcome = (gate, variant, "outcome")
        self._outcomes = Counter("rampgate_outcome_events", "Outcomes that measured requests recorded.", outcome, registry=None)
        self._values = Counter("rampgate_outcome_value", "Sum of the values of recorded outcomes.", outcome, registry=None)
        self._dropped = Counter(
            "rampgate_dropped_exposures", "First exposures that a sink did not pass on, and never will.", ("sink",), registry=None
        )
        self._generation = Gauge(
            "rampgate_rules_generation", "Generation of the rules in force.", (gate,), registry=None, multiprocess_mode="livemin"
        )
        self._age = Gauge(
            "rampgate_rules_age_seconds", "Seconds since the source last confirmed the rules.", registry=None, multiprocess_mode="livemax"
        )
        self._processes = Gauge("rampgate_processes", "Processes that evaluate gates.", registry=None, multiprocess_mode="livesum")
        self._observed: Observed | None = None
        self._is_held = False
        self._passed_on: dict[Exposures | str, int] = {}
        self._is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self._lock = RLock()
        """prometheus_client has locks of its own: whoever holds one of them holds this one too, so that no fork comes in between."""
        self._known: Mapping[str, Loaded] = {}
        registry.register(_Collector(self))
        if self._is_shared:  # by files, and nobody asks this process
            atexit.register(self.flush)
        else:
            self._processes.set(1)
        _ALL.add(self)

    def attached(self, observed: Observed) -> None:
        """Report what can be asked, at every scrape."""
        self._observed = observed

    def metrics(self) -> tuple[Counter | Gauge | Histogram, ...]:
        """All that is exposed."""
        counters = self._exposures, self._first_exposures, self._first_errors, self._requests, self._outcomes, self._values, self._dropped
        return *counters, self._durations, self._generation, self._age, self._processes

    def flush(self) -> None:
        """Bring the metrics up to what was counted."""
        with self._lock:
            if self._observed is None:
                return
            self._age.set(self._observed.age_seconds())
            for labels, counted in self._observed.exposures().items():
                if new := counted - self._passed_on.get(labels, 0):
                    self._exposures.labels(*labels).inc(new)
                    self._passed_on[labels] = counted
                    self._processes.set(1)  # a parent that only forks evaluates nothing
            for sink, dropped in self._observed.dropped().items():
                self._dropped.labels(sink).inc(dropped - self._passed_on.get(sink, 0))
                self._passed_on[sink] = dropped

    def collect(self) -> list[Metric]:
        """Give all metrics as they are now."""
        with self._lock:
            self.flush()
            return [family for metric in self.metrics() for family in metric.collect()]

    def hold(self) -> None:
        """Let nobody touch the metrics while this process forks; not for longer than a second."""
        self._is_held = self._lock.acquire(timeout=1)

    def let_go(self) -> None:
        """Go on after a fork."""
        if self._is_held:
            self._lock.release()

    def go_on_in_child(self) -> None:
        """Begin anew after a fork: what the parent counted it reports itself, and in files of its own all gauges stand at 0."""
        if not self._is_held:  # whoever held it is not in this process
            self._lock = RLock()
        self._passed_on = {}
        for gate, loaded in self._known.items():
            self._generation.labels(gate).set(loaded.generation)
        self.let_go()

    def rules_changed(self, gates: Mapping[str, Loaded]) -> None:
        """Report the generations in force, and create the series of everything that can be drawn."""
        breathe = Breather()
        for gone in self._known.keys() - gates.keys():
            with self._lock:
                self._generation.remove(gone)
        for gate, loaded in gates.items():
            last = self._known.get(gate)
            with self._lock:
                if last is None or last.generation != loaded.generation:
                    self._generation.labels(gate).set(loaded.generation)
                for label in loaded.labels if last is None or last.labels != loaded.labels else ():
                    self._create(gate, label)
            breathe()
        self._known = gates

    def first_exposed(self, decision: Decision, *, unit: str) -> None:  # noqa: ARG002 - who it was is nobody's label
        """Count a unit."""
        with self._lock:
            self._first_exposures.labels(decision.gate, decision.label).inc()

    def finished(self, decision: Decision, *, seconds: float, failed: bool, is_first_failure: bool) -> None:
        """Count a measured request."""
        gate, label = decision.gate, decision.label
        with self._lock:
            self._requests.labels(gate, label, _OUTCOMES[failed]).inc()
            self._durations.labels(gate, label).observe(seconds)
            if is_first_failure:
                self._first_errors.labels(gate, label).inc()

    def recorded(self, decision: Decision, *, outcome: str, value: float) -> None:
        """Count an outcome."""
        labels = decision.gate, decision.label, outcome
        with self._lock:
            self._outcomes.labels(*labels).inc()
            self._values.labels(*labels).inc(value)

    def _create(self, gate: str, label: str) -> None:
        self._exposures.labels(gate, label, Reason.NOT_ENROLLED if label == Label.BASELINE else Reason.ENROLLED)
        for metric in (self._first_exposures, self._first_errors, self._durations):
            metric.labels(gate, label)
        for outcome in _OUTCOMES:
            self._requests.labels(gate, label, outcome)


class _Collector(Collector):
    """What a registry asks: brings the counts up to date first."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a registry refuses a second set of them and can be asked for some."""
        return [family for metric in self._metrics.metrics() for family in metric.describe()]

    def collect(self) -> Iterable[Metric]:
        """Give the metrics as they are now."""
        return self._metrics.collect()


_ALL: WeakSet[PrometheusMetrics] = WeakSet()


def _each(do: Callable[[PrometheusMetrics], None]) -> Callable[[], None]:
    def do_it() -> None:
        for metrics in tuple(_ALL):
            do(metrics)

    return do_it


if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(
        before=_each(PrometheusMetrics.hold),
        after_in_parent=_each(PrometheusMetrics.let_go),
        after_in_child=_each(PrometheusMetrics.go_on_in_child),
    )
