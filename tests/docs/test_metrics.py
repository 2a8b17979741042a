"""The page on metrics, and for applications that of the SDK, list every metric that there is, with its labels, and no other."""

import re
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate_operator.adapters.metrics import OperatorMeter, StateCollector
from rampgate_operator.core.status import Verdict
from rampgate_operator.ports import Outcome
from rampgate_operator.queue import Queue
from tests.docs.pages import page

NAME = re.compile(r"`(rampgate_[a-z_]+)`")


class Nothing:
    """As much of a reconciler, its rules and its sources as is read, and nothing in any of them."""

    def __init__(self) -> None:
        self.rules = self
        self.experiments = self
        self.watch = self
        self.cache: list[object] = []

    def statuses(self) -> list[object]:
        return []

    def behind(self) -> list[object]:
        return []

    def answered(self) -> dict[object, int]:
        return {}

    def versions(self) -> dict[object, int]:
        return {}


def listed() -> dict[str, set[str]]:
    """Metric to labels, by the pages' tables."""
    found = {}
    for line in (line for name in ("docs/metrics.md", "docs/sdk.md") for line in page(name).text.splitlines()):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `rampgate_") and len(cells) in (2, 3):
            for name in NAME.findall(cells[0]):
                found[name] = set(re.findall(r"`([a-z_]+)`", cells[1]))
    return found


async def test_every_metric_is_on_its_page_with_its_labels_and_no_other() -> None:
    registry = CollectorRegistry()
    OperatorMeter(registry)
    operators = [metric for metric in registry._collector_to_names if isinstance(metric, MetricWrapperBase)]
    metrics = [*operators, *PrometheusMetrics(registry).metrics()]
    families = [(metric.describe()[0], metric) for metric in metrics]
    there = {family.name + ("_total" if family.type == "counter" else ""): set(metric._labelnames) for family, metric in families}
    nothing: Any = Nothing()
    states = StateCollector(nothing, Queue(), nothing, lambda: True).collect()
    there |= {family.name + ("_total" if family.type == "counter" else ""): set(family._labelnames) for family in states}
    assert listed() == there


def test_what_an_alert_waits_for_begins_at_0() -> None:
    """Of a series that is born at 1, `increase` never sees the 1."""
    registry = CollectorRegistry()
    OperatorMeter(registry)
    for outcome in Outcome:
        assert registry.get_sample_value("rampgate_operator_reconcile_seconds_count", {"outcome": outcome.value}) == 0
    for verdict in Verdict:
        assert registry.get_sample_value("rampgate_operator_looks_total", {"verdict": verdict.value}) == 0
