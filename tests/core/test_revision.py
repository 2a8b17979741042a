"""core/revision: which accepted specs are kept, and under which number."""

from typing import Any

import pytest

from rampgate_operator.core.revision import (
    KEPT,
    SPEC_LABEL,
    Revision,
    plan_revisions,
    read_revisions,
    read_spec,
    revision_data,
    spec_digest,
)
from tests.core.story import Story, make_spec

SPEC = make_spec()


def found(digest: str, number: int, uid: str = "u1", data: Any = None) -> dict[str, Any]:
    return {"metadata": {"labels": {SPEC_LABEL: digest}, "ownerReferences": [{"uid": uid}]}, "revision": number, "data": data}


def known(*digests: str) -> tuple[Revision, ...]:
    return read_revisions([found(digest, number) for number, digest in enumerate(digests, 1)], "u1")


@pytest.mark.parametrize("field", ["killed", "paused"])
def test_what_is_obeyed_at_once_is_no_version(field: str) -> None:
    assert spec_digest(make_spec(**{field: True})) == spec_digest(SPEC) != spec_digest(make_spec(owner="others"))
    assert field not in revision_data(make_spec(**{field: True}))


def test_revisions_are_in_the_order_of_their_numbers_and_an_earlier_objects_are_not_owned() -> None:
    bodies = [found("b", 2), found("a", 1), found("c", 3, uid="u0"), {"metadata": {}, "revision": 4}]
    assert [(each.spec_digest, each.is_owned) for each in read_revisions(bodies, "u1")] == [
        ("a", True), ("b", True), ("c", False), ("", False)]  # fmt: skip


PLANS: list[tuple[str, tuple[Revision, ...], str, int | None, list[str]]] = [
    ("the first one", (), "a", 1, []),
    ("a further one", known("a", "b"), "c", 3, []),
    ("the one that is newest", known("a", "b"), "b", None, []),
    ("one that comes back", known("a", "b"), "a", 3, []),
    ("the eleventh", known(*"abcdefghij"), "k", 11, ["a"]),
    ("the tenth", known(*"abcdefghi"), "j", 10, []),
    ("one more than too many", known(*"abcdefghijkl"), "m", 13, ["a", "b", "c"]),
    ("the first one beside an earlier object's", read_revisions([found("a", 7, uid="u0")], "u1"), "a", 8, []),
]


@pytest.mark.parametrize(("there", "wanted", "number", "outdated"), [row[1:] for row in PLANS], ids=[row[0] for row in PLANS])
def test_the_plan_for(there: tuple[Revision, ...], wanted: str, number: int | None, outdated: list[str]) -> None:
    plan = plan_revisions(there, wanted)
    assert (plan.number, [each.spec_digest for each in plan.outdated]) == (number, outdated)
    assert len(there) - len(outdated) + (number is not None) <= KEPT


def test_a_spec_is_read_back_by_its_digest_or_else_the_newest() -> None:
    newer = make_spec(owner="others")
    there = read_revisions(
        [found("a", 1, data=revision_data(SPEC)), found("b", 2, data=revision_data(newer)), found("c", 3, uid="u0")], "u1"
    )
    assert (read_spec(there, "a"), read_spec(there, "b")) == (SPEC, newer)
    assert (read_spec(there, ""), read_spec((), "a")) == (newer, None)


def test_what_this_version_cannot_read_is_none() -> None:
    assert read_spec(read_revisions([found("a", 1, data={"owner": 1})], "u1"), "a") is None


def test_the_status_names_the_version_in_force() -> None:
    story = Story().ramp_to(1)
    assert story.known.spec_digest == spec_digest(story.spec)
    story.edit(paused=True).decide()
    assert story.known.spec_digest == spec_digest(make_spec())
    story.edit(owner="others").decide()
    second = story.known.spec_digest
    assert second == spec_digest(story.spec) != spec_digest(make_spec())
    story.edit(invalid="no").decide()
    assert story.known.spec_digest == second


def test_an_end_waits_for_no_version() -> None:
    story = Story().ramp_to(1)
    before = story.known.spec_digest
    story.edit(killed=True, owner="others").decide()
    assert (story.said[0], story.known.spec_digest) == ("Killed", before)
    story.edit(killed=None, attempt=2).decide()
    assert story.known.spec_digest == spec_digest(story.spec)
