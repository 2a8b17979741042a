"""core/compile: the gate's entry, byte for byte, and what the SDK makes of it."""

import json
from typing import Any

import pytest

from rampgate.rules import parse_entry
from rampgate_operator.core.compile import compile_content, compile_draw, compile_entry, digest, draw_digest, fits, number
from rampgate_operator.core.experiment import salt_of
from rampgate_operator.core.observation import Ownership, RulesSeen
from rampgate_operator.core.spec import Spec
from tests.core.story import BAD, ERRORS, KEY, Story, make_spec, steps

FULL: dict[str, Any] = {
    "unit": "userId",
    "salt": "pepper",
    "hashInput": "CBOR",
    "variants": [{"name": "off", "value": "grün"}, {"name": "on", "value": "blau", "weight": 3}],
    "eligibility": [
        {"attribute": "country", "in": ["US", "CA"]},
        {"attribute": "plan", "notIn": ["free"]},
        {"attribute": "appVersion", "semver": ">=2.4 <3"},
        {"attribute": "user.age", "greaterOrEqual": 18.0},
        {"attribute": "since", "before": "2026-12-01T09:00:00.50+02:00"},
        {"attribute": "beta", "is": False},
    ],
    "overrides": [{"variant": "on", "units": ["qa-1", "qa-2"]}],
    "ramp": steps(0.5, 10),
}
LINE = (
    '{"attempt":1,"control":{"name":"off","value":"gr\\u00fcn"},'
    '"eligibility":[{"attribute":"country","in":["US","CA"]},{"attribute":"plan","notIn":["free"]},'
    '{"attribute":"appVersion","semver":[["\\u003e=",[2,4,0]],["\\u003c",[3,0,0]]]},{"attribute":"user.age","greaterOrEqual":18},'
    '{"attribute":"since","before":"2026-12-01T07:00:00.500000Z"},{"attribute":"beta","is":false}],'
    '"format":1,"gate":"new-checkout","generation":1796126401,"hashInput":"CBOR",'
    '"overrides":[{"units":["qa-1","qa-2"],"variant":"on"}],"percent":0.5,"salt":"pepper","unit":"userId",'
    '"variants":[{"name":"off","value":"gr\\u00fcn","weight":1},{"name":"on","value":"blau","weight":3}]}'
)


def draw_of(spec: Spec) -> str:
    return draw_digest(compile_draw(spec, salt_of(spec, "shop", "new-checkout")))


def line_of(story: Story) -> str:
    assert story.data is not None
    return story.data[KEY]


def test_an_entry_is_one_canonical_line() -> None:
    assert line_of(Story(**FULL).ramp_to(0.5)) == LINE


@pytest.mark.parametrize(
    ("item", "rendered"),
    [
        ({"any": [{"attribute": "plan", "equals": "pro"}]}, {"any": [{"attribute": "plan", "equals": "pro"}]}),
        ({"not": {"attribute": "age", "lessThan": 18.0}}, {"not": {"attribute": "age", "lessThan": 18}}),
        (
            {"all": [{"not": {"attribute": "v", "semver": "^2"}}, {"any": [{"attribute": "v", "semver": "<1 || 3.x"}]}]},
            {
                "all": [
                    {"not": {"attribute": "v", "semver": [[">=", [2, 0, 0]], ["<", [3, 0, 0]]]}},
                    {"any": [{"attribute": "v", "semverAny": [[["<", [1, 0, 0]]], [[">=", [3, 0, 0]], ["<", [4, 0, 0]]]]}]},
                ]
            },
        ),
        (
            {"not": {"any": [{"attribute": "since", "after": "2026-12-01T09:00:00+02:00"}, {"attribute": "beta", "exists": False}]}},
            {"not": {"any": [{"attribute": "since", "after": "2026-12-01T07:00:00Z"}, {"attribute": "beta", "exists": False}]}},
        ),
    ],
    ids=["any", "not", "groups of versions", "groups of instants"],
)
def test_groups_are_rendered_as_they_stand_and_what_is_in_them_as_anywhere(item: dict[str, Any], rendered: dict[str, Any]) -> None:
    line = line_of(Story(eligibility=[item]).ramp_to(10))
    assert json.loads(line)["eligibility"] == [rendered]
    assert parse_entry(line).problem == ""


def test_a_whole_percentage_is_written_as_an_integer() -> None:
    assert '"percent":10,' in line_of(Story().ramp_to(10))
    assert [number(percent) for percent in (10.0, 0.5, 0.0)] == [10, 0.5, 0]
    assert isinstance(number(10.0), int)


@pytest.mark.parametrize(("fields", "salt"), [({}, "shop/new-checkout"), ({"salt": "s"}, "s")])
def test_the_salt_is_the_experiments_name_unless_it_is_given(fields: dict[str, str], salt: str) -> None:
    assert Story(**fields).settle().entry.content["salt"] == salt


