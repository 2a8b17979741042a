"""The table of manifests: what is said of `all`, `any` and `not` around conditions."""

from typing import Any

from tests.manifests.eligibility import CONDITION, TESTS
from tests.manifests.table import Row
from tests.manifests.words import ONE_OF_FOUR, ONE_TEST, ONE_TEST_OR_GROUP, TIME_RULE, must_be

PRO: dict[str, Any] = {"attribute": "plan", "equals": "pro"}
PLACES = {"all": "all[0]", "any": "any[0]", "not": "not"}
"""Where the only test of a group stands."""
NOTHING: dict[str, Any] = {}


def group(join: str, test: Any) -> dict[str, Any]:
    return {join: test if join == "not" else [test]}


PAIRS = [(outer, inner) for outer in PLACES for inner in PLACES]

GROUPS = (
    *(Row(f"{join} is accepted", {CONDITION: group(join, PRO)}) for join in PLACES),
    *(Row(f"{inner} within {outer} is accepted", {CONDITION: group(outer, group(inner, PRO))}) for outer, inner in PAIRS),
    *(
        Row(
            f"{name} is accepted within groups",
            {CONDITION: {"any": [{"attribute": "x", name: test}, {"not": {"attribute": "x", name: test}}]}},
        )
        for name, test in TESTS.items()
    ),
    Row("a group that is null does not count", {f"{CONDITION}.any": None}),
    Row("groups as long as they may be are accepted", {"spec.eligibility": [{"any": [{"all": [PRO] * 8}] * 16}] * 16}),
    *(
        Row(
            f"a third level, of {join}, is refused",
            {CONDITION: {"any": [{"all": [PRO | group(join, PRO)]}]}},
            ((f"{CONDITION}.any[0].all[0].{join}", f'unknown field "{CONDITION}.any[0].all[0].{join}"'),),
        )
        for join in PLACES
    ),
    *(
        Row(f"an empty {join} is refused", {CONDITION: {join: []}}, ((f"{CONDITION}.{join}", "should have at least 1 items"),))
        for join in ("all", "any")
    ),
    *(
        Row(
            f"an empty {join} within a not is refused",
            {CONDITION: {"not": {join: []}}},
            ((f"{CONDITION}.not.{join}", "should have at least 1 items"),),
        )
        for join in ("all", "any")
    ),
    Row("an all that is no list is refused", {CONDITION: {"all": {}}}, must_be(f"{CONDITION}.all", "array", "object")),
    Row("a not that is a list is refused", {CONDITION: {"not": []}}, must_be(f"{CONDITION}.not", "object", "array")),
    Row("a test that is null within an any is refused", {CONDITION: {"any": [None]}}, must_be(f"{CONDITION}.any[0]", "object", "null")),
    Row("nothing at all is no item", {CONDITION: NOTHING}, ((CONDITION, ONE_OF_FOUR),)),
    *(
        Row(f"nothing within {join} is no test", {CONDITION: group(join, NOTHING)}, ((f"{CONDITION}.{PLACES[join]}", ONE_OF_FOUR),))
        for join in PLACES
    ),
    *(Row(f"{join} beside a condition is refused", {CONDITION: PRO | group(join, PRO)}, ((CONDITION, ONE_OF_FOUR),)) for join in PLACES),
    Row("all beside any is refused", {CONDITION: {"all": [PRO], "any": [PRO]}}, ((CONDITION, ONE_OF_FOUR),)),
    Row(
        "all beside not is refused within a group",
        {CONDITION: {"any": [PRO, {"all": [PRO], "not": PRO}]}},
        ((f"{CONDITION}.any[1]", ONE_OF_FOUR),),
    ),
    Row("a test beside a group is refused", {CONDITION: {"any": [PRO], "equals": "pro"}}, ((CONDITION, ONE_TEST_OR_GROUP),)),
    Row(
        "a test without an attribute is refused",
        {CONDITION: {"equals": "pro"}},
        ((CONDITION, ONE_OF_FOUR), (CONDITION, ONE_TEST_OR_GROUP)),
    ),
    Row(
        "an attribute without a test is refused within a group",
        {CONDITION: {"any": [PRO, {"attribute": "x"}]}},
        ((f"{CONDITION}.any[1]", ONE_TEST_OR_GROUP),),
    ),
    Row(
        "an attribute without a test is refused within two groups",
        {CONDITION: {"any": [{"not": {"attribute": "x"}}]}},
        ((f"{CONDITION}.any[0].not", ONE_TEST),),
    ),
    Row(
        "an attribute with two tests is refused within two groups",
        {CONDITION: {"not": {"all": [PRO, PRO | {"in": ["pro"]}]}}},
        ((f"{CONDITION}.not.all[1]", ONE_TEST),),
    ),
    Row(
        "an instant of another age is refused within two groups",
        {CONDITION: {"not": {"any": [{"attribute": "x", "after": "1999-12-31T23:59:59Z"}]}}},
        ((f"{CONDITION}.not.any[0].after", TIME_RULE),),
    ),
    Row(
        "seventeen items of a group are refused",
        {CONDITION: {"any": [PRO] * 17}},
        ((f"{CONDITION}.any", "Too many: 17: must have at most 16 items"),),
    ),
    Row(
        "nine items of a group within a group are refused",
        {CONDITION: {"any": [{"all": [PRO] * 9}]}},
        ((f"{CONDITION}.any[0].all", "Too many: 9: must have at most 8 items"),),
    ),
)
