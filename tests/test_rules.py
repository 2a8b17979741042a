"""rules: what is known of ConfigMaps, and when it is asked for again."""

import asyncio
import base64
from dataclasses import replace

import pytest

from rampgate.rules import render_entry
from rampgate_operator.core.decide import number_rules
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KILL_KEY, RULES_LABEL, Observation, Ownership
from rampgate_operator.core.status import Status
from rampgate_operator.health import WatchProbe
from rampgate_operator.ports import ConflictError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.rules import Rules
from tests.core.story import NAME, NOON, Story
from tests.simulation.memory import MemoryCluster

RULES = Key("shop", "feature-gates")


async def test_a_foreign_config_map_is_asked_for_every_time_also_after_a_lost_race() -> None:
    cluster = MemoryCluster()
    rules = Rules(cluster, Queue(), WatchProbe())
    cluster.put_config_map(RULES, {FORMAT_KEY: "theirs"})
    await rules.refresh(RULES)
    assert (await rules.see(RULES, "new-checkout")).ownership is Ownership.FOREIGN
    cluster.put_config_map(RULES, {FORMAT_KEY: FORMAT})
    assert (await rules.see(RULES, "new-checkout")).ownership is Ownership.OURS


def entry(gate: str, says: str) -> str:
    frozen = {"format": 1, "gate": gate, "generation": 1, "attempt": 1, "percent": 0, "control": {"name": "control", "value": False}}
    return render_entry({**frozen, "serve": says})


def ours(**entries: str) -> dict[str, str]:
    """A ConfigMap's data, by what each gate's entry says."""
    return {FORMAT_KEY: FORMAT, **{f"{gate}.json": entry(gate, says) for gate, says in entries.items()}}


async def queued(queue: Queue[Key]) -> set[str]:
    """What is due now."""
    names = set()
    while len(queue):
        key = await asyncio.wait_for(queue.take(), 1)
        assert key is not None
        names.add(key.name)
        queue.finish(key)
    return names


async def known(cluster: MemoryCluster, queue: Queue[Key], **entries: str) -> Rules:
    """Rules that know a ConfigMap of ours."""
    rules = Rules(cluster, queue, WatchProbe())
    rules.take_in(cluster.put_config_map(RULES, ours(**entries), labels={RULES_LABEL: "true"}))
    await queued(queue)
    return rules


async def test_an_own_write_that_brings_a_neighbours_change_queues_the_neighbour() -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, a="1", b="1")
    cluster.put_config_map(RULES, ours(a="1", b="edited by hand"), labels={RULES_LABEL: "true"})  # its event has not arrived
    await rules.write(RULES, "a", "2", seen=await rules.see(RULES, "a"))
    assert await queued(queue) == {"a", "b"}


async def test_a_kill_key_that_a_refresh_brings_queues_every_gate() -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, a="1", b="1")
    cluster.put_config_map(RULES, {**ours(a="1", b="1"), KILL_KEY: "b"}, labels={RULES_LABEL: "true"})
    await rules.refresh(RULES)
    assert await queued(queue) == {"a", "b"}


async def test_a_kill_key_that_is_no_text_queues_every_gate() -> None:
    """Where kubectl puts a file that is no UTF-8: pods obey it, so its Experiments say so at once, and it is told what it does not stop."""
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, a="1", b="1")
    body = cluster.put_config_map(RULES, ours(a="1", b="1"), labels={RULES_LABEL: "true"})
    rules.take_in({**body, "binaryData": {KILL_KEY: base64.b64encode(b"b \xff").decode()}})
    assert await queued(queue) == {"a", "b"}


async def test_a_gate_whose_part_has_not_changed_is_left_alone() -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, a="1", b="1")
    rules.take_in(cluster.put_config_map(RULES, ours(a="1", b="2", c="1"), labels={RULES_LABEL: "true"}))
    assert await queued(queue) == {"b", "c"}
    await rules.refresh(RULES)
    assert await queued(queue) == set()


async def test_keys_that_are_no_entries_are_no_work() -> None:
    """Fifteen thousand of them, and one whose name is empty, would each be asked for at the API server."""
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue)
    foreign = {f"{number}.json": "" for number in range(10)} | {".json": entry("", "1"), "b.json": entry("a", "1")}
    rules.take_in(cluster.put_config_map(RULES, {**ours(a="1"), **foreign}, labels={RULES_LABEL: "true"}))
    assert await queued(queue) == {"a"}


async def test_the_gates_of_a_config_map_that_is_gone_are_queued() -> None:
    queue = Queue[Key]()
    rules = await known(MemoryCluster(), queue, a="1", b="1")
    rules.take_out(RULES)
    assert await queued(queue) == {"a", "b"}


async def test_a_decision_made_by_an_entry_that_has_changed_since_is_not_written() -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, a="1")
    seen = await rules.see(RULES, "a")
    rules.take_in(cluster.put_config_map(RULES, ours(a="2"), labels={RULES_LABEL: "true"}))
    with pytest.raises(ConflictError):
        await rules.write(RULES, "a", "3", seen=seen)


async def test_a_database_that_was_restored_is_believed() -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, a="new")
    rules.take_in(cluster.put_config_map(RULES, ours(a="newer"), labels={RULES_LABEL: "true"}))
    restored = MemoryCluster()
    restored.put_config_map(RULES, ours(a="old"), labels={RULES_LABEL: "true"})
    cluster.config_maps = restored.config_maps
    await rules.refresh(RULES)
    assert (await rules.see(RULES, "a")).line == entry("a", "old")


async def test_a_gate_that_was_removed_comes_back_under_a_higher_generation() -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    line = Story().ramp_to(1).seen.line
    assert line is not None
    rules = await known(cluster, queue)
    rules.take_in(cluster.put_config_map(RULES, {FORMAT_KEY: FORMAT, f"{NAME}.json": line}, labels={RULES_LABEL: "true"}))
    before = (await rules.see(RULES, NAME)).entry
    await rules.remove("shop", NAME, keep=None)
    seen = await rules.see(RULES, NAME)
    assert (seen.entry, seen.floor) == (None, before and before.generation)
    numbered = number_rules(
        Story().experiment, Status(attempt=1, attempt_started_at=NOON), Observation(now=NOON, rules=replace(seen, floor=2**40))
    )
    assert numbered.rules is not None
    assert numbered.rules.generation == 2**40 + 1


async def test_a_name_in_the_kill_key_that_is_no_gates_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, one="KILLED")
    cluster.put_config_map(RULES, ours(one="KILLED") | {KILL_KEY: "*, one, onne"}, labels={RULES_LABEL: "true"})
    await rules.refresh(RULES)
    assert caplog.messages == [
        'shop/feature-gates: the key kill names "onne", of which there is no key here, so it stops nothing: is it misspelled?'
    ]


async def test_a_mebibyte_of_names_in_the_kill_key_makes_no_mebibyte_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    cluster, queue = MemoryCluster(), Queue[Key]()
    rules = await known(cluster, queue, one="KILLED")
    names = "\x1b[2Jx" + "x" * 450_000 + " " + " ".join(f"n{number}" for number in range(60_000))
    cluster.put_config_map(RULES, ours(one="KILLED") | {KILL_KEY: names}, labels={RULES_LABEL: "true"})
    await rules.refresh(RULES)
    (message,) = caplog.messages
    assert len(message) < 1000
    assert message.isprintable()
    assert '"n8" and 59991 others, of which' in message
