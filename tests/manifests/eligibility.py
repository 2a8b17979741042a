"""The table of manifests: what is said of who is eligible."""

from typing import Any

from tests.manifests.table import REMOVED, Row
from tests.manifests.words import ONE_TEST_OR_GROUP, TIME_RULE, must_be

CONDITION = "spec.eligibility[0]"
TESTS: dict[str, Any] = {
    "in": ["US"],
    "notIn": ["US"],
    "semver": ">=2.4.0 <3.0.0",
    "equals": "",
    "is": False,
    "exists": False,
    "startsWith": ["a"],
    "endsWith": ["a"],
    "contains": ["a"],
    "greaterThan": 0,
    "greaterOrEqual": -0.5,
    "lessThan": 9e15,
    "lessOrEqual": -9e15,
    "before": "2026-12-01T09:00:00+05:30",
    "after": "2026-12-01T09:00:00.5Z",
}
TEXTS = ("startsWith", "endsWith", "contains")
NUMBERS = ("greaterThan", "greaterOrEqual", "lessThan", "lessOrEqual")

ELIGIBILITY = (
    Row("no eligibility is everybody", {"spec.eligibility": REMOVED}),
    Row("an empty eligibility is refused", {"spec.eligibility": []}, (("spec.eligibility", "should have at least 1 items"),)),
    Row("a condition without a test is refused", {CONDITION: {"attribute": "country"}}, ((CONDITION, ONE_TEST_OR_GROUP),)),
    *(Row(f"the test {name} is accepted", {CONDITION: {"attribute": "user.plan", name: test}}) for name, test in TESTS.items()),
    *(
        Row(
            f"{name} beside another test is refused",
            {CONDITION: {"attribute": "x", "in": ["a"], name: test}},
            ((CONDITION, ONE_TEST_OR_GROUP),),
        )
        for name, test in TESTS.items()
        if name != "in"
    ),
    Row("a test that is null does not count", {f"{CONDITION}.semver": None}),
    Row("a condition that is null is refused", {"spec.eligibility[1]": None}, must_be("spec.eligibility[1]", "object", "null")),
    Row(
        "Norway, which YAML reads as false, is refused",
        {f"{CONDITION}.in": ["US", False]},
        must_be(f"{CONDITION}.in[1]", "string", "boolean"),
    ),
    Row("an empty text is a value", {f"{CONDITION}.in": [""]}),
    Row("no value at all is refused", {f"{CONDITION}.in": []}, ((f"{CONDITION}.in", "should have at least 1 items"),)),
    Row("a thousand values are accepted", {f"{CONDITION}.in": [f"{n:0256}" for n in range(1000)]}),
    Row(
        "a thousand and one values are refused",
        {f"{CONDITION}.in": ["US"] * 1001},
        ((f"{CONDITION}.in", "Too many: 1001: must have at most 1000 items"),),
    ),
    *(
        Row(
            f"an empty text, with which every text {name}, is refused",
            {CONDITION: {"attribute": "x", name: ["a", ""]}},
            ((f"{CONDITION}.{name}[1]", "should be at least 1 chars long"),),
        )
        for name in TEXTS
    ),
    Row(
        "a hundred and one texts are refused",
        {CONDITION: {"attribute": "x", "contains": ["a"] * 101}},
        ((f"{CONDITION}.contains", "Too many: 101: must have at most 100 items"),),
    ),
    *(
        Row(
            f"{name} beyond what is a whole number everywhere is refused",
            {CONDITION: {"attribute": "x", name: 9e15 + 2}},
            ((f"{CONDITION}.{name}", "should be less than or equal to 9e+15"),),
        )
        for name in NUMBERS
    ),
    *(
        Row(f"{sentence} is refused", {CONDITION: {"attribute": "x", name: test}}, must_be(f"{CONDITION}.{name}", wanted, found))
        for sentence, name, test, wanted, found in (
            ("a number as a text", "lessThan", "3", "number", "string"),
            ("a boolean as a text", "is", "yes", "boolean", "string"),
            ("a text that YAML reads as a number", "equals", 7, "string", "integer"),
        )
    ),
    Row(
        "an instant without an offset is refused",
        {CONDITION: {"attribute": "x", "before": "2026-12-01T09:00:00"}},
        must_be(f"{CONDITION}.before", "date-time", "2026-12-01T09:00:00"),
    ),
    Row(
        "an instant of another age is refused",
        {CONDITION: {"attribute": "x", "after": "1999-12-31T23:59:59Z"}},
        ((f"{CONDITION}.after", TIME_RULE),),
    ),
)
