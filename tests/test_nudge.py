"""nudge: who is told, how often, in which order, and what comes of a right that is missing; in memory, with pods that answer slowly."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rampgate_operator import nudge
from rampgate_operator.adapters.metrics import OperatorMeter
from rampgate_operator.cache import Cache
from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, NudgeRefused
from rampgate_operator.health import WatchProbe
from rampgate_operator.nudge import Nudges
from rampgate_operator.ports import ClusterError, DeniedError, ForbiddenError, Key, Pod
from rampgate_operator.queue import Queue
from rampgate_operator.rules import Rules
from tests.core.story import NOON
from tests.simulation.memory import MemoryCluster

RULES, FLAGD, OTHERS = Key("shop", "feature-gates"), Key("shop", "feature-gates-flagd"), Key("shop", "others")


class SlowCluster(MemoryCluster):
    """Pods that are told only when a test lets it happen, and requests that it counts and may refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.asked: list[tuple[str, str]] = []
        self.under_way = self.most_under_way = 0
        self.refusals: dict[str, ClusterError] = {}
        self.denied: set[str] = set()
        self.slow: set[str] = set()
        """Where some are, `open` is about these alone."""

    async def list_pods(self, config_map: Key) -> list[Pod]:
        self.asked.append(("list", config_map.name))
        self._refuse("list")
        return await super().list_pods(config_map)

    async def nudge_pod(self, pod: Key, version: str) -> bool:
        self.asked.append((pod.name, version))
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            if not self.slow or pod.name in self.slow:
                await self.open.wait()
            await asyncio.sleep(0)
            self._refuse("patch")
            if pod.name in self.denied:
                raise DeniedError(f"policy says no to {pod.name}")
            return await super().nudge_pod(pod, version)
        finally:
            self.under_way -= 1

    def _refuse(self, verb: str) -> None:
        if verb in self.refusals:
            raise self.refusals[verb]

    def rounds(self, config_map: Key = RULES) -> int:
        return self.asked.count(("list", config_map.name))

    def are_told(self, count: int, version: str) -> bool:
        return list(self.pods.values()).count((RULES.name, version)) == count

    def told(self, config_map: Key = RULES) -> set[str]:
        return {told for mounts, told in self.pods.values() if mounts == config_map.name}


class Desk:
    """ConfigMaps, pods and who tells them."""

    def __init__(self) -> None:
        self.cluster, self.queue, self.registry = SlowCluster(), Queue[Key](), CollectorRegistry()
        self.time = NOON
        self.rules, self.experiments = Rules(self.cluster, self.queue, WatchProbe()), Cache()
        self.nudges = Nudges(
            cluster=self.cluster,
            rules=self.rules,
            experiments=self.experiments,
            clock=self,
            queue=self.queue,
            meter=OperatorMeter(self.registry),
        )

    def now(self) -> Any:
        return self.time

    def add_pods(self, count: int, config_map: Key = RULES) -> None:
        for number in range(count):
            self.cluster.pods[Key("shop", f"{config_map.name}-{number}")] = (config_map.name, "")

    def write(self, config_map: Key = RULES, **entries: dict[str, Any]) -> str:
        """Write gates as a person or the operator does, and let the watch tell; give the version."""
        lines = {f"{gate}.json": _line(gate, **fields) for gate, fields in entries.items()}
        body = self.cluster.put_config_map(config_map, {FORMAT_KEY: FORMAT, **lines})
        self.rules.take_in(body)
        return str(body["metadata"]["resourceVersion"])

    def kill(self, config_map: Key = RULES) -> str:
        self.write(config_map, gate={"percent": 10})
        return self.write(config_map, gate={"percent": 0, "serve": "KILLED", "latch": "Kill"})

    def lower(self, config_map: Key = RULES, percent: float = 1) -> str:
        return self.write(config_map, gate={"percent": percent})

    def project(self, **metadata: Any) -> str:
        """Write flagd's document beside RULES."""
        flags = {"gate": {"metadata": metadata}}
        body = self.cluster.put_config_map(FLAGD, {FORMAT_KEY: FLAGD_FORMAT, FLAGD_KEY: json.dumps({"flags": flags})})
        self.rules.take_in(body)
        return str(body["metadata"]["resourceVersion"])

    def count(self, metric: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"rampgate_operator_{metric}", labels)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.nudges.work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def _line(gate: str, **fields: Any) -> str:
    entry = {"format": 1, "gate": gate, "generation": 7, "attempt": 1, "percent": 10, "control": {"name": "off", "value": False}}
    return json.dumps(entry | fields)


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name, value in (("FIRST_RETRY", 0.01), ("RECHECK", 0.02), ("APART", 0.05)):
        monkeypatch.setattr(nudge, name, value)
    return Desk()


