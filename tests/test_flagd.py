"""flagd: when a document is written beside a ConfigMap with rules, and when it is left alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, RULES_LABEL
from rampgate_operator.core.reasons import Reason
from rampgate_operator.flagd import APART, TOLERATED, FlagdDocuments
from rampgate_operator.health import WatchProbe
from rampgate_operator.ports import Body, ClusterError, ConflictError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.rules import Rules
from tests.sdk.entries import entry
from tests.simulation.memory import MemoryCluster

RULES, DOCUMENT = Key("shop", "feature-gates"), Key("shop", "feature-gates-flagd")
LABELS = {RULES_LABEL: "true"}


class Shop:
    """A namespace in memory, and the documents that are kept in it."""

    def __init__(self) -> None:
        self.cluster, self.gates = MemoryCluster(), Queue[Key]()
        self.writes: list[str] = []
        self.cluster.on_write = self.writes.append
        self.rules = Rules(self.cluster, self.gates, WatchProbe())
        self.documents = FlagdDocuments(self.cluster, self.rules, WatchProbe(), self.gates)

    def put(self, *gates: str, **keys: str) -> None:
        """Put rules there, and have the watch tell."""
        lines = {f"{gate}.json": json.dumps(entry(gate=gate)) for gate in gates}
        self.tell(self.cluster.put_config_map(RULES, {FORMAT_KEY: FORMAT, **lines, **keys}, labels=LABELS))

    def tell(self, body: Body) -> None:
        self.rules.take_in(body)

    async def render(self) -> None:
        await self.documents.render(RULES)

    @property
    def flags(self) -> dict[str, Any]:
        return dict(json.loads(self.cluster.config_maps[DOCUMENT]["data"][FLAGD_KEY])["flags"])

    def reason(self, gate: str = "a") -> Reason | None:
        return self.documents.see(RULES, gate).reason


async def queued(queue: Queue[Key]) -> set[str]:
    names = set()
    while len(queue):
        key = await asyncio.wait_for(queue.take(), 1)
        assert key is not None
        names.add(key.name)
        queue.finish(key)
    return names


async def test_a_document_with_every_gate_is_created_marked_and_labelled() -> None:
    shop = Shop()
    shop.put("a", "b")
    assert shop.reason() is None
    await shop.render()
    assert shop.flags.keys() == {"a", "b"}
    body = shop.cluster.config_maps[DOCUMENT]
    assert (body["data"].keys(), body["data"][FORMAT_KEY], body["metadata"]["labels"]) == ({FORMAT_KEY, FLAGD_KEY}, FLAGD_FORMAT, LABELS)
    assert shop.reason() is Reason.RENDERED_FOR_FLAGD


async def test_nothing_is_written_when_nothing_has_changed_also_by_a_new_process() -> None:
    shop, restarted = Shop(), Shop()
    shop.put("a")
    await shop.render()
    restarted.cluster.config_maps = shop.cluster.config_maps
    for each in (shop, restarted):
        for body in shop.cluster.config_maps.values():
            each.tell(body)
        each.writes.clear()
        await each.render()
        assert each.writes == []
        assert each.reason() is Reason.RENDERED_FOR_FLAGD


async def test_a_kill_key_that_comes_and_goes_is_followed() -> None:
    shop = Shop()
    shop.put("a", "b")
    await shop.render()
    shop.put("a", "b", kill="a")
    await shop.render()
    assert ["targeting" in shop.flags[gate] for gate in "ab"] == [False, True]
    shop.put("a", "b")
    await shop.render()
    assert ["targeting" in shop.flags[gate] for gate in "ab"] == [True, True]


@pytest.mark.parametrize("data", [{"ours": "no"}, {FORMAT_KEY: FORMAT}, {FLAGD_KEY: "{}"}], ids=["somebody's", "rules", "unmarked"])
async def test_a_foreign_config_map_of_that_name_is_never_touched(data: dict[str, str]) -> None:
    """Also one with rules: an Experiment may have chosen that name for its own."""
    shop = Shop()
    shop.tell(shop.cluster.put_config_map(DOCUMENT, data, labels=LABELS))
    shop.put("a")
    await shop.render()
    assert (shop.writes, shop.cluster.config_maps[DOCUMENT]["data"]) == ([], data)
    assert shop.reason() is Reason.FOREIGN_FLAGD_CONFIG_MAP


async def test_drift_and_a_lost_label_are_repaired() -> None:
    shop = Shop()
    shop.put("a")
    await shop.render()
    right = shop.cluster.config_maps[DOCUMENT]["data"]
    shop.tell(shop.cluster.put_config_map(DOCUMENT, {**right, FLAGD_KEY: "{}"}, labels=LABELS))
    await shop.render()
    assert shop.cluster.config_maps[DOCUMENT]["data"] == right
    shop.cluster.put_config_map(DOCUMENT, right, labels={"team": "shop"})
    shop.rules.take_out(DOCUMENT)  # that is what the watch says
    await shop.render()
    assert shop.cluster.config_maps[DOCUMENT]["metadata"]["labels"] == {"team": "shop", **LABELS}


async def test_a_document_that_was_deleted_comes_back() -> None:
    shop = Shop()
    shop.put("a")
    await shop.render()
    shop.cluster.delete_config_map(DOCUMENT)
    shop.rules.take_out(DOCUMENT)
    await shop.render()
    assert shop.flags.keys() == {"a"}


async def test_a_document_stays_when_its_rules_are_gone_or_foreign() -> None:
    shop = Shop()
    shop.put("a")
    await shop.render()
    shop.writes.clear()
    shop.tell(shop.cluster.put_config_map(RULES, {}, labels=LABELS))
    await shop.render()
    shop.rules.take_out(RULES)
    await shop.render()
    assert (shop.writes, shop.flags.keys()) == ([], {"a"})
    assert shop.reason() is None


async def test_a_document_that_has_changed_meanwhile_is_not_overwritten() -> None:
    shop = Shop()
    shop.put("a")
    await shop.render()
    shop.cluster.put_config_map(DOCUMENT, {FORMAT_KEY: "somebody's now"}, labels=LABELS)  # its event has not arrived
    shop.put("a", "b")
    with pytest.raises(ConflictError):
        await shop.render()
    assert shop.cluster.config_maps[DOCUMENT]["data"] == {FORMAT_KEY: "somebody's now"}


async def test_only_gates_for_which_it_is_news_are_queued() -> None:
    shop = Shop()
    shop.put("a", "b")
    await shop.render()
    assert await queued(shop.gates) == {"a", "b"}
    shop.put("a", "b", **{"b.json": json.dumps(entry(gate="b", format=2))})
    await queued(shop.gates)
    await shop.render()
    assert (await queued(shop.gates), shop.reason("a"), shop.reason("b")) == ({"b"}, Reason.RENDERED_FOR_FLAGD, Reason.NOT_RENDERABLE)


async def test_its_own_document_is_no_gate_called_flagd() -> None:
    shop = Shop()
    shop.put("a")
    await shop.render()
    await queued(shop.gates)
    shop.tell(shop.cluster.config_maps[DOCUMENT])
    await shop.rules.remove("shop", "flagd", keep=None)
    assert await queued(shop.gates) == set()
    assert shop.flags.keys() == {"a"}


@asynccontextmanager
async def working(shop: Shop) -> AsyncIterator[None]:
    task = asyncio.create_task(shop.documents.work())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # a document has no event
            await asyncio.sleep(0.01)


async def test_a_thousand_gates_in_a_row_make_few_documents() -> None:
    shop, began = Shop(), asyncio.get_running_loop().time()
    async with working(shop):
        for number in range(1_000):
            shop.put("a", "b", **{"c.json": json.dumps(entry(gate="c", generation=number + 1))})
            await asyncio.sleep(0)
        await until(lambda: DOCUMENT in shop.cluster.config_maps and shop.flags["c"]["metadata"]["generation"] == 1_000)
    assert len(shop.writes) <= 2 + (asyncio.get_running_loop().time() - began) / APART


async def test_writes_lie_apart_also_when_a_change_comes_in_the_middle_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rampgate_operator.flagd.APART", 0.3)
    shop, written_at = Shop(), list[float]()

    def note(_: str) -> None:
        written_at.append(asyncio.get_running_loop().time())
        if len(written_at) == 1:
            shop.put("a", "b")

    shop.cluster.on_write = note
    shop.put("a")
    async with working(shop):
        await until(lambda: len(written_at) == 2)
    assert written_at[1] - written_at[0] >= 0.3


@pytest.mark.parametrize("error", [ClusterError("the API server is away"), RuntimeError("a bug")])
async def test_a_document_that_cannot_be_written_is_told_of_and_tried_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rampgate_operator.flagd.APART", 0.01)
    monkeypatch.setattr("rampgate_operator.flagd.RECHECK", 0.02)
    shop, failures = Shop(), 0

    def refuse(_: str) -> None:
        nonlocal failures
        failures += 1
        if failures <= TOLERATED:
            assert shop.reason() is None
        if failures <= TOLERATED + 2:
            raise error

    shop.cluster.on_write = refuse
    shop.put("a")
    async with working(shop):
        await until(lambda: shop.reason() is Reason.FLAGD_BEHIND)
        await until(lambda: shop.reason() is Reason.RENDERED_FOR_FLAGD)
    assert shop.flags.keys() == {"a"}


async def test_a_document_that_is_refused_for_hours_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that a tenant has made immutable: 2 to the power of 1,024 failures, three hours of them, is no number of seconds."""
    monkeypatch.setattr("rampgate_operator.flagd.RECHECK", 0.0)
    shop, failures = Shop(), 0

    def refuse(_: str) -> None:
        nonlocal failures
        failures += 1
        if failures <= 1_100:
            raise ClusterError("the API server refuses the change: field is immutable when `immutable` is set")

    shop.cluster.on_write = refuse
    shop.put("a")
    async with working(shop):
        await until(lambda: shop.reason() is Reason.RENDERED_FOR_FLAGD)
    assert failures > 1_100
