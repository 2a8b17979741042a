"""Exposures, outcomes and rules as Prometheus metrics (extra `prometheus`).

Knows prometheus_client, and the metrics' names and labels, which are fixed: the operator's queries are made of them.
Must not know how decisions are made. The `namespace` label comes from the scrape, never from here.
"""

import atexit
import os
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing import util
from threading import RLock

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

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
        self._passed_on: dict[Exposures | str, int] = {}
        self._known: Mapping[str, Loaded] = {}
        self._lock, self._reading = RLock(), RLock()
        """prometheus_client has locks of its own: who changes a metric holds the first of ours, who reads them all the second, which takes
        long. So no request waits for a scrape, and no fork comes in between either."""
        self._held: tuple[RLock, ...] = ()
        self._is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ  # by files, and nobody asks this process
        registry.register(_Collector(self))
        if self._is_shared:
            atexit.register(self.flush)
            self._flush_at_the_end()
            util.register_after_fork(self, PrometheusMetrics._flush_at_the_end)
        else:
            self._processes.set(1)

    def attached(self, observed: Observed) -> None:
        """Report what can be asked, at every scrape."""
        self._observed = observed

    def counters(self) -> tuple[Counter, ...]:
        """All counters."""
        return self._exposures, self._first_exposures, self._first_errors, self._requests, self._outcomes, self._values, self._dropped

    def metrics(self) -> tuple[Counter | Gauge | Histogram, ...]:
        """All that is exposed."""
        return *self.counters(), self._durations, self._generation, self._age, self._processes

    def flush(self) -> None:
        """Bring the metrics up to what was counted."""
        with self._reading:
            if self._observed is None:
                return
            self._age.set(self._observed.age_seconds())
            for labels, counted in self._observed.exposures().items():
                if new := counted - self._passed_on.get(labels, 0):
                    with self._lock:
                        self._exposures.labels(*labels).inc(new)
                        self._processes.set(1)  # a parent that only forks evaluates nothing
                    self._passed_on[labels] = counted
            for sink, dropped in self._observed.dropped().items():
                known = self._passed_on.get(sink, 0)
                with self._lock:
                    self._dropped.labels(sink).inc(max(dropped - known, 0))  # a counter that went back would break the scrape
                self._passed_on[sink] = max(dropped, known)

    def collect(self) -> list[Metric]:
        """Give all metrics as they are now."""
        with self._reading:
            self.flush()
            return [family for metric in self.metrics() for family in metric.collect()]

    def before_fork(self) -> None:
        """Let nobody touch the metrics while this process forks; waits for a scrape at most a second."""
        self._held = tuple(lock for lock in (self._reading, self._lock) if lock.acquire(timeout=1))

    def after_fork(self) -> None:
        """Go on after a fork."""
        held, self._held = self._held, ()
        for lock in held:
            lock.release()

    def start_in_child(self) -> None:
        """Begin at 0: what the parent counted it reports itself. The series come back with `rules_changed`."""
        if len(self._held) < 2:  # whoever holds the other one is not in this process
            self._lock, self._reading, self._held = RLock(), RLock(), ()
        self._passed_on, self._known = {}, {}
        if not self._is_shared:  # there a child has files of its own
            for metric in (*self.counters(), self._durations):
                metric.clear()
        self.after_fork()

    def _flush_at_the_end(self) -> None:
        """See to it that what a process of multiprocessing counted last is not lost: it ends without atexit."""
        util.Finalize(None, self.flush, exitpriority=0)

    def rules_changed(self, gates: Mapping[str, Loaded]) -> None:
        """Report the generations in force, and create the series of everything that can be drawn."""
        for gone in self._known.keys() - gates.keys() if not self._is_shared else ():  # what is in a file stays there
            with self._lock:
                self._generation.remove(gone)
        for gate, loaded in gates.items():
            last = self._known.get(gate)
            with self._lock:
                if last is None or last.generation != loaded.generation:
                    self._generation.labels(gate).set(_as_float(loaded.generation))
                for label in loaded.labels if last is None or last.labels != loaded.labels else ():
                    self._create(gate, label)
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


def _as_float(generation: int) -> float:
    """Give a generation as a float; NaN if none holds it, for an entry may say any whole number."""
    try:
        return float(generation)
    except OverflowError:
        return float("nan")


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
