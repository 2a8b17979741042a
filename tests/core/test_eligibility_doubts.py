"""core/eligibility_doubts: what may be said of who is eligible, and most likely is not meant."""

import json
from typing import Any

import pytest

from rampgate_operator.core.eligibility_doubts import conditions_that_exclude_each_other
from rampgate_operator.core.lint import Terms, lint
from rampgate_operator.core.spec import Spec
from tests.core.story import SPEC
from tests.manifests.table import changed, minimal_manifest

PRO: dict[str, Any] = {"attribute": "plan", "equals": "pro"}
FREE: dict[str, Any] = {"attribute": "plan", "equals": "free"}
NEVER = "never matches where spec.eligibility[0] does: no 'x' passes both"


def x(name: str, operand: object) -> dict[str, Any]:
    return {"attribute": "x", name: operand}


def warnings(*items: dict[str, Any]) -> list[tuple[str, str]]:
    findings = lint(json.dumps(changed(minimal_manifest(), {"spec.eligibility": list(items)})), Terms()).findings
    assert [finding for finding in findings if finding.severity != "warning"] == []
    return [(finding.path, finding.message) for finding in findings]


@pytest.mark.parametrize(
    ("item", "path", "said"),
    [
        ({"not": {"attribute": "plan", "notIn": ["free"]}}, "spec.eligibility[0].not", "where nothing is known of the attribute; write in"),
        ({"not": {"not": PRO}}, "spec.eligibility[0].not", "write what is within both"),
        ({"any": [PRO, {"not": x("exists", True)}]}, "spec.eligibility[0].any[1].not", "write exists with the other value"),
    ],
    ids=["not of notIn", "not of not", "not of exists within a group"],
)
def test_a_negation_of_a_negation_is_doubtful(item: dict[str, Any], path: str, said: str) -> None:
    ((found, message),) = warnings(item)
    assert (found, said in message) == (path, True)


@pytest.mark.parametrize("item", [{"not": PRO}, {"not": {"any": [PRO, FREE]}}, {"any": [{"not": PRO}, {"all": [PRO]}]}])
def test_a_single_negation_is_not(item: dict[str, Any]) -> None:
    assert warnings(item) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (x("in", ["a", "b"]), x("in", ["c"])),
        (x("equals", "a"), x("equals", "b")),
        (x("equals", "a"), x("notIn", ["a"])),
        (x("startsWith", ["b"]), x("in", ["a", "ab"])),
        (x("semver", ">=2"), x("in", ["1.9", "latest"])),
        (x("equals", "5"), x("greaterThan", 3)),
        (x("is", True), x("is", False)),
        (x("is", True), x("equals", "true")),
        (x("exists", False), x("notIn", ["a"])),
        (x("exists", False), x("exists", True)),
        (x("lessThan", 3), x("greaterThan", 4)),
        (x("lessThan", 3), x("greaterOrEqual", 3)),
        (x("greaterThan", 3), x("lessOrEqual", 3)),
        (x("before", "2026-12-01T00:00:00Z"), x("after", "2026-12-01T00:00:00Z")),
    ],
)
def test_two_conditions_that_exclude_each_other_are_doubtful_in_either_order(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert warnings(one, other) == warnings(other, one) == [("spec.eligibility[1]", NEVER)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (x("in", ["a", "b"]), x("in", ["b", "c"])),
        (x("in", ["a", "b"]), x("notIn", ["a"])),
        (x("in", ["1.9", "2.1"]), x("semver", ">=2")),
        (x("exists", True), x("equals", "a")),
        (x("exists", False), x("exists", False)),
        (x("lessOrEqual", 3), x("greaterOrEqual", 3)),
        (x("greaterThan", 3), x("greaterThan", 5)),
        (x("after", "2026-12-01T00:00:00Z"), x("before", "2026-12-02T00:00:00Z")),
        (x("equals", "a"), {"attribute": "y", "equals": "b"}),
        (x("equals", "a"), {"not": x("equals", "b")}),
    ],
)
def test_two_conditions_that_can_both_hold_are_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert warnings(one, other) == warnings(other, one) == []


def test_conditions_of_an_all_must_hold_together_with_those_around_it_and_those_of_an_any_need_not() -> None:
    assert [path for path, _ in warnings(PRO, {"all": [{"all": [FREE]}]})] == ["spec.eligibility[1].all[0].all[0]"]
    assert [path for path, _ in warnings({"any": [{"all": [PRO, FREE]}]})] == ["spec.eligibility[0].any[0].all[1]"]
    assert warnings({"any": [PRO, FREE]}) == warnings({"any": [PRO]}, {"any": [FREE]}) == []


def test_thousands_of_conditions_are_judged_as_well() -> None:
    words = [f"{number:0256}" for number in range(8)]
    most = [{"all": [{"all": [x("in", words)] * 8}] * 16}] * 16
    spec = Spec.from_wire(SPEC | {"eligibility": most})
    items = tuple((f"spec.eligibility[{index}]", item) for index, item in enumerate(spec.eligibility or ()))
    assert list(conditions_that_exclude_each_other(items)) == []
