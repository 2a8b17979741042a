"""Pods that may be told of their rules, in memory: they answer slowly, or refuse, as a test likes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rampgate_operator import nudge
from rampgate_operator.adapters.metrics import OperatorMeter
from rampgate_operator.cache import Cache
from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY
from rampgate_operator.health import WatchProbe
from rampgate_operator.nudge import Nudges
from rampgate_operator.ports import ClusterError, DeniedError, Key, Pod
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
        lines = {f"{gate}.json": line(gate, **fields) for gate, fields in entries.items()}
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


def line(gate: str, **fields: Any) -> str:
    entry = {"format": 1, "gate": gate, "generation": 7, "attempt": 1, "percent": 10, "control": {"name": "off", "value": False}}
    return json.dumps(entry | fields)


def hasty_desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Give one whose retries and rounds follow each other within moments."""
    for name, value in (("FIRST_RETRY", 0.01), ("RECHECK", 0.02), ("APART", 0.05)):
        monkeypatch.setattr(nudge, name, value)
    return Desk()


async def until(condition: Callable[[], bool], what: str = "it is so") -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # a pod has no event
            await asyncio.sleep(0.001)
    assert condition(), what
