"""What the operator leaves for people to read, Events and versions of a spec: the same cases on both clusters."""

from datetime import timedelta

import pytest

from rampgate_operator.core.conditions import Announcement
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.revision import SPEC_LABEL
from rampgate_operator.ports import ConflictError, Key
from tests.contract.parts import Parts
from tests.core.story import NOON, SPEC


async def test_an_event_is_posted_and_counted_up(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    event = await parts.cluster.create_event(body, Announcement(reason=Reason.METRICS, message="why", warning=True), NOON)
    assert (event["count"], event["message"]) == (1, "why")
    later = Announcement(reason=Reason.METRICS, message="why now", warning=True)
    again = await parts.cluster.repeat_event(event, later, NOON + timedelta(minutes=1), count=2)
    assert again is not None
    assert (again["metadata"]["name"], again["count"], again["message"]) == (event["metadata"]["name"], 2, "why now")


async def test_an_event_that_is_gone_is_not_counted_up(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    gone = {"metadata": {"namespace": body["metadata"]["namespace"], "name": "gone"}}
    assert await parts.cluster.repeat_event(gone, Announcement(reason=Reason.METRICS, message="why", warning=True), NOON, count=2) is None


# --- versions of a spec ---


async def test_a_revision_is_listed_with_its_number_its_data_and_its_owner(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    await parts.cluster.create_revision(body, number=3, spec_digest="f00d", data=SPEC)
    [found] = await parts.cluster.list_revisions(body)
    assert (found["metadata"]["name"], found["revision"], found["data"]) == ("new-checkout-3", 3, SPEC)
    assert found["metadata"]["labels"][SPEC_LABEL] == "f00d"
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [body["metadata"]["uid"]]
    assert await parts.cluster.list_revisions(parts.people.apply(Key(parts.gate.namespace, "other"), SPEC)) == []


async def test_no_two_revisions_have_one_number(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    await parts.cluster.create_revision(body, number=1, spec_digest="f00d", data=SPEC)
    with pytest.raises(ConflictError):
        await parts.cluster.create_revision(body, number=1, spec_digest="beef", data=SPEC)


async def test_a_revision_that_is_gone_is_deleted_again_without_an_error(parts: Parts) -> None:
    body = parts.people.apply(parts.gate, SPEC)
    await parts.cluster.create_revision(body, number=1, spec_digest="f00d", data=SPEC)
    [read] = await parts.cluster.list_revisions(body)
    for _ in range(2):
        await parts.cluster.delete_revision(read)
    assert await parts.cluster.list_revisions(body) == []
