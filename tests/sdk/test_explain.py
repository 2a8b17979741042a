"""rampgate.explain: it never says anything else than what is decided, and its figures are those of the vectors."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate import Gates
from rampgate.eligibility import parse_test
from rampgate.explain import Explanation, StepName, explain
from rampgate.explain_eligibility import ask_test
from rampgate.rules import render_entry
from rampgate.snapshot import EMPTY, advance
from tests.sdk.entries import entry
from tests.sdk.nests import CONTEXTS, TESTS
from tools import vectors

NAMES = ["u-1", "u-2", "qa-1", "ü"]
UNITS = st.sampled_from(NAMES) | st.sampled_from(["", None, 5, True, ["u-1"]])
BUCKETS = [vectors.murmur3_x86_32(f"shop/g:enroll:{name}".encode()) * 10_000 >> 32 for name in NAMES]
POINTS = st.sampled_from([0, 10_000]) | st.integers(0, 10_000)
VARIANTS = (
    st.lists(st.integers(0, 3), min_size=2, max_size=4)
    .filter(any)
    .map(lambda weights: [{"name": f"v{number}", "value": number, "weight": weight} for number, weight in enumerate(weights)])
)
ENTRIES = st.fixed_dictionaries(
    {
        "percent": POINTS.map(lambda points: points / 100),
        "hashInput": st.sampled_from(["UTF8", "CBOR"]),
        "variants": VARIANTS,
        "control": st.just({"name": "v0", "value": 0}),
    },
    optional={
        "eligibility": st.lists(TESTS, max_size=3),
        "overrides": st.lists(st.fixed_dictionaries({"variant": st.sampled_from(["v0", "v1"]), "units": st.just(["qa-1"])}), max_size=2),
        "ship": st.sampled_from(["v0", "v1", "other"]),
        "serve": st.sampled_from(["KILLED", "ROLLED_BACK", "ARCHIVED"]),
        "latch": st.sampled_from(["Kill", "Guardrail"]),
        "format": st.just(2),
    },
)


def without_an_end(fields: dict[str, Any]) -> dict[str, Any]:
    """An entry that is not decided before anybody looks at the context."""
    return {name: value for name, value in fields.items() if name not in ("serve", "format") and (name, value) != ("ship", "other")}


def explained(line: str | bytes, context: dict[str, Any], *, kill: str = "", gate: str = "g") -> Explanation:
    raw = line.encode() if isinstance(line, str) else line
    return explain(advance(EMPTY, {"format": b"rampgate.dev/1", "kill": kill.encode(), "g.json": raw}).gates, gate, context)


def why(step: StepName, context: dict[str, Any], **changes: Any) -> str:
    return next(each.why for each in explained(render_entry(entry(**changes)), context).steps if each.name is step)


@settings(deadline=None)
@given(
    changes=ENTRIES | ENTRIES.map(without_an_end),
    context=CONTEXTS.flatmap(lambda context: UNITS.map(lambda unit: {**context, "userId": unit})) | CONTEXTS,
    kill=st.sampled_from(["", "", "", "", "other", "g", "*"]),
)
def test_the_decision_that_is_explained_is_the_one_that_an_application_gets(changes: Any, context: dict[str, Any], kill: str) -> None:
    line = render_entry(entry(**changes))
    found = explained(line, context, kill=kill)
    assert found.decision == Gates.from_rules({"g": line}, kill=kill).decide("g", context)
    assert [step.name for step in found.steps] == list(StepName)[: len(found.steps)]
    assert [step.decision for step in found.steps] == [*[None] * (len(found.steps) - 1), found.decision]


@pytest.mark.parametrize(("name", "bucket"), list(zip(NAMES, BUCKETS, strict=True)))
def test_a_unit_is_explained_as_enrolled_from_the_very_percentage_at_which_it_is(name: str, bucket: int) -> None:
    for points, last in ((bucket, StepName.ENROLL), (bucket + 1, StepName.ARM)):
        line = render_entry(entry(percent=points / 100))
        found = explained(line, {"userId": name})
        assert found.decision == Gates.from_rules({"g": line}).decide("g", {"userId": name})
        assert found.steps[-1].name is last


class Account(StrEnum):
    """A unit that is a text, and says something else of itself."""

    FIRST = "u-1"

    def __str__(self) -> str:
        return "first"


@pytest.mark.parametrize("percent", [0, 100])
def test_a_unit_that_is_a_member_of_an_enumeration_is_its_text(percent: int) -> None:
    line = render_entry(entry(percent=percent, eligibility=[{"attribute": "userId", "in": ["u-1"]}]))
    found = explained(line, {"userId": Account.FIRST})
    assert found == explained(line, {"userId": "u-1"})
    assert found.decision == Gates.from_rules({"g": line}).decide("g", {"userId": Account.FIRST})


@pytest.mark.parametrize(("line", "gate"), [("{", "g"), (render_entry(entry(gate="h")), "g"), (render_entry(entry()), "other")])
def test_what_no_rule_answers_is_explained_as_an_application_gets_it(line: str, gate: str) -> None:
    found = explain(advance(EMPTY, {"format": b"rampgate.dev/1", "g.json": line.encode()}).gates, gate, {}, default="mine")
    assert found.decision == Gates.from_rules({"g": line}).decide(gate, {}, default="mine")
    assert [step.name for step in found.steps] == [StepName.GATE]


def test_every_case_of_the_vectors_is_explained_with_the_decision_that_it_wants() -> None:
    document = json.loads((vectors.VECTORS / "evaluation.json").read_text())
    lines = {each["name"]: render_entry({**each["entry"], "gate": "g"}) for each in document["entries"]}
    for row in document["cases"]:
        decision = explained(lines[row["entry"]], row["context"], kill="g" if row["killed"] else "").decision
        assert [getattr(decision, field) for field in ("variant", "value", "reason", "label")] == [
            row[field] for field in ("variant", "value", "reason", "label")
        ], row


def test_the_figures_of_a_draw_are_those_of_the_vectors() -> None:
    for row in json.loads((vectors.VECTORS / "assignment.json").read_text())["assignment"]:
        variants = [{"name": f"v{number}", "value": number, "weight": weight} for number, weight in enumerate(row["weights"])]
        fields = {name: row[name] for name in ("salt", "hashInput", "percent")}
        line = render_entry(entry(**fields, variants=variants, control={"name": "v0", "value": 0}))
        steps = {step.name: step for step in explained(line, {"userId": row["unit"]}).steps}
        enroll = steps[StepName.ENROLL].figures
        assert (enroll["text"], enroll["hash"]) == (f"{row['salt']}:enroll:{row['unit']}", row["enrollHash"]), row
        assert round(enroll["bucket"] * 100) == row["enrollHash"] * 10_000 >> 32
        assert (enroll["bucket"] < enroll["percent"]) is row["enrolled"] is (StepName.ARM in steps)
        if row["enrolled"]:
            arm = steps[StepName.ARM].figures
            assert (arm["text"], arm["hash"]) == (f"{row['salt']}:arm:{row['unit']}", row["armHash"]), row
            assert next(i for i, share in enumerate(arm["shares"]) if arm["point"] < share["below"]) == row["arm"]


@settings(deadline=None)
@given(test=TESTS, context=CONTEXTS)
def test_every_test_within_a_group_is_asked_and_told_as_it_is(test: Any, context: dict[str, Any]) -> None:
    told = ask_test(parse_test(test), context)
    assert told.holds is vectors.matches(test, context)
    within = [test["not"]] if "not" in test else test.get("all") or test.get("any") or []
    assert [each.holds for each in told.within] == [vectors.matches(each, context) for each in within]


@pytest.mark.parametrize(
    ("test", "found", "said"),
    [
        ({"equals": "pro"}, None, "there is none"),
        ({"equals": "pro"}, "free", 'it is "free"'),
        ({"in": ["pro"]}, 5, "it is 5, which is no string"),
        ({"greaterThan": 3}, "18", 'it is "18", which is no number'),
        ({"greaterThan": 3}, True, "it is true, which is no number"),
        ({"is": True}, 1, "it is 1, which is no boolean"),
        ({"before": "2026-12-01T00:00:00Z"}, "2026-12-01", 'it is "2026-12-01", which is no instant'),
        ({"before": "2026-12-01T00:00:00Z"}, datetime(2026, 12, 1, tzinfo=UTC), 'it is "2026-12-01 00:00:00+00:00"'),
        ({"semver": [[">=", [2, 0, 0]]]}, "latest", 'it is "latest", which is no version'),
        ({"semverAny": [[[">=", [2, 0, 0]]]]}, "2.1", 'it is "2.1"'),
        ({"exists": False}, ["x"], 'it is ["x"]'),
        ({"equals": "pro"}, "x" * 100, 'it is "' + "x" * 78 + "…"),
    ],
)
def test_a_test_says_what_the_context_has_and_whether_it_is_of_the_right_type(test: dict[str, Any], found: object, said: str) -> None:
    assert ask_test(parse_test({"attribute": "x", **test}), {"x": found}).why == said


@pytest.mark.parametrize(
    ("test", "operator", "operand"),
    [
        ({"in": ["a", "b"]}, "in", ["a", "b"]),
        ({"semver": [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]}, "semver", ">=2.4.0 <3.0.0"),
        ({"semverAny": [[["<", [1, 0, 0]]], [["=", [2, 0, 0]]]]}, "semver", "<1.0.0 || =2.0.0"),
        ({"after": "2026-12-01T00:00:00.5Z"}, "after", "2026-12-01T00:00:00.500000Z"),
        ({"is": False}, "is", False),
    ],
)
def test_a_test_is_told_in_the_words_of_an_experiment(test: dict[str, Any], operator: str, operand: object) -> None:
    told = ask_test(parse_test({"attribute": "x", **test}), {})
    assert (told.operator, told.operand) == (operator, operand)


WEIGHTS = [{"name": name, "value": name, "weight": weight} for name, weight in (("control", 1), ("b", 0), ("c", 8))]


@pytest.mark.parametrize(
    ("step", "context", "changes", "said"),
    [
        (StepName.SERVE, {}, {"serve": "ROLLED_BACK", "latch": "Guardrail"}, "was rolled back, latched by Guardrail"),
        (StepName.SERVE, {}, {"serve": "KILLED"}, "attempt 1 was killed: everybody gets control"),
        (StepName.SERVE, {}, {"serve": "ARCHIVED"}, 'says "ARCHIVED", which this version does not know'),
        (StepName.ENTRY, {}, {"format": 2}, "not understood: format 2 is newer than 1"),
        (StepName.OVERRIDE, {"userId": "qa"}, {"overrides": [{"variant": "treatment", "units": ["qa"]}]}, 'gives "qa" treatment'),
        (StepName.OVERRIDE, {"userId": "u"}, {"overrides": [{"variant": "treatment", "units": ["qa"]}]}, 'none lists "u"'),
        (StepName.OVERRIDE, {}, {"overrides": [{"variant": "treatment", "units": ["qa"]}]}, "the context names no unit"),
        (StepName.SHIP, {}, {"ship": "treatment"}, "everybody eligible gets treatment"),
        (StepName.UNIT, {}, {}, "has no userId: give it a non-empty string"),
        (StepName.UNIT, {"userId": ""}, {}, "has an empty userId"),
        (StepName.UNIT, {"userId": 5}, {}, 'userId is 5, and a unit is a string: write "5"'),
        (StepName.ENROLL, {"userId": "u"}, {"percent": 12.34}, "% is not below 12.34 %"),
        (StepName.ENROLL, {"userId": "u"}, {"percent": 100}, "% is below 100.00 %"),
        (StepName.ARM, {"userId": "u"}, {"percent": 100, "variants": WEIGHTS}, "of 0 to 8; control has 0, b has none, c has 1 to 8"),
    ],
)
def test_a_step_says_what_it_found(step: StepName, context: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    assert said in why(step, context, **changes)