async def until(condition: Callable[[], bool], what: str = "it is so") -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # a pod has no event
            await asyncio.sleep(0.001)
    assert condition(), what


async def test_every_pod_is_told_of_a_kill_with_one_list_and_one_patch_each(desk: Desk) -> None:
    desk.add_pods(5)
    desk.add_pods(2, OTHERS)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.told() == {version})
    assert (desk.cluster.rounds(), len(desk.cluster.asked)) == (1, 6)
    assert desk.cluster.told(OTHERS) == {""}
    assert desk.count("nudges_total", outcome="ok") == 1
    assert desk.count("nudge_patches_total", outcome="ok") == 5
    assert desk.count("nudge_seconds_count") == 1


async def test_a_pod_that_knows_is_not_told_again(desk: Desk) -> None:
    desk.add_pods(2)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.told() == {version})
        desk.cluster.pods[Key("shop", "late")] = (RULES.name, "nonsense")
        body = desk.cluster.config_maps[RULES]
        desk.nudges.tell(RULES, {"metadata": {}, "data": {FORMAT_KEY: FORMAT, "gate.json": _line("gate")}}, body)
        await until(lambda: desk.cluster.told() == {version})
    assert desk.cluster.asked.count(("feature-gates-0", version)) == 1


async def test_what_only_rises_tells_nobody(desk: Desk) -> None:
    desk.add_pods(1)
    async with desk.at_work():
        desk.write(gate={"percent": 1})
        await until(lambda: not desk.nudges._wanted)
        desk.write(gate={"percent": 10})
        assert not desk.nudges._wanted
        version = desk.lower()
        await until(lambda: desk.cluster.told() == {version})


async def test_a_step_that_waits_for_pods_is_told(desk: Desk) -> None:
    desk.add_pods(1)
    spec = {"ramp": {"steps": [], "confirm": {"pods": "95%"}}}
    desk.experiments.see(desk.cluster.apply(Key("shop", "gate"), spec))
    async with desk.at_work():
        desk.write(gate={"percent": 1})
        version = desk.write(gate={"percent": 10})
        await until(lambda: desk.cluster.told() == {version})


async def test_a_newer_version_takes_the_place_of_the_one_under_way(desk: Desk) -> None:
    desk.add_pods(40)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower(percent=10)
        await until(lambda: desk.cluster.under_way > 0)
        for percent in range(9, 1, -1):
            version = desk.lower(percent=percent)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})
        await until(lambda: desk.cluster.rounds() == 2)
    assert len(desk.cluster.asked) <= 2 + 40 + nudge.AT_ONCE[nudge.Urgency.SOON], "only those that were under way are told twice"


async def test_many_changes_at_once_make_few_rounds(desk: Desk) -> None:
    desk.add_pods(3)
    async with desk.at_work():
        gates = {f"gate-{number}": {"percent": 10} for number in range(50)}
        desk.write(**gates)
        began = asyncio.get_running_loop().time()
        for gate in gates:
            gates[gate] = {"percent": 0, "serve": "ROLLED_BACK", "latch": "Guardrail"}
            version = desk.write(**gates)
            await asyncio.sleep(0)
        await until(lambda: desk.cluster.told() == {version})
    assert desk.cluster.rounds() <= 2 + (asyncio.get_running_loop().time() - began) / nudge.APART