def test_what_everybody_is_the_default_is_left_out() -> None:
    content = Story().ramp_to(1).entry.content
    assert not {"eligibility", "overrides", "ship", "latch", "serve"} & content.keys()


@pytest.mark.parametrize(
    ("edit", "latch", "serve"), [({"killed": True}, "Kill", "KILLED"), ({}, "Guardrail", "ROLLED_BACK")], ids=["killed", "rolled back"]
)
def test_an_ended_attempt_is_the_frozen_fields_alone(edit: dict[str, Any], latch: str, serve: str) -> None:
    story = Story(**FULL, guardrails=[ERRORS]).ramp_to(10).edit(**edit).wait("1s")
    story.decide_with(BAD)
    assert json.loads(line_of(story)) == {
        "attempt": 1, "control": {"name": "off", "value": "grün"}, "format": 1, "gate": "new-checkout",
        "generation": story.known.rules and story.known.rules.generation, "latch": latch, "percent": 0, "serve": serve,
    }  # fmt: skip


def test_a_shipped_gate_keeps_eligibility_and_overrides() -> None:
    story = Story(**FULL).ramp_to(10).edit(ship={"attempt": 1, "variant": "on"}).settle()
    assert (story.entry.content["ship"], story.entry.content["percent"]) == ("on", 100)
    assert {"eligibility", "overrides", "variants"} <= story.entry.content.keys()


def test_the_sdk_reads_every_entry() -> None:
    story = Story(**FULL)
    for _ in range(6):
        story.settle().wait("1m")
        assert parse_entry(line_of(story), gate="new-checkout").problem == ""
    story.edit(killed=True).settle()
    assert parse_entry(line_of(story), gate="new-checkout").serve == "KILLED"


def test_a_kill_needs_no_accepted_spec_but_an_entry_that_knows_control() -> None:
    story = Story().ramp_to(10).edit(invalid="no", killed=True)
    story.accepted = None
    story.settle()
    assert (story.entry.content["serve"], story.entry.content["control"]) == ("KILLED", {"name": "off", "value": False})
    assert compile_content(story.experiment, story.known, None) is None


def test_without_an_accepted_spec_nothing_else_is_written() -> None:
    story = Story().ramp_to(10).edit(invalid="no")
    before = line_of(story)
    story.accepted = None
    story.settle()
    assert line_of(story) == before
    assert compile_entry(story.experiment, story.known, story.seen.entry) is None


def test_only_the_content_that_was_numbered_is_written() -> None:
    story = Story().ramp_to(10)
    assert compile_entry(story.edit(overrides=[{"variant": "on", "units": ["qa"]}]).experiment, story.known, None) is None
    assert compile_entry(story.experiment, story.known.model_copy(update={"rules": None}), None) is None


@pytest.mark.parametrize(
    ("line", "room", "there", "written"),
    [
        ("x" * 10, 10, None, True),
        ("x" * 11, 10, None, False),
        ("x" * 11, 10, "y" * 11, True),
        ("x" * 12, 10, "y" * 11, False),
        ("ü" * 5, 10, None, True),
        ("ü" * 6, 11, None, False),
        ("x" * 12, 0, "ü" * 6, True),
    ],
    ids=["it fits", "it does not", "it does not grow", "it grows", "bytes that fit", "bytes that do not", "bytes that do not grow"],
)
def test_an_entry_must_fit_or_not_grow(line: str, room: int, there: str | None, written: bool) -> None:
    assert fits(line, RulesSeen(ownership=Ownership.OURS, line=there, room=room)) is written


def test_a_digest_follows_the_value_and_not_its_spelling() -> None:
    assert digest({"a": 1, "b": "ü"}) == digest({"b": "ü", "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest("")) == 16


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        ({"salt": "s"}, False), ({"unit": "u"}, False), ({"hashInput": "CBOR"}, False), ({"control": "on"}, False),
        ({"variants": [{"name": "off", "value": False}, {"name": "on", "value": 1}]}, False),
        ({"variants": [{"name": "off", "value": False}, {"name": "on", "value": True, "weight": 2}]}, False),
        ({"owner": "others"}, True), ({"eligibility": [{"attribute": "a", "in": ["b"]}]}, True), ({"ramp": steps(5)}, True),
    ],
)  # fmt: skip
def test_what_draws_the_units(edit: dict[str, Any], same: bool) -> None:
    assert (draw_of(make_spec(**edit)) == draw_of(make_spec())) is same


def test_a_draw_is_known_by_a_spec_and_by_its_entry() -> None:
    story = Story(**FULL).ramp_to(10)
    assert draw_digest(story.entry.content) == draw_digest(compile_draw(story.spec, "pepper"))
    assert draw_of(make_spec(salt="shop/new-checkout")) == draw_of(make_spec())
