"""The port `Cluster`: the same cases on the real API server and on the one in memory that the simulation runs on.

They pin what design §6 and §8 rest on: compare-and-swap of a key, also where the key, `data` or the ConfigMap is absent; a status that is
written only over what was read; a latch that a storm of edits cannot starve.
"""

import asyncio
from typing import Any

import pytest

from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, RULES_LABEL
from rampgate_operator.core.status import Latch, LatchCause, Phase, Status
from rampgate_operator.ports import Body, ClusterError, ConflictError, Key, Pod
from tests.contract.parts import Parts
from tests.core.story import NOON, SPEC

LABELS = {RULES_LABEL: "true"}


def status(attempt: int = 1, **fields: Any) -> Status:
    return Status(attempt=attempt, attempt_started_at=NOON, **fields)


def latched(attempt: int = 1) -> Status:
    latch = Latch(attempt=attempt, at=NOON, cause=LatchCause.KILL, from_percent=10, message="why")
    return status(attempt, phase=Phase.KILLED, latch=latch)


# --- a key of a ConfigMap ---

NASTY = {
    "angle brackets": '[">=",1]<',
    "an ampersand": "R&D",
    "letters with accents": "Zoë",
    "beyond the first plane": "🦊",
    "separators that JavaScript knows": "\u2028\u2029",
    "control characters": "\t\n\r\b\f\x01\x1f",
    "delete": "\x7f",
    "quotes and backslashes": '"\\"\\u003c',
    "a replacement character": "\ufffd",
}
SWAPS = [
    ("an absent key is added", {}, None, "b", "b"),
    ("a key is changed", {"g.json": "a"}, "a", "b", "b"),
    ("a key is removed", {"g.json": "a"}, "a", None, None),
    ("a key is set to what it is", {"g.json": "a"}, "a", "a", "a"),
    ("a key that is there is not absent", {"g.json": "a"}, None, "b", ConflictError),
    ("a key that is not there is not what it was", {}, "a", "b", ConflictError),
    ("a key that has changed is not what it was", {"g.json": "c"}, "a", "b", ConflictError),
    ("a key that is gone cannot be removed", {}, "a", None, ConflictError),
    ("an empty value is not an absent one", {"g.json": ""}, None, "b", ConflictError),
    ("an absent key is not an empty value", {}, "", "b", ConflictError),
    *((f"a value with {what} is written", {}, None, text, text) for what, text in NASTY.items()),
    *((f"a value with {what} is changed", {"g.json": text}, text, "b", "b") for what, text in NASTY.items()),
    *((f"a value with {what} is removed", {"g.json": text}, text, None, None) for what, text in NASTY.items()),
    *((f"a value with {what} is not what it was", {"g.json": text}, text + "<", "b", ConflictError) for what, text in NASTY.items()),
]


def as_read(body: Body, value: str | None) -> Body:
    """The ConfigMap as somebody read it when the gate's key had this value."""
    data = {name: text for name, text in {**(body.get("data") or {}), "g.json": value}.items() if text is not None}
    return {**body, "data": data}


@pytest.mark.parametrize(("there", "old", "new", "expected"), [row[1:] for row in SWAPS], ids=[row[0] for row in SWAPS])
async def test_compare_and_swap(parts: Parts, there: dict[str, str], old: str | None, new: str | None, expected: Any) -> None:
    before = {FORMAT_KEY: FORMAT, "h.json": "neighbour", "kill": "x", **there}
    stale = there.get("g.json") != old
    read = as_read(parts.people.put_config_map(parts.rules, before), old)
    if stale:  # as it is when something was read, and changed since
        parts.people.put_config_map(parts.rules, {**before, "i.json": "later"})
        before["i.json"] = "later"
    if expected is ConflictError:
        with pytest.raises(ConflictError):
            await parts.cluster.swap(read, key="g.json", new=new)
        assert await parts.data() == before
        return
    body = await parts.cluster.swap(read, key="g.json", new=new)
    after = {name: value for name, value in {**before, "g.json": expected}.items() if value is not None}
    assert (body["data"], await parts.data()) == (after, after)