async def test_another_config_maps_kill_waits_for_no_crowd_and_requests_are_bounded(desk: Desk) -> None:
    desk.add_pods(200)
    desk.add_pods(3, OTHERS)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower()
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        version = desk.kill(OTHERS)
        await until(lambda: sum(pod.startswith("others") for pod, _ in desk.cluster.asked) == 3)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told(OTHERS) == {version})
        await until(lambda: "" not in desk.cluster.told())
    assert desk.cluster.most_under_way <= sum(nudge.AT_ONCE.values())


async def test_two_kills_take_turns(desk: Desk) -> None:
    desk.add_pods(200)
    desk.add_pods(5, OTHERS)
    async with desk.at_work():
        desk.cluster.open.clear()
        crowd = desk.kill()
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.NOW])
        desk.kill(OTHERS)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {crowd})
    asked = [pod for pod, _ in desk.cluster.asked if pod != "list"]
    last_of_the_few = max(index for index, pod in enumerate(asked) if pod.startswith("others"))
    assert last_of_the_few < 60, "five pods are told long before the last of two hundred"


async def test_a_kill_on_the_way_of_an_edit_goes_before_all_that_is_not_urgent(desk: Desk) -> None:
    desk.add_pods(30)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower()
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        version = desk.write(gate={"percent": 0, "serve": "KILLED", "latch": "Kill"})
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})
    assert desk.cluster.most_under_way > nudge.AT_ONCE[nudge.Urgency.SOON]


async def test_a_kill_under_way_stays_urgent_when_something_else_is_edited(desk: Desk) -> None:
    desk.add_pods(40)
    killed, at_once = {"percent": 0, "serve": "KILLED", "latch": "Kill"}, nudge.AT_ONCE[nudge.Urgency.NOW]
    desk.write(gate={"percent": 50}, other={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.write(gate=killed, other={"percent": 50})
        await until(lambda: desk.cluster.under_way == at_once)
        version = desk.write(gate=killed, other={"percent": 10})
        desk.cluster.open.set()
        desk.cluster.open.clear()  # those that were under way are through, and the next ones wait
        await until(lambda: desk.cluster.under_way == at_once and len(desk.cluster.asked) > 2 * at_once)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})


async def test_what_failed_is_tried_again_and_those_that_were_told_are_left_alone(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.add_pods(2)
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
    with caplog.at_level(logging.WARNING):
        async with desk.at_work():
            version = desk.kill()
            await until(lambda: desk.cluster.rounds() == 2)
            desk.cluster.refusals.clear()
            await until(lambda: desk.cluster.told() == {version})
    assert "not all of its pods were told: the API server answered 500" in caplog.text
    assert desk.nudges.refused(RULES) is None


async def test_an_api_server_that_wants_to_be_left_alone_is(desk: Desk) -> None:
    desk.add_pods(100)
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 429", retry_after=30)
    async with desk.at_work():
        desk.kill()
        await until(lambda: (desk.count("nudges_total", outcome="error") or 0) > 0)
        patches = len(desk.cluster.asked) - 1
        assert patches <= 2 * nudge.AT_ONCE[nudge.Urgency.NOW]
        await asyncio.sleep(0.1)  # many times the first retry
    assert len(desk.cluster.asked) == patches + 1


async def test_a_pod_that_vanished_is_no_error(desk: Desk) -> None:
    desk.add_pods(3)
    desk.cluster.open.clear()
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.under_way == 3)
        del desk.cluster.pods[Key("shop", "feature-gates-1")]
        desk.cluster.open.set()
        await until(lambda: desk.count("nudges_total", outcome="ok") == 1)
    assert desk.cluster.told() == {version}
    assert desk.count("nudge_patches_total", outcome="gone") == 1


