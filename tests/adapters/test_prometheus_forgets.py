"""adapters/prometheus: after a real Prometheus lost its database, no counter's life is counted, whichever way it is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.core.looks import Increases, Kind, LookRequest, Metric, Value
from tests.adapters.asking import Open, ask
from tests.adapters.exporter import Exporter
from tools.devcluster.prometheus import Prometheus as Server

REQUESTS = "rampgate_requests_total"


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Server]:
    """A Prometheus that nobody else needs."""
    with Server.launch(tmp_path / "prometheus", scrape_interval=0.25) as server:
        yield server


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def count(pod: Exporter, number: int) -> None:
    pod.set(REQUESTS, number, gate="x", variant="on")


async def sees(client: Prometheus, query: str, wanted: float) -> None:
    deadline = time.monotonic() + 20
    while (found := await ask(client, query, at=now())) != Value(wanted):
        assert time.monotonic() < deadline, f"still {found}"
        await asyncio.sleep(0.05)


async def counted(client: Prometheus, since: datetime, *cuts: datetime) -> list[dict[str, float]]:
    """By the SDK's metric, and by a query of the team's own: the same, in as many windows as there are cuts and one."""
    windows = {"source": "main", "tenant": "bank", "kind": Kind.INCREASES, "since": since, "cuts": cuts, "at": now()}
    ways = [{"metric": Metric(name=REQUESTS, gate="x")}, {"query": f'{REQUESTS}{{namespace="bank"}}'}]
    found = await client.answer([LookRequest(key=number, **way, **windows) for number, way in enumerate(ways)])
    assert isinstance(found[0], Increases)
    assert found[0] == found[1]
    return [dict(window) for window in found[0].windows]


async def test_a_lost_database_counts_nobodys_life_and_then_everything_as_ever(forgetful: Server, connect: Open) -> None:
    client = connect(forgetful.url)
    with Exporter(forgetful, job="1", namespace="bank") as one, Exporter(forgetful, job="2", namespace="bank") as two:
        count(one, 1600)
        count(two, 900)
        await sees(client, f"sum({REQUESTS})", 2500)
        since = now()
        forgetful.stop()
        forgetful.start(wipe=True)
        await sees(client, f"sum({REQUESTS})", 2500)
        assert await counted(client, since) == [{"on": 0.0}]
        # between the first scrapes of two targets a window may begin
        firsts = [await ask(client, f'min_over_time(timestamp({REQUESTS}{{job="{job}"}})[1m:10ms])', at=now()) for job in "12"]
        early = min(found.value for found in firsts if isinstance(found, Value))
        between = datetime.fromtimestamp(early, UTC) + timedelta(milliseconds=1)
        assert sum(window.get("on", 0.0) for window in await counted(client, since, between)) == 0
        assert await counted(client, between) == [{"on": 0.0}]
        await sees(client, 'min(count_over_time(up{namespace="bank"}[1m])) > bool 3', 1)
        count(one, 1607)
        with Exporter(forgetful, job="3", namespace="bank") as new:
            count(new, 30)
            await sees(client, f"sum({REQUESTS})", 2537)
            assert await counted(client, since) == [{"on": 37.0}]
            assert await counted(client, between) == [{"on": 37.0}]


async def test_who_could_not_be_scraped_at_first_is_met_when_that_ends(forgetful: Server, connect: Open) -> None:
    client = connect(forgetful.url, lookback="2s")
    with Exporter(forgetful, job="1", namespace="bank") as pod:
        pod.vanish()
        await sees(client, 'count_over_time(up{namespace="bank"}[1m]) > bool 12', 1)  # for longer than the margin before the window
        since = now()
        with pod.at_once():
            pod.appear()
            count(pod, 1600)
        await sees(client, f"sum({REQUESTS})", 1600)
        assert await counted(client, since) == [{"on": 0.0}]
        await sees(client, 'sum_over_time(up{namespace="bank"}[1m]) > bool 3', 1)
        count(pod, 1607)
        await sees(client, f"sum({REQUESTS})", 1607)
        assert await counted(client, since) == [{"on": 7.0}]


async def test_without_up_a_counter_begins_at_its_first_sample(forgetful: Server, connect: Open) -> None:
    """As with what is pushed: here its namespace is the series' own label, and nothing is scraped in it."""
    client = connect(forgetful.url)
    with Exporter(forgetful, job="pushed", namespace="") as pod:
        pod.set(REQUESTS, 100, gate="x", variant="on", namespace="bank")
        await sees(client, f'sum({REQUESTS}{{namespace="bank"}})', 100)
        since = now() - timedelta(minutes=1)
        pod.set(REQUESTS, 103, gate="x", variant="on", namespace="bank")
        await sees(client, f'sum({REQUESTS}{{namespace="bank"}})', 103)
        assert await counted(client, since) == [{"on": 3.0}]
