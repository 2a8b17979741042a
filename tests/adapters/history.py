"""A few seconds in the life of two namespaces whose gates have the same names, scraped by a real Prometheus."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import requests

from tests.adapters.exporter import Exporter
from tools.devcluster.prometheus import Prometheus

NAMESPACES = ("shop", "shop.two")
GATES = ("new-checkout", "a.b|c", "x", 'odd"\\{}$é', ".*")
VARIANTS = ("control", "treatment", "baseline")
BOUNDS = ("0.25", "0.3", "1.0", "+Inf")
ROUNDS = 14


@dataclass(frozen=True)
class History:
    """When it began, and when each round had been seen of all pods."""

    start: datetime
    rounds: tuple[datetime, ...]

    @property
    def end(self) -> datetime:
        return self.rounds[-1]


@contextmanager
def lived(prometheus: Prometheus) -> Iterator[History]:
    """Two pods in each namespace count for some rounds; one of them begins again half-way, another falls silent, and a third is new."""
    chance = random.Random(7)
    start, rounds = _now(), []
    names = [(namespace, pod) for namespace in NAMESPACES for pod in ("1", "2")]
    pods = {name: Exporter(prometheus, job=f"history-{'-'.join(name)}", namespace=name[0]) for name in names}
    counted = {name: _Counts() for name in names}
    for number in range(1, ROUNDS + 1):
        if number == 5:
            pods[names[0]].restart()
            counted[names[0]] = _Counts()
        if number == 8:
            pods[names[1]].vanish()
        alive = [name for name in names if name != names[1] or number < 8]
        for name in alive if number > 3 else alive[:-1]:
            counted[name].go_on(pods[name], chance, number)
        _wait_for_round(prometheus, number, {name: pods[name] for name in alive})
        rounds.append(_now())
    pods[names[1]].appear()  # an exporter ends once
    for pod in pods.values():
        pod.__exit__()
    yield History(start, tuple(rounds))


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


class _Counts:
    def __init__(self) -> None:
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def go_on(self, pod: Exporter, chance: random.Random, number: int) -> None:
        pod.set("rampgate_processes", 1 + number // 8)
        for gate in GATES:
            pod.set("rampgate_rules_generation", number // 3, gate=gate)
            for variant in VARIANTS:
                labels = {"gate": gate, "variant": variant}
                self._count(pod, chance, "rampgate_first_exposures_total", **labels)
                self._count(pod, chance, "rampgate_first_errors_total", **labels)
                for outcome in ("ok", "error"):
                    self._count(pod, chance, "rampgate_requests_total", **labels, outcome=outcome)
                for bound in BOUNDS:
                    self._count(pod, chance, "rampgate_request_duration_seconds_bucket", **labels, le=bound)

    def _count(self, pod: Exporter, chance: random.Random, metric: str, **labels: str) -> None:
        key = metric, tuple(labels.items())
        self._values[key] = self._values.get(key, 0) + chance.randrange(4)
        pod.set(metric, self._values[key], **labels)


def _wait_for_round(prometheus: Prometheus, number: int, pods: dict[tuple[str, str], Exporter]) -> None:
    for pod in pods.values():
        pod.set("rampgate_history_round", number)
    deadline, query = time.monotonic() + 20, f"count(rampgate_history_round == {number})"
    while (found := _ask(prometheus, query)) != len(pods):
        assert time.monotonic() < deadline, f"round {number} was seen of {found} pods"
        time.sleep(0.05)


def _ask(prometheus: Prometheus, query: str) -> int:
    result = requests.get(f"{prometheus.url}/api/v1/query", params={"query": query}, timeout=10).json()["data"]["result"]
    return int(result[0]["value"][1]) if result else 0