@pytest.mark.parametrize("verb", ["list", "patch"])
async def test_a_missing_right_is_told_once_and_all_is_well_once_it_is_granted(
    desk: Desk, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk.add_pods(50)
    desk.cluster.refusals[verb] = ForbiddenError("the API server answered 403")
    with caplog.at_level(logging.WARNING):
        async with desk.at_work():
            version = desk.kill()
            await until(lambda: desk.cluster.rounds() >= 4)
            assert desk.nudges.refused(RULES) == NudgeRefused(config_map="feature-gates", verb=verb)
            assert len(desk.cluster.asked) < 4 * 20, "not every pod is tried each time"
            desk.cluster.refusals.clear()
            await until(lambda: desk.cluster.told() == {version})
            await until(lambda: desk.nudges.refused(RULES) is None)
    assert len(caplog.records) == 1
    assert await desk.queue.take() == Key("shop", "gate")
    assert (desk.count("nudges_total", outcome="forbidden") or 0) >= 3


async def test_pods_that_admission_refuses_keep_no_other_waiting(desk: Desk) -> None:
    """However many they are, and though they come first."""
    desk.add_pods(60)
    refused = [f"feature-gates-{number}" for number in range(2 * nudge.AT_ONCE[nudge.Urgency.NOW])]
    desk.cluster.denied.update(refused)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.are_told(60 - len(refused), version))
        await until(lambda: (desk.count("nudges_total", outcome="forbidden") or 0) > 2)
    assert [key.name for key, (_, told) in desk.cluster.pods.items() if not told] == refused
    assert desk.nudges.refused(RULES) is None


async def test_what_admission_refuses_of_all_pods_is_said_in_its_words_and_only_looked_for_once_kubelets_have_refreshed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nudge, "LATELY", timedelta(seconds=0.1))
    desk.add_pods(100)
    desk.cluster.denied.update(key.name for key in desk.cluster.pods)
    with caplog.at_level(logging.WARNING):
        async with desk.at_work():
            desk.kill()
            await until(lambda: desk.nudges.refused(RULES) is not None)
            assert len(desk.cluster.asked) == 1 + 100, "each is tried while it matters"
            refused = desk.nudges.refused(RULES)
            assert refused == NudgeRefused(config_map="feature-gates", verb="patch", by_admission=True)
            assert refused.why == "policy says no to feature-gates-0"
            await asyncio.sleep(0.1)  # as long as is worth it
            rounds = desk.cluster.rounds()
            await until(lambda: desk.cluster.rounds() > rounds + 1)
            asked, rounds = len(desk.cluster.asked), desk.cluster.rounds()
            await until(lambda: desk.cluster.rounds() == rounds + 3)
            assert len(desk.cluster.asked) - asked < 4 * 20
            assert desk.nudges.refused(RULES) is refused
            desk.cluster.denied.clear()
            await until(lambda: desk.nudges.refused(RULES) is None and "" not in desk.cluster.told())
    (line,) = caplog.messages
    assert line.endswith("may not patch pods in this namespace: policy says no to feature-gates-0")


async def test_a_pod_that_answers_slowly_keeps_no_other_from_the_next_kill_and_is_told_after_it(desk: Desk) -> None:
    desk.add_pods(20)
    slow = "feature-gates-3"
    desk.cluster.slow.add(slow)
    desk.cluster.open.clear()
    async with desk.at_work():
        first = desk.kill()
        await until(lambda: "" in desk.cluster.told() and len(desk.cluster.told()) == 2)
        for number in range(5):
            version = desk.write(gate={"percent": 0, "serve": "KILLED", "latch": "Kill"}, **{f"other-{number}": {"serve": "KILLED"}})
            await until(partial(desk.cluster.are_told, 19, version))
        assert desk.cluster.under_way == 1, "however many rounds come by, it takes one slot"
        assert [told for pod, told in desk.cluster.asked if pod == slow] == [first]
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})
        await until(lambda: not desk.nudges._wanted)
        assert not desk.nudges._patching
    assert [told for pod, told in desk.cluster.asked if pod == slow] == [first, version]


