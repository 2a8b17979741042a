"""The same gate in each system: `country in {US, CA} and plan == pro`, 30 % of those on.

Knows how each library is asked. Each subject is a function that sets its library up, offline, and returns `(unit, context) -> is on`.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Evaluate = Callable[[str, Mapping[str, Any]], bool]
GATE = "new-checkout"
PERCENT = 30


def inline() -> Evaluate:
    """What somebody would write by hand for this one gate: the floor."""
    from mmh3 import mmh3_32_uintdigest

    countries, bound = frozenset(("US", "CA")), PERCENT * 100

    def evaluate(unit: str, context: Mapping[str, Any]) -> bool:
        if context.get("country") not in countries or context.get("plan") != "pro":
            return False
        return mmh3_32_uintdigest(b"new-checkout:" + unit.encode()) * 10_000 >> 32 < bound

    return evaluate


def entry(gate: str = GATE, *, generation: int = 1, percent: float = PERCENT) -> dict[str, Any]:
    """The gate as the operator renders it."""
    return {
        "format": 1,
        "gate": gate,
        "generation": generation,
        "attempt": 1,
        "percent": percent,
        "salt": gate,
        "unit": "targetingKey",
        "hashInput": "UTF8",
        "control": {"name": "off", "value": False},
        "variants": [{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True, "weight": 1}],
        "eligibility": [{"attribute": "country", "in": ["US", "CA"]}, {"attribute": "plan", "equals": "pro"}],
    }


def rampgate() -> Evaluate:
    """Rampgate, nobody listening."""
    from rampgate import Gates

    value = Gates.from_rules({GATE: entry()}).value
    return lambda _unit, context: value(GATE, context, default=False) is True


def rampgate_counted() -> Evaluate:
    """Rampgate, exposures and first exposures counted for Prometheus: what a pod runs."""
    from prometheus_client import CollectorRegistry

    from rampgate import Gates
    from rampgate.integrations.prometheus import PrometheusMetrics

    value = Gates.from_rules({GATE: entry()}, metrics=PrometheusMetrics(CollectorRegistry())).value
    return lambda _unit, context: value(GATE, context, default=False) is True


def rampgate_new_units() -> Evaluate:
    """Rampgate, counted, when every evaluation is a unit's first: nobody is remembered, everybody is drawn, and told."""
    from itertools import count

    from prometheus_client import CollectorRegistry

    from rampgate import Gates
    from rampgate.integrations.prometheus import PrometheusMetrics

    value, numbers = Gates.from_rules({GATE: entry()}, metrics=PrometheusMetrics(CollectorRegistry())).value, count()
    return lambda _unit, context: value(GATE, {**context, "targetingKey": f"new-{next(numbers)}"}, default=False) is True


def rampgate_openfeature() -> Evaluate:
    """Rampgate behind the OpenFeature client."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext

    from rampgate import Gates
    from rampgate.integrations.openfeature import RampgateProvider

    api.set_provider_and_wait(RampgateProvider(Gates.from_rules({GATE: entry()})))
    client = api.get_client()
    return lambda unit, context: client.get_boolean_value(GATE, False, EvaluationContext(unit, dict(context)))


def eppo() -> Evaluate:
    """Eppo's SDK, a Rust core behind PyO3; nothing is logged."""
    import eppo_client

    class Silent(eppo_client.AssignmentLogger):  # type: ignore[misc]
        pass

    def conditions() -> list[dict[str, Any]]:
        return [
            {"attribute": "country", "operator": "ONE_OF", "value": ["US", "CA"]},
            {"attribute": "plan", "operator": "ONE_OF", "value": ["pro"]},
        ]

    shards = [{"salt": GATE, "ranges": [{"start": 0, "end": PERCENT * 100}]}]
    allocation = {
        "key": "a",
        "rules": [{"conditions": conditions()}],
        "splits": [{"variationKey": "on", "shards": shards}],
        "doLog": False,
    }
    flag = {
        "key": GATE,
        "enabled": True,
        "variationType": "BOOLEAN",
        "variations": {"on": {"key": "on", "value": True}, "off": {"key": "off", "value": False}},
        "allocations": [allocation],
        "totalShards": 10_000,
    }
    document = {"createdAt": "2026-01-01T00:00:00Z", "format": "SERVER", "environment": {"name": "bench"}, "flags": {GATE: flag}}
    client = eppo_client.init(
        eppo_client.ClientConfig(
            api_key="none",
            base_url="http://127.0.0.1:9",
            assignment_logger=Silent(),
            poll_interval_seconds=None,
            initial_configuration=eppo_client.Configuration(flags_configuration=json.dumps(document).encode()),
        )
    )
    ask = client.get_boolean_assignment
    return lambda unit, context: ask(GATE, unit, context, False)  # type: ignore[no-any-return]


def flagd() -> Evaluate:
    """OpenFeature's client with flagd's provider, resolving from a file in the process."""
    from openfeature import api
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType
    from openfeature.evaluation_context import EvaluationContext

    both = {"and": [{"in": [{"var": "country"}, ["US", "CA"]]}, {"==": [{"var": "plan"}, "pro"]}]}
    flag = {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "off",
        "targeting": {"if": [both, {"fractional": [["on", PERCENT], ["off", 100 - PERCENT]]}, "off"]},
    }
    file = Path(tempfile.mkdtemp()) / "flags.json"
    file.write_text(json.dumps({"flags": {GATE: flag}}))
    api.set_provider_and_wait(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(file)))
    client = api.get_client()
    time.sleep(1)  # its poller reads the file once more
    return lambda unit, context: client.get_boolean_value(GATE, False, EvaluationContext(unit, dict(context)))


SUBJECTS: Mapping[str, Callable[[], Evaluate]] = {
    "inline": inline,
    "rampgate": rampgate,
    "rampgate_counted": rampgate_counted,
    "rampgate_new_units": rampgate_new_units,
    "rampgate_openfeature": rampgate_openfeature,
    "eppo": eppo,
    "flagd": flagd,
}