async def test_a_neighbours_write_is_no_reason_to_lose_a_race(parts: Parts) -> None:
    read = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT, "g.json": '{"a":"\\u003c"}'})
    await parts.cluster.swap(read, key="h.json", new="neighbour")
    await parts.cluster.swap(read, key="g.json", new="b")
    assert await parts.data() == {FORMAT_KEY: FORMAT, "g.json": "b", "h.json": "neighbour"}


async def test_a_value_that_encoders_write_differently_is_swapped_only_where_nothing_else_has_changed(parts: Parts) -> None:
    read = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT, "g.json": "Zoë"})
    await parts.cluster.swap(read, key="h.json", new="neighbour")
    with pytest.raises(ConflictError):
        await parts.cluster.swap(read, key="g.json", new="b")


async def test_a_refusal_for_good_is_no_lost_race(parts: Parts) -> None:
    read = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT, "g.json": "a"}, immutable=True)
    with pytest.raises(ClusterError, match="immutable"):
        await parts.cluster.swap(read, key="g.json", new="b")


@pytest.mark.parametrize(
    "data",
    [None, {}, {"g.json": "a"}, {FORMAT_KEY: "rampgate.dev/2", "g.json": "a"}],
    ids=["without data", "empty", "without a format", "of another format"],
)
@pytest.mark.parametrize("old", [None, "a"])
async def test_a_foreign_config_map_is_never_touched(parts: Parts, data: dict[str, str] | None, old: str | None) -> None:
    before = parts.people.put_config_map(parts.rules, data)
    for new in ("b", None):
        with pytest.raises(ConflictError):
            await parts.cluster.swap(as_read(before, old), key="g.json", new=new)
    with pytest.raises(ConflictError):
        await parts.cluster.restore_label(before)
    with pytest.raises(ConflictError):
        await parts.cluster.create_config_map(parts.rules, {"g.json": "b"})
    assert await parts.data() == (data or {})


async def test_a_key_of_an_absent_config_map_cannot_be_swapped(parts: Parts) -> None:
    read = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT})
    parts.people.delete_config_map(parts.rules)
    with pytest.raises(ConflictError):
        await parts.cluster.swap(read, key="g.json", new="b")
    assert await parts.cluster.get_config_map(parts.rules) is None


@pytest.mark.parametrize("key", ["a.b-c_d.json", "UPPER.json"])
async def test_every_key_that_a_config_map_may_have_can_be_swapped(parts: Parts, key: str) -> None:
    read = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT})
    await parts.cluster.swap(read, key=key, new='{"a":"ü"}')
    assert (await parts.data())[key] == '{"a":"ü"}'


async def test_a_created_config_map_is_ours_labelled_and_whole(parts: Parts) -> None:
    body = await parts.cluster.create_config_map(parts.rules, {"g.json": "a", "h.json": "b"})
    assert body["data"] == {FORMAT_KEY: FORMAT, "g.json": "a", "h.json": "b"}
    assert (body["metadata"]["labels"], body["metadata"].get("ownerReferences")) == (LABELS, None)
    assert [each["metadata"]["name"] for each in await parts.cluster.list_config_maps()] == ["feature-gates"]


async def test_a_lost_label_comes_back_beside_the_others(parts: Parts) -> None:
    body = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT}, labels={"team": "shop"})
    assert await parts.cluster.list_config_maps() == []
    restored = await parts.cluster.restore_label(body)
    assert restored["metadata"]["labels"] == {"team": "shop", **LABELS}
    assert len(await parts.cluster.list_config_maps()) == 1


async def test_a_label_that_somebody_set_meanwhile_is_not_lost(parts: Parts) -> None:
    read = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT})
    parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT}, labels={"team": "shop"})
    with pytest.raises(ConflictError):
        await parts.cluster.restore_label(read)


# --- a flagd document ---

DOCUMENT = {FORMAT_KEY: FLAGD_FORMAT, FLAGD_KEY: "{}"}


async def test_a_document_is_created_with_a_mark_of_its_own(parts: Parts) -> None:
    body = await parts.cluster.create_config_map(parts.rules, DOCUMENT)
    assert (body["data"], body["metadata"]["labels"]) == (DOCUMENT, LABELS)


