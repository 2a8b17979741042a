"""reconcile: what one decision needs beyond the pure core, in memory: neighbours' accepted specs, names that are taken, refusals told."""

import asyncio
from collections.abc import Collection, Hashable, Mapping
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rampgate_operator.adapters.metrics import OperatorMeter
from rampgate_operator.cache import key_of
from rampgate_operator.core.looks import Answer, Exposed, Increases, Kind, LookRequest, NoData, Value
from rampgate_operator.core.observation import RULES_LABEL
from rampgate_operator.core.promql import LOOKBACK
from rampgate_operator.core.revision import EXPERIMENT_LABEL
from rampgate_operator.ports import Body, ClusterError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler
from tests.core.story import NOON
from tests.simulation.memory import MemoryCluster

SPEC: dict[str, Any] = {
    "owner": "payments",
    "variants": [{"name": "control", "value": False}, {"name": "treatment", "value": True}],
    "control": "control",
    "ramp": {"steps": [{"percent": 50, "hold": "1h"}]},
}
BROKEN = {**SPEC, "schedule": {"windows": [{"days": ["Mon"], "from": "09:00", "to": "16:00", "timeZone": "Nowhere/Atall"}]}}
ONE, OTHER, RULES = Key("shop", "one"), Key("shop", "other"), Key("shop", "feature-gates")


class Still:
    """A clock that is turned by hand, and sources that have nothing."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> Any:
        return self.time

    def lookbacks(self) -> dict[str, timedelta]:
        return {"default": LOOKBACK}

    async def answer(self, requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        return {request.key: NoData("no series") for request in requests}


class Even(Still):
    """Sources that count the same everywhere; it is noted when windows of the guardrail's were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    async def answer(self, requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        self.asked += [(self.time - NOON).total_seconds() for request in requests if request.key == ("errors", "events")]
        return {request.key: self._count(request) for request in requests}

    def _count(self, request: LookRequest) -> Answer:
        windows = ({"control": 1000.0, "treatment": 1000.0, "baseline": 2000.0},) * (len(request.edges) - 1)
        return Exposed(windows, (True,) * len(windows), 1) if request.kind is Kind.EXPOSURES else Increases(windows)


