"""What the operator counted over a whole ramp is what the processes know they did, whatever became of them.

Real processes with the SDK, a real Prometheus that scrapes them, the operator as its own process.
"""

import json
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import pytest

from tests.apiserver.team import Json, Operator, Team, wait_until
from tools.devcluster.loopback import free_port
from tools.devcluster.prometheus import Prometheus

COUNTED: Json = {
    "name": "errors",
    "counters": {
        "events": 'rampgate_requests_total{gate="$gate",variant="$variant",outcome="error"}',
        "total": 'rampgate_requests_total{gate="$gate",variant="$variant"}',
    },
    "maxIncrease": "100%",
    "onBreach": "Notify",
}
RAMP: Json = {"steps": [{"percent": 10, "hold": "1s"}, {"percent": 50, "hold": "1h", "approval": True}]}
CHANGES: Json = {"guardrails": [COUNTED], "ramp": RAMP, "interval": "4s"}
"""Counts are exact where no scrape becomes visible later than an interval: on a busy machine too."""


class Counts(NamedTuple):
    """Requests of a treatment and of the comparison, and how many of them failed."""

    treatment_total: int = 0
    treatment_events: int = 0
    comparison_total: int = 0
    comparison_events: int = 0

    def beyond(self, others: "Counts") -> "Counts":
        """How much more they are."""
        return Counts(*(mine - theirs for mine, theirs in zip(self, others, strict=True)))


class Shop:
    """One process; what it did is remembered when it is gone."""

    def __init__(self, prometheus: Prometheus, namespace: str) -> None:
        self._prometheus, self._labels = prometheus, {"namespace": namespace}
        self._job, self.port = namespace, free_port()
        self._before: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._process: subprocess.Popen[str] | None = None

    def start(self, *, is_known: bool = True) -> "Shop":
        """Start it, again at 0; a known one waits until its 0 is scraped, for else nobody could tell that it began again."""
        command = [sys.executable, "-m", "tests.apiserver.counting_shop", str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if is_known:
            self._prometheus.add_target(self._job, f"127.0.0.1:{self.port}", self._labels)
            self.tell("scraped")
        return self

    def appear(self, *, having_served: int) -> "Shop":
        """Start it, and let it be scraped only when it has already served."""
        self.start(is_known=False).tell(f"serve {having_served}")
        self._prometheus.add_target(self._job, f"127.0.0.1:{self.port}", self._labels)
        return self

    def tell(self, what: str) -> None:
        """Let it do something, and wait until it has."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        booked = json.loads(self._process.stdout.readline())
        self._now = Counter({f"{variant} {number}": count for variant, counts in booked.items() for number, count in enumerate(counts)})

    def serve(self, number: int) -> None:
        self.tell(f"serve {number}")

    def settle(self) -> None:
        """Wait until all that it did has been scraped."""
        self.tell("scraped")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process, self._before, self._now = None, self._before + self._now, Counter()

    def vanish(self) -> None:
        """It is gone, and so is its pod: nobody looks for it any more."""
        self.kill()
        self._prometheus.remove_target(self._job, f"127.0.0.1:{self.port}")

    @property
    def did(self) -> Counts:
        """What it did in all its lives."""
        booked = self._before + self._now
        others = [booked[f"control {number}"] + booked[f"baseline {number}"] for number in (0, 1)]
        return Counts(booked["treatment 0"], booked["treatment 1"], others[0], others[1])


class Scene(NamedTuple):
    team: Team
    operator: Operator
    prometheus: Prometheus
    shops: list[Shop]

    def new_shop(self) -> Shop:
        self.shops.append(Shop(self.prometheus, self.team.namespace))
        return self.shops[-1]

    def settle(self) -> None:
        for shop in self.shops:
            if shop._process is not None:
                shop.settle()

    @property
    def did(self) -> Counts:
        return Counts(*map(sum, zip(*(shop.did for shop in self.shops), strict=True)))

    def counted(self) -> list[Counts]:
        """By step, what the operator says of everything that was scraped until now."""
        now = time.time()
        wait_until(lambda: _counted_to(self._status()) > now, "it has counted until now", self._status)
        (evidence,) = self._status()["guardrails"][0]["evidence"]
        return [_counts(step) for step in evidence["steps"]]

    def _status(self) -> Json:
        """Looks that nothing acts on stay in memory: an edit makes the operator write what it knows."""
        generation = self.team.patch({"hypothesis": secrets.token_hex(4)})["metadata"]["generation"]
        return self.team.wait_for(observedGeneration=generation)


def _counts(step: str) -> Counts:
    """A step's line in the status: when it began, then events/total of the treatment and of the comparison."""
    _, *pairs = step.split()
    (events, total), (other_events, other_total) = (map(int, pair.split("/")) for pair in pairs)
    return Counts(total, events, other_total, other_events)


def _counted_to(status: Json) -> float:
    counted_to = status["guardrails"][0].get("countedTo")
    return datetime.fromisoformat(counted_to).timestamp() if counted_to else 0.0


@pytest.fixture
def scene(operator: Operator, team: Team, prometheus: Prometheus) -> Iterator[Scene]:
    scene = Scene(team, operator, prometheus, [])
    yield scene
    for shop in scene.shops:
        shop.vanish()


def begin(scene: Scene) -> tuple[Shop, Shop]:
    """Two processes that are scraped, and a ramp on its first step."""
    shops = scene.new_shop().start(), scene.new_shop().start()
    scene.team.apply(changes=CHANGES)
    scene.team.wait_for(percent=10)
    scene.settle()  # a sample has the time at which its scrape began: what is served meanwhile would count as before the step
    return shops


@pytest.mark.timeout(300)  # on a busy machine
def test_a_whole_ramp_is_counted_exactly_whatever_becomes_of_processes_and_operator(scene: Scene) -> None:
    one, two = begin(scene)
    for shop in (one, two):
        shop.serve(200)
    three = scene.new_shop().appear(having_served=100)
    scene.settle()
    one.kill()  # and it begins again at 0
    one.start().serve(50)
    scene.operator.kill()
    two.serve(70)
    scene.settle()
    two.vanish()
    scene.operator.start()
    three.serve(130)
    scene.settle()
    first_step = scene.did
    assert scene.counted() == [first_step]
    scene.team.patch({"approved": {"attempt": 1, "upTo": 50}})
    scene.team.wait_for(percent=50)
    scene.settle()
    four = scene.new_shop().appear(having_served=300)
    one.serve(25)
    scene.settle()
    three.kill()
    three.start().serve(10)
    scene.operator.kill()
    scene.operator.start()
    four.serve(200)
    scene.settle()
    assert scene.counted() == [first_step, scene.did.beyond(first_step)]


def test_what_a_process_takes_with_it_unscraped_is_all_that_is_lost(scene: Scene) -> None:
    one, two = begin(scene)
    for shop in (one, two):
        shop.serve(200)
    scene.settle()
    scraped = one.did
    one.serve(50)
    one.kill()
    two.serve(80)
    scene.settle()
    (found,) = scene.counted()
    lost, unscraped = scene.did.beyond(found), one.did.beyond(scraped)
    assert all(0 <= missing <= most for missing, most in zip(lost, unscraped, strict=True))