async def test_a_document_is_replaced_beside_what_else_is_there_and_labelled(parts: Parts) -> None:
    body = parts.people.put_config_map(parts.rules, {**DOCUMENT, "note": "a"}, labels={"team": "shop"})
    written = await parts.cluster.replace_document(body, '{"a":"ü<"}')
    assert written["data"] == {**DOCUMENT, "note": "a", FLAGD_KEY: '{"a":"ü<"}'} == await parts.data()
    assert written["metadata"]["labels"] == {"team": "shop", **LABELS}


@pytest.mark.parametrize(
    "now", [{**DOCUMENT, "note": "a"}, {FORMAT_KEY: FORMAT, FLAGD_KEY: "{}"}, {FLAGD_KEY: "{}"}], ids=["changed", "rules", "unmarked"]
)
async def test_a_document_that_is_not_what_was_read_is_not_replaced(parts: Parts, now: dict[str, str]) -> None:
    read = parts.people.put_config_map(parts.rules, DOCUMENT)
    parts.people.put_config_map(parts.rules, now)
    with pytest.raises(ConflictError):
        await parts.cluster.replace_document(read, "{ }")
    assert await parts.data() == now


async def test_a_document_that_is_immutable_or_gone_is_not_replaced(parts: Parts) -> None:
    read = parts.people.put_config_map(parts.rules, DOCUMENT, immutable=True)
    with pytest.raises(ClusterError):
        await parts.cluster.replace_document(read, "{ }")
    parts.people.delete_config_map(parts.rules)
    with pytest.raises(ConflictError):
        await parts.cluster.replace_document(read, "{ }")


async def test_versions_rise_with_every_change(parts: Parts) -> None:
    first = parts.people.put_config_map(parts.rules, {FORMAT_KEY: FORMAT})
    second = await parts.cluster.swap(first, key="g.json", new="a")
    third = await parts.cluster.swap(second, key="g.json", new="b")
    versions = [int(body["metadata"]["resourceVersion"]) for body in (first, second, third)]
    assert versions == sorted(set(versions))


# --- a status ---