class Harmful(Still):
    """Sources that see harm whenever they are asked."""

    async def answer(self, requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        return {request.key: Value(2.0) for request in requests}


@pytest.fixture
def still() -> Still:
    return Still()


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


def process(cluster: MemoryCluster, still: Still) -> Reconciler:
    """A new process of the operator, which has listed everything."""
    meter = OperatorMeter(CollectorRegistry())
    made = Reconciler(cluster=cluster, metrics=still, clock=still, queue=Queue(), meter=meter)  # type: ignore[arg-type]
    for body in cluster.experiments.values():
        made.experiments.see(body)
    for body in cluster.config_maps.values():
        made.rules.take_in(body)
    return made


async def test_a_config_map_comes_back_with_a_neighbour_whose_newest_spec_cannot_be_run(cluster: MemoryCluster, still: Still) -> None:
    """Also right after a restart, when nobody has looked yet for what was accepted before."""
    for key in (ONE, OTHER):
        cluster.apply(key, SPEC)
        await process(cluster, still).reconcile(key)
    cluster.apply(OTHER, BROKEN)
    cluster.delete_config_map(RULES)
    await process(cluster, still).reconcile(ONE)
    assert {"one.json", "other.json"} < cluster.config_maps[RULES]["data"].keys()


async def test_a_revisions_name_that_somebody_else_has_is_passed_over(cluster: MemoryCluster, still: Still) -> None:
    cluster.apply(ONE, SPEC)
    operator = process(cluster, still)
    await operator.reconcile(ONE)
    metadata = {"namespace": "shop", "name": "one-2", "labels": {EXPERIMENT_LABEL: "a Deployment's"}}
    cluster.revisions[Key("shop", "one-2")] = {"metadata": metadata, "revision": 2, "data": {}}
    cluster.apply(ONE, {**SPEC, "owner": "others"})
    await process(cluster, still).reconcile(ONE)
    assert cluster.revisions[Key("shop", "one-3")]["data"]["owner"] == "others"
    assert cluster.experiments[ONE]["status"]["observedGeneration"] == 2


async def test_why_an_entry_cannot_be_written_is_said_in_the_condition(
    cluster: MemoryCluster, still: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.apply(ONE, SPEC)
    operator = process(cluster, still)
    await operator.reconcile(ONE)

    async def refuse(config_map: Body, *, key: str, new: str | None) -> Body:
        raise ClusterError("the API server refuses the change: not on a Friday")

    monkeypatch.setattr(cluster, "swap", refuse)
    cluster.apply(ONE, {**SPEC, "killed": True})
    for _ in range(3):
        operator.experiments.see(cluster.experiments[ONE])
        with pytest.raises(ClusterError):
            await operator.reconcile(ONE)
        still.time += timedelta(seconds=11)
    [rendered] = [each for each in cluster.experiments[ONE]["status"]["conditions"] if each["type"] == "RulesRendered"]
    assert rendered["reason"] == "RulesBehind"
    assert "not on a Friday. Pods still obey" in rendered["message"]
    monkeypatch.undo()
    await operator.reconcile(ONE)
    assert RULES_LABEL in cluster.config_maps[RULES]["metadata"]["labels"]
    assert (await operator.rules.see(RULES, "one")).refusal == ""
    assert key_of(cluster.experiments[ONE]) == ONE


@pytest.mark.parametrize("refused", ["feature-gates", "copy"], ids=["its own", "another one that has its key"])
async def test_a_config_map_that_cannot_be_written_keeps_no_breach_from_being_seen(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    still = Harmful()
    cluster.apply(ONE, SPEC)
    operator = process(cluster, still)
    for _ in range(2):
        await operator.reconcile(ONE)
    assert cluster.experiments[ONE]["status"]["percent"] == 50
    still.time += timedelta(minutes=10)  # a reading reaches back
    operator.rules.take_in(cluster.put_config_map(Key("shop", "copy"), dict(cluster.config_maps[RULES]["data"])))
    swap = cluster.swap

    async def refuse(config_map: Body, *, key: str, new: str | None) -> Body:
        if config_map["metadata"]["name"] == refused:
            raise ClusterError("the API server refuses the change: not on a Friday")
        return await swap(config_map, key=key, new=new)

    monkeypatch.setattr(cluster, "swap", refuse)
    edited = {"guardrails": [{"name": "errors", "query": "errors", "max": 1}], "overrides": [{"variant": "treatment", "units": ["qa"]}]}
    cluster.apply(ONE, {**SPEC, **edited})
    for _ in range(2):
        operator.experiments.see(cluster.experiments[ONE])
        with pytest.raises(ClusterError):
            await operator.reconcile(ONE)
        await asyncio.sleep(0.01)  # the answer comes in
    assert cluster.experiments[ONE]["status"]["phase"] == "RolledBack"
    assert ('"serve":"ROLLED_BACK"' in cluster.config_maps[RULES]["data"]["one.json"]) == (refused == "copy")


async def test_metrics_tell_of_a_kill_that_cannot_be_written(cluster: MemoryCluster, still: Still, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of a process that knew no better time: an alert goes by them."""
    cluster.apply(ONE, SPEC)
    operator = process(cluster, still)
    for _ in range(2):
        await operator.reconcile(ONE)

    async def refuse(config_map: Body, *, key: str, new: str | None) -> Body:
        raise ClusterError("the API server refuses the change: not on a Friday")

    monkeypatch.setattr(cluster, "swap", refuse)
    cluster.apply(ONE, {**SPEC, "killed": True})
    for each in (operator, process(cluster, still)):
        for _ in range(2):
            each.experiments.see(cluster.experiments[ONE])
            with pytest.raises(ClusterError):
                await each.reconcile(ONE)
        [(key, status)] = each.statuses()
        assert (key, status.phase, status.percent, status.waiting_for) == (ONE, "Killed", 0, "Rules")


@pytest.mark.parametrize("refused", ["write_status", "get_config_map"])
async def test_a_step_that_cannot_be_taken_keeps_nobody_from_looking(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """Nothing happens on the step that was not taken: what is asked for is what happens on the one that is served."""
    still = Even()
    steps = [{"percent": 50, "hold": "1m"}, {"percent": 60, "hold": "1h"}]
    guardrail = {"name": "errors", "errorRate": {"per": "Request"}, "maxIncrease": "50%"}
    cluster.apply(ONE, {**SPEC, "ramp": {"steps": steps}, "guardrails": [guardrail]})
    operator, does = process(cluster, still), getattr(cluster, refused)

    async def refuse(*arguments: Any) -> Any:
        if still.time > NOON + timedelta(minutes=1):
            raise ClusterError("the API server refuses the change: not on a Friday")
        return await does(*arguments)

    monkeypatch.setattr(cluster, refused, refuse)
    refusals = 0
    for _ in range(22):
        operator.experiments.see(cluster.experiments[ONE])
        try:
            await operator.reconcile(ONE)
        except ClusterError:
            refusals += 1
        await asyncio.sleep(0.005)  # the answers come in
        still.time += timedelta(seconds=10)
    assert cluster.experiments[ONE]["status"]["percent"] == 50
    assert refusals > 10
    assert [later - earlier for earlier, later in pairwise(still.asked[1:])] == [30] * 5


async def test_no_later_reading_takes_back_an_end_that_is_yet_to_be_written(
    cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Harmful()
    cluster.apply(ONE, {**SPEC, "guardrails": [{"name": "errors", "query": "errors", "max": 3}]})
    operator, looks = process(cluster, still), 0
    for _ in range(3):
        await operator.reconcile(ONE)
        await asyncio.sleep(0.005)
    assert cluster.experiments[ONE]["status"]["percent"] == 50

    async def answer(requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        nonlocal looks
        looks += 1
        return {request.key: Value(9.0 if looks == 1 else 0.0) for request in requests}

    async def refuse(*_: object) -> Body:
        raise ClusterError("the API server is away")

    monkeypatch.setattr(still, "answer", answer)
    latch = cluster.latch
    monkeypatch.setattr(cluster, "latch", refuse)
    for _ in range(6):
        still.time += timedelta(minutes=10)
        with suppress(ClusterError):
            await operator.reconcile(ONE)
        await asyncio.sleep(0.005)
    monkeypatch.setattr(cluster, "latch", latch)
    await operator.reconcile(ONE)
    assert cluster.experiments[ONE]["status"]["phase"] == "RolledBack"
