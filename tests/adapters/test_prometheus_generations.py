"""adapters/prometheus_generations: how many pods run a gate's rules, from a real Prometheus, of many gates with one query."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import UTC, datetime

import pytest

from rampgate_operator.adapters import prometheus_together
from rampgate_operator.core.looks import Answer, Failed, FailureReason, Kind, LookRequest, Metric, NoData, Running
from tests.adapters.asking import Open
from tests.adapters.exporter import Exporter
from tests.adapters.faulty import Faulty
from tools.devcluster.prometheus import Prometheus as Server

GAUGE = "rampgate_rules_generation"
NOBODY = NoData("no series of rampgate_rules_generation tells of this gate in this namespace")


@pytest.fixture
def place() -> str:
    """A namespace of the test's own."""
    return f"t-{secrets.token_hex(4)}"


@pytest.fixture
def pods(prometheus: Server, place: str) -> Iterator[list[Exporter]]:
    """Four pods that are scraped."""
    found = [Exporter(prometheus, job=f"{place}-{number}", namespace=place) for number in range(4)]
    yield found
    for each in found:
        each.__exit__()


def request(place: str, generation: int, gate: str = "x") -> LookRequest:
    metric = Metric(name=GAUGE, gate=gate)
    at = datetime.fromtimestamp(time.time(), UTC)
    return LookRequest(
        key=(place, gate, generation), source="main", metric=metric, at=at, tenant=place, kind=Kind.GENERATIONS, generation=generation
    )


async def answer(connect: Open, prometheus: Server, *asked: LookRequest) -> Mapping[Hashable, Answer]:
    return await connect(prometheus.url).answer(asked)


async def until(ask: Callable[[], object], wanted: Callable[[Answer], bool]) -> Answer:
    """Ask until what was scraped lately is seen."""
    async with asyncio.timeout(30):
        while True:
            found = await ask()  # type: ignore[misc]
            (said,) = found.values()
            if wanted(said):
                return said  # type: ignore[no-any-return]
            await asyncio.sleep(0.1)


async def test_pods_on_this_generation_or_a_later_one_are_counted_and_some_others_named(
    connect: Open, prometheus: Server, place: str, pods: list[Exporter]
) -> None:
    for pod, generation in zip(pods, (6, 7, 8, 7), strict=True):
        pod.set(GAUGE, generation, gate="x")
    said = await until(lambda: answer(connect, prometheus, request(place, 7)), lambda said: isinstance(said, Running) and said.seen == 4)
    assert said == Running(seen=4, on=3, behind=(pods[0]._address,))
    nobody = Running(seen=4, on=0, behind=tuple(sorted(pod._address for pod in pods)[:3]))
    await until(lambda: answer(connect, prometheus, request(place, 9)), lambda said: said == nobody)  # a scrape may come to nothing


async def test_a_pod_with_several_series_is_named_once(connect: Open, prometheus: Server, place: str, pods: list[Exporter]) -> None:
    """As with several processes, or several ConfigMaps that it mounts."""
    for worker in "abcd":
        pods[0].set(GAUGE, 6, gate="x", worker=worker)
    pods[1].set(GAUGE, 6, gate="x")
    said = await until(lambda: answer(connect, prometheus, request(place, 7)), lambda said: isinstance(said, Running) and said.seen == 5)
    assert said == Running(seen=5, on=0, behind=tuple(sorted(pod._address for pod in pods[:2])))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
async def test_what_is_no_generation_runs_none(connect: Open, prometheus: Server, place: str, pods: list[Exporter], value: float) -> None:
    pods[0].set(GAUGE, value, gate="x")
    pods[1].set(GAUGE, 7, gate="x")
    said = await until(lambda: answer(connect, prometheus, request(place, 7)), lambda said: isinstance(said, Running) and said.seen == 2)
    assert said == Running(seen=2, on=1, behind=(pods[0]._address,))


async def test_a_pod_that_is_gone_is_not_counted_for_long(connect: Open, prometheus: Server, place: str, pods: list[Exporter]) -> None:
    for pod in pods:
        pod.set(GAUGE, 6, gate="x")
    await until(lambda: answer(connect, prometheus, request(place, 6)), lambda said: isinstance(said, Running) and said.seen == 4)
    pods[0].vanish()
    said = await until(lambda: answer(connect, prometheus, request(place, 6)), lambda said: isinstance(said, Running) and said.seen == 3)
    assert said == Running(seen=3, on=3)
    pods[0].appear()


async def test_a_gate_sees_nothing_of_its_namesake_elsewhere_and_many_are_asked_with_one_query(
    connect: Open, prometheus: Server, place: str, pods: list[Exporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    pods[0].set(GAUGE, 7, gate="x")
    pods[1].set(GAUGE, 6, gate="y")
    await until(lambda: answer(connect, prometheus, request(place, 7)), lambda said: isinstance(said, Running))
    await until(lambda: answer(connect, prometheus, request(place, 7, "y")), lambda said: isinstance(said, Running))
    sent: list[str] = []
    get = prometheus_together.Call.get
    monkeypatch.setattr(
        prometheus_together.Call, "get", lambda call, params, **more: sent.append(params["query"]) or get(call, params, **more)
    )
    places = [(place, "x"), (place, "y"), (f"{place}-other", "x"), (place, "nobody's")]

    async def all_at_once() -> Mapping[str, Answer]:
        sent.clear()
        found = await answer(connect, prometheus, *(request(namespace, 7, gate) for namespace, gate in places))
        return {"all": list(found.values())}  # type: ignore[dict-item]  # one answer, as `until` has it

    wanted = [Running(seen=1, on=1), Running(seen=1, on=0, behind=(pods[1]._address,)), NOBODY, NOBODY]
    await until(all_at_once, lambda said: said == wanted)
    assert len(sent) == 1


async def test_a_source_that_fails_says_why(connect: Open, faulty: Faulty, place: str) -> None:
    client = connect("http://127.0.0.1:1")
    (said,) = (await client.answer([request(place, 7)])).values()
    assert isinstance(said, Failed)
    assert said.reason is FailureReason.UNREACHABLE
    del faulty