async def test_a_status_is_written_whole_and_changes_no_generation(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    wanted = latched().model_copy(update={"waiting_for": None, "percent": 12.5})
    written = await parts.cluster.write_status(body, wanted)
    again = await parts.experiment()
    assert again["status"] == written["status"] == wanted.to_wire()
    assert (again["metadata"]["generation"], again["metadata"]["uid"]) == (1, body["metadata"]["uid"])


async def test_a_field_that_is_gone_from_the_status_is_gone(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    body = await parts.cluster.write_status(body, latched())
    body = await parts.cluster.write_status(body, status(2))
    assert "latch" not in body["status"]
    assert body["status"] == status(2).to_wire()


async def test_a_status_is_not_written_over_what_was_not_read(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    parts.people.apply(parts.gate, {**SPEC, "owner": "others"})
    with pytest.raises(ConflictError):
        await parts.cluster.write_status(body, status())
    assert "status" not in await parts.experiment()


async def test_a_status_of_a_deleted_experiment_is_a_lost_race(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    body = await parts.cluster.write_status(body, status())
    parts.people.delete_experiment(parts.gate)
    with pytest.raises(ConflictError):
        await parts.cluster.write_status(body, status(2))
    with pytest.raises(ConflictError):
        await parts.cluster.latch(body, latched())
    assert await parts.cluster.get_experiment(parts.gate) is None


async def test_a_latch_is_written_over_edits_of_the_spec(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    body = await parts.cluster.write_status(body, status())
    for owner in "abc":
        parts.people.apply(parts.gate, {**SPEC, "owner": owner})
    written = await parts.cluster.latch(body, latched())
    assert (written["status"], written["spec"]["owner"], written["metadata"]["generation"]) == (latched().to_wire(), "c", 4)


async def test_a_latch_ends_no_other_attempt(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    body = await parts.cluster.write_status(body, status())
    await parts.cluster.write_status(body, status(2))
    with pytest.raises(ConflictError):
        await parts.cluster.latch(body, latched(1))
    assert (await parts.experiment())["status"] == status(2).to_wire()


@pytest.mark.parametrize("since", [{"phase": Phase.COMPLETED}, {"phase": Phase.RAMPING, "step": 1}], ids=["completed", "a step on"])
async def test_a_latch_that_was_held_up_does_not_end_what_has_gone_on_since(parts: Parts, since: dict[str, Any]) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    body = await parts.cluster.write_status(body, status(phase=Phase.RAMPING, step=0))
    now = await parts.cluster.write_status(body, status(**since))
    with pytest.raises(ConflictError):
        await parts.cluster.latch(body, latched())
    assert (await parts.experiment())["status"] == now["status"]


async def test_a_latch_needs_a_status_to_end(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    body = await parts.cluster.write_status(body, status())
    parts.people.wipe_status(parts.gate)
    with pytest.raises(ConflictError):
        await parts.cluster.latch(body, latched())
    assert "status" not in await parts.experiment()


async def test_a_latch_ends_no_experiment_that_was_created_again(parts: Parts) -> None:
    old = await parts.cluster.write_status(parts.people.apply(parts.gate, SPEC), status())
    parts.people.delete_experiment(parts.gate)
    await parts.cluster.write_status(parts.people.apply(parts.gate, SPEC), status())
    with pytest.raises(ConflictError):
        await parts.cluster.latch(old, latched())
    assert (await parts.experiment())["status"] == status().to_wire()


async def test_a_generation_rises_when_the_spec_changes_and_only_then(parts: Parts) -> None:
    assert parts.people.apply(parts.gate, SPEC)["metadata"]["generation"] == 1
    assert parts.people.apply(parts.gate, SPEC)["metadata"]["generation"] == 1
    assert parts.people.apply(parts.gate, {**SPEC, "owner": "others"})["metadata"]["generation"] == 2


async def test_what_is_absent_is_none_and_what_is_there_is_listed(parts: Parts) -> None:
    assert await parts.cluster.get_experiment(parts.gate) is None
    assert await parts.cluster.get_config_map(parts.rules) is None
    assert await parts.cluster.list_experiments() == []
    parts.people.apply(parts.gate, SPEC)
    parts.people.put_config_map(parts.rules, {"x": "y"})
    assert [each["metadata"]["name"] for each in await parts.cluster.list_experiments()] == ["new-checkout"]
    assert await parts.cluster.list_config_maps() == []
    parts.people.delete_config_map(parts.rules)
    assert await parts.cluster.get_config_map(parts.rules) is None


# --- pods: listed from what the API server has in memory, which may be a moment old ---


async def listed(parts: Parts, *pods: Pod) -> bool:
    async with asyncio.timeout(20):
        while set(await parts.cluster.list_pods(parts.rules)) != set(pods):  # noqa: ASYNC110  # a cluster has no event
            await asyncio.sleep(0.02)
    return True


async def test_pods_are_listed_by_their_label_with_the_version_that_they_were_told_of(parts: Parts) -> None:
    one, other, elsewhere = (Key(parts.rules.namespace, name) for name in ("one", "other", "elsewhere"))
    assert await parts.cluster.list_pods(parts.rules) == []
    for pod, mounts in ((one, parts.rules.name), (other, parts.rules.name), (elsewhere, "other-gates")):
        parts.people.put_pod(pod, mounts)
    assert await listed(parts, Pod("one", ""), Pod("other", ""))
    assert await parts.cluster.nudge_pod(one, "7")
    assert await parts.cluster.nudge_pod(one, "8")
    assert await listed(parts, Pod("one", "8"), Pod("other", ""))


async def test_a_pod_that_has_ended_is_not_listed_and_one_that_is_gone_is_no_error(parts: Parts) -> None:
    pod = Key(parts.rules.namespace, "one")
    parts.people.put_pod(pod, parts.rules.name)
    assert await listed(parts, Pod("one", ""))
    parts.people.end_pod(pod)
    assert await listed(parts)
    assert not await parts.cluster.nudge_pod(Key(pod.namespace, "gone"), "7")
