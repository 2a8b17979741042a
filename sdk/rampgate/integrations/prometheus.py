"""Exposures, outcomes and rules as Prometheus metrics (extra `prometheus`).

Knows prometheus_client, and the metrics' names and labels, which are fixed: the operator's queries are made of them.
Must not know how decisions are made. The `namespace` label comes from the scrape, never from here.
"""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from rampgate.decision import Decision, Label, Reason
from rampgate.evaluate import CompiledGate
from rampgate.rules import is_unicode

OTHER_GATE = "_other"
"""Label of gates that no rules know, after the first `KNOWN_STRANGERS`: a caller's free text must not become series without end."""

KNOWN_STRANGERS = 100
_OUTCOMES = ("ok", "error")


class PrometheusMetrics:
    """An observer for one `Gates`: `Gates.from_…(…, metrics=PrometheusMetrics())`.

    `buckets` are the bounds of the duration histogram in seconds; a guardrail `slowerThan` needs its limit among them.
    Series of every arm and of the baseline exist at 0 as soon as rules are loaded, so that Prometheus sees the first increments.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS) -> None:
        gate, variant = "gate", "variant"
        self._exposures = Counter("rampgate_exposures", "Evaluations, by what they decided.", (gate, variant, "reason"), registry=registry)
        self._first_exposures = Counter(
            "rampgate_first_exposures", "Units exposed: each once per process, attempt and percentage.", (gate, variant), registry=registry
        )
        self._first_errors = Counter(
            "rampgate_first_errors",
            "Units that met an error: each once per process, attempt and percentage.",
            (gate, variant),
            registry=registry,
        )
        self._requests = Counter("rampgate_requests", "Measured requests, by outcome.", (gate, variant, "outcome"), registry=registry)
        self._durations = Histogram(
            "rampgate_request_duration_seconds", "Duration of measured requests.", (gate, variant), registry=registry, buckets=buckets
        )
        self._generation = Gauge(
            "rampgate_rules_generation", "Generation of the rules in force.", (gate,), registry=registry, multiprocess_mode="livemin"
        )
        self._age = Gauge(
            "rampgate_rules_age_seconds",
            "Seconds since the source last confirmed the rules.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        Gauge("rampgate_processes", "Processes that evaluate gates.", registry=registry, multiprocess_mode="livesum").set(1)
        self._gates: set[str] = set()
        self._strangers: set[str] = set()

    def attached(self, age_seconds: Callable[[], float]) -> None:
        """Report this age at every scrape."""
        self._age.set_function(age_seconds)

    def rules_changed(self, gates: Mapping[str, CompiledGate]) -> None:
        """Report the generations in force, and create the series of everything that can be drawn."""
        for gone in self._gates - gates.keys():
            self._generation.remove(gone)
        for gate, compiled in gates.items():
            self._generation.labels(gate).set(compiled.error.generation)
            for label in compiled.labels:
                self._create(gate, label)
        self._gates = set(gates)

    def exposed(self, decision: Decision, *, unit: str, is_first: bool) -> None:  # noqa: ARG002 - who it was is nobody's label
        """Count an evaluation."""
        gate = self._label(decision.gate)
        self._exposures.labels(gate, decision.label, decision.reason).inc()
        if is_first:
            self._first_exposures.labels(gate, decision.label).inc()

    def finished(self, decision: Decision, *, seconds: float, failed: bool, is_first_failure: bool) -> None:
        """Count a measured request."""
        gate = self._label(decision.gate)
        self._requests.labels(gate, decision.label, _OUTCOMES[failed]).inc()
        self._durations.labels(gate, decision.label).observe(seconds)
        if is_first_failure:
            self._first_errors.labels(gate, decision.label).inc()

    def _create(self, gate: str, label: str) -> None:
        self._exposures.labels(gate, label, Reason.NOT_ENROLLED if label == Label.BASELINE else Reason.ENROLLED)
        for metric in (self._first_exposures, self._first_errors, self._durations):
            metric.labels(gate, label)
        for outcome in _OUTCOMES:
            self._requests.labels(gate, label, outcome)

    def _label(self, gate: str) -> str:
        if not isinstance(gate, str) or not is_unicode(gate):
            return OTHER_GATE
        if gate in self._gates or gate in self._strangers:
            return gate
        if len(self._strangers) >= KNOWN_STRANGERS:
            return OTHER_GATE
        self._strangers.add(gate)
        return gate