async def test_a_slow_pod_that_is_not_told_is_seen_to_by_the_round_after(desk: Desk) -> None:
    desk.add_pods(2)
    desk.cluster.slow.add("feature-gates-0")
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.cluster.under_way == 1 and len(desk.cluster.told()) == 2)
        version = desk.write(gate={"percent": 0, "serve": "KILLED"}, other={"serve": "KILLED"})
        await until(lambda: version in desk.cluster.told())
        desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
        desk.cluster.open.set()
        await until(lambda: desk.cluster.under_way == 0 and len(desk.cluster.asked) > 5)
        desk.cluster.refusals.clear()
        await until(lambda: desk.cluster.told() == {version})
        await until(lambda: not desk.nudges._wanted)


async def test_a_kill_waits_for_no_slot_of_the_less_urgent_though_its_round_did(desk: Desk) -> None:
    desk.add_pods(3)
    desk.add_pods(10, OTHERS)
    desk.write(gate={"percent": 50})
    desk.write(OTHERS, gate={"percent": 50})
    desk.cluster.slow.update(key.name for key in desk.cluster.pods if key.name.startswith("others"))
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower(OTHERS)
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        desk.lower()
        await until(lambda: str(RULES) in desk.nudges._slots[nudge.Urgency.SOON]._waiting)
        version = desk.write(gate={"percent": 0, "serve": "KILLED", "latch": "Kill"})
        await until(lambda: desk.cluster.told() == {version})
        assert desk.cluster.told(OTHERS) == {""}


async def test_a_right_that_is_given_back_is_noticed_beside_a_pod_that_may_not_be_touched(desk: Desk) -> None:
    desk.add_pods(4)
    desk.cluster.refusals["patch"] = ForbiddenError("the API server answered 403")
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.nudges.refused(RULES) is not None)
        del desk.cluster.refusals["patch"]
        desk.cluster.denied.add("feature-gates-0")
        await until(lambda: desk.nudges.refused(RULES) is None)
        rounds = desk.cluster.rounds()
        await until(lambda: desk.cluster.rounds() > rounds)
        assert desk.nudges.refused(RULES) is None


async def test_of_a_config_map_that_is_gone_nothing_is_kept(desk: Desk) -> None:
    desk.add_pods(5)
    desk.cluster.refusals["patch"] = ForbiddenError("the API server answered 403")
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.nudges.refused(RULES) is not None)
        desk.rules.take_out(RULES)
        assert desk.nudges.refused(RULES) is None
        rounds = desk.cluster.rounds()
        await asyncio.sleep(0.1)  # several times as long as until a right is looked for again
        assert desk.cluster.rounds() == rounds
    assert not desk.nudges._wanted
    assert not desk.nudges._began


@pytest.mark.parametrize("verb", ["list", "patch"])
async def test_a_config_map_may_go_while_its_pods_are_told(desk: Desk, verb: str) -> None:
    desk.add_pods(40)
    desk.cluster.refusals[verb] = ForbiddenError("the API server answered 403")
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.cluster.under_way > 0 or desk.nudges.refused(RULES) is not None)
        desk.rules.take_out(RULES)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.under_way == 0)
        assert desk.nudges.refused(RULES) is None
        desk.cluster.refusals.clear()
        version = desk.kill()
        await until(lambda: desk.cluster.told() == {version})


async def test_after_a_restart_a_right_that_is_missing_is_known_without_a_change(desk: Desk) -> None:
    desk.add_pods(1)
    desk.cluster.refusals["list"] = ForbiddenError("the API server answered 403")
    async with desk.at_work():
        desk.write(gate={"percent": 10})
        await until(lambda: desk.nudges.refused(RULES) == NudgeRefused(config_map="feature-gates", verb="list"))
        desk.cluster.refusals.clear()
        await until(lambda: desk.nudges.refused(RULES) is None)
    assert desk.cluster.told() == {""}
    assert desk.count("nudge_seconds_count") == 0


