"""What a row of the table is: a sentence, what it changes in a manifest that is accepted, and what must be said about it.

Knows the resource's shape as a user writes it. Must not know who judges the manifest: the models do, and the API server.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REMOVED = object()
"""As a change: the field goes."""
Manifest = dict[str, Any]
Sentence = tuple[str, str]
"""A field's path and what is wrong with it."""

_MINIMAL: Manifest = {
    "apiVersion": "rampgate.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "new-checkout"},
    "spec": {
        "owner": "payments@shop.example",
        "variants": [{"name": "control", "value": False}, {"name": "treatment", "value": True}],
        "control": "control",
        "ramp": {"steps": [{"percent": 1, "hold": "10m"}, {"percent": 50, "hold": "1h"}]},
    },
}
_FULL_SPEC: Manifest = {
    "owner": "payments@shop.example",
    "hypothesis": "One-page checkout lifts completed orders without more errors.",
    "attempt": 1,
    "unit": "userId",
    "salt": "shop/new-checkout",
    "hashInput": "UTF8",
    "configMapName": "feature-gates",
    "variants": [{"name": "control", "value": False, "weight": 1}, {"name": "treatment", "value": True, "weight": 1}],
    "control": "control",
    "eligibility": [
        {"attribute": "country", "in": ["US", "CA"]},
        {"attribute": "plan", "notIn": ["trial"]},
        {"attribute": "appVersion", "semver": ">=2.4.0"},
    ],
    "overrides": [{"variant": "treatment", "units": ["qa-1", "qa-2"]}],
    "ramp": {
        "steps": [
            {"percent": 1, "hold": "10m", "minExposures": 500},
            {"percent": 10, "hold": "1h"},
            {"percent": 50, "hold": "4h", "approval": True},
            {"percent": 100, "hold": "24h"},
        ],
        "confirm": {"pods": "95%", "timeout": "5m"},
    },
    "schedule": {
        "notBefore": "2026-12-01T09:00:00Z",
        "deadline": "2026-12-20T00:00:00Z",
        "onDeadline": "Hold",
        "windows": [{"days": ["Mon", "Tue", "Wed", "Thu"], "from": "09:00", "to": "16:00", "timeZone": "Europe/Berlin"}],
    },
    "guardrails": [
        {
            "name": "p99",
            "query": 'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{variant="$variant"}[5m])))',
            "max": 0.8,
            "breaches": {"count": 2, "of": 3},
            "onBreach": "Rollback",
            "onNoData": "Hold",
            "onError": "Hold",
            "source": "default",
        },
        {"name": "orders", "query": "sum(rate(orders_total[5m]))", "min": 0.5, "max": 1000, "onBreach": "Notify"},
        {
            "name": "failed-orders",
            "counters": {"events": 'orders_failed_total{gate="$gate",variant="$variant"}', "total": 'orders_total{variant="$variant"}'},
            "maxIncrease": "5%",
        },
        {"name": "errors", "errorRate": {"per": "Unit"}, "maxIncrease": "10%", "max": 0.05, "onInconclusive": "Hold"},
        {"name": "slow", "slowerThan": "300ms", "maxIncrease": "20%"},
        {"name": "durations", "latency": {"buckets": ["100ms", "300ms", "1s"]}, "maxIncrease": "20%"},
    ],
    "analysis": {"falseRollbackRate": "5%"},
    "interval": "30s",
    "approved": {"attempt": 1, "upTo": 10},
    "paused": False,
    "killed": False,
    "ship": {"attempt": 1, "variant": "treatment"},
}


@dataclass(frozen=True)
class Row:
    """A manifest and its verdict: `refused` names each problem, and is empty when the manifest is accepted."""

    sentence: str
    changes: Mapping[str, Any]
    refused: tuple[Sentence, ...] = ()
    also: tuple[Sentence, ...] = ()
    """What the API server adds, because it goes on to the next rule or level where the models stop."""

    @property
    def manifest(self) -> Manifest:
        """The changed manifest."""
        return changed(full_manifest(), self.changes)


@dataclass(frozen=True)
class UpdateRow:
    """An edit of an Experiment in some phase (None: it has no status yet; its attempt in status is 1)."""

    sentence: str
    phase: str | None
    changes: Mapping[str, Any]
    refused: tuple[Sentence, ...] = ()
    draw_digest: str = ""

    @property
    def before(self) -> Manifest:
        """The Experiment with its status."""
        status = {"phase": self.phase, "attempt": 1, "attemptStartedAt": "2026-12-01T09:00:00Z", "drawDigest": self.draw_digest}
        return full_manifest() if self.phase is None else full_manifest() | {"status": status}

    @property
    def after(self) -> Manifest:
        """The edited manifest."""
        return changed(full_manifest(), self.changes)


def minimal_manifest() -> Manifest:
    """Only what is required."""
    return copy.deepcopy(_MINIMAL)


def full_manifest() -> Manifest:
    """Every field of the spec."""
    return copy.deepcopy(_MINIMAL | {"spec": _FULL_SPEC})


def changed(manifest: Manifest, changes: Mapping[str, Any]) -> Manifest:
    """Set fields by their path, such as `spec.ramp.steps[0].percent`; `REMOVED` takes one away."""
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
        place: Any = manifest
        for part in parents:
            place = place[part]
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    return manifest