async def test_after_a_restart_what_was_written_lately_is_told_again_and_nothing_else(desk: Desk) -> None:
    desk.add_pods(1)
    desk.add_pods(1, OTHERS)
    for config_map, age in ((RULES, timedelta(seconds=80)), (OTHERS, timedelta(minutes=5))):
        body = desk.cluster.put_config_map(config_map, {FORMAT_KEY: FORMAT, "gate.json": _line("gate", serve="KILLED")})
        fields = [{"manager": "rampgate", "time": (NOON - age).isoformat()}]
        desk.rules.take_in({**body, "metadata": {**body["metadata"], "managedFields": fields}})
    async with desk.at_work():
        await until(lambda: "" not in desk.cluster.told())
        await until(lambda: desk.cluster.rounds(OTHERS) == 1)
    assert desk.cluster.rounds() == 1
    assert desk.cluster.told(OTHERS) == {""}, "only the right to list them is looked for"


async def test_a_pod_that_cannot_be_told_is_given_up_once_kubelets_have_refreshed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "LATELY", timedelta(seconds=0.05))
    desk.add_pods(1)
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
    async with desk.at_work():
        desk.kill()
        await until(lambda: not desk.nudges._wanted and desk.cluster.rounds() > 1)
        rounds = desk.cluster.rounds()
        await asyncio.sleep(0.1)
    assert desk.cluster.rounds() == rounds


async def test_a_change_that_is_told_while_one_is_given_up_is_a_round_of_its_own(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "LATELY", timedelta(seconds=0.05))
    desk.add_pods(5)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
    async with desk.at_work():
        desk.lower(percent=10)
        await until(lambda: desk.cluster.under_way > 0)
        desk.lower(percent=5)
        await asyncio.sleep(0.1)  # longer than is worth it
        desk.cluster.open.set()
        await until(lambda: not desk.nudges._wanted)
        desk.cluster.refusals.clear()
        version = desk.lower(percent=1)
        await until(lambda: desk.cluster.told() == {version})


async def test_who_reads_flagds_document_is_told_of_each_one_and_of_a_kill_at_once(desk: Desk) -> None:
    """Documents follow the rules, and one that was written before a kill may arrive after it."""
    desk.add_pods(30, FLAGD)
    desk.project(percent=1)
    async with desk.at_work():
        desk.cluster.open.clear()
        desk.kill()
        desk.project(percent=10)
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        version = desk.project(serve="KILLED")
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told(FLAGD) == {version})
    assert desk.cluster.most_under_way > nudge.AT_ONCE[nudge.Urgency.SOON]


async def test_a_name_that_is_too_long_for_a_label_is_asked_of_nobody(desk: Desk) -> None:
    """What flagd reads beside a ConfigMap of 58 characters or more: no pod can carry its name."""
    long = Key("shop", "g" * 58 + "-flagd")
    async with desk.at_work():
        for serve in ("", "KILLED"):
            flags = {"gate": {"metadata": {"serve": serve} if serve else {}}}
            data = {FORMAT_KEY: FLAGD_FORMAT, FLAGD_KEY: json.dumps({"flags": flags})}
            desk.rules.take_in(desk.cluster.put_config_map(long, data))
        assert not desk.nudges._wanted


async def test_a_bug_in_a_round_ends_nothing(desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add_pods(1)
    honest = desk.cluster.list_pods

    async def broken(_config_map: Key) -> list[Pod]:
        monkeypatch.setattr(desk.cluster, "list_pods", honest)
        raise KeyError("metadata")

    monkeypatch.setattr(desk.cluster, "list_pods", broken)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.told() == {version})
    assert "this is a bug in the operator" in caplog.text
