"""What the golden vectors ask: entries of every kind, and contexts on both sides of every bound.

Knows entries and contexts as JSON; the answers are tools/vectors.py's. It must not import rampgate.
"""

import json
from collections.abc import Iterator
from itertools import chain, product
from typing import Any

Json = dict[str, Any]

EVERYBODY: Json = {
    "attempt": 1,
    "control": {"name": "control", "value": False},
    "format": 1,
    "gate": "new-checkout",
    "generation": 1795600000,
    "hashInput": "UTF8",
    "percent": 50,
    "salt": "shop/new-checkout",
    "unit": "userId",
    "variants": [{"name": "control", "value": False, "weight": 1}, {"name": "treatment", "value": True, "weight": 1}],
}
TARGETED: Json = {
    **EVERYBODY,
    "eligibility": [
        {"attribute": "country", "in": ["US", "CA"]},
        {"attribute": "appVersion", "semver": [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]},
        {"attribute": "plan", "notIn": ["free"]},
    ],
    "overrides": [{"units": ["qa-1", "qa-ü"], "variant": "treatment"}, {"units": ["qa-2", "qa-1"], "variant": "control"}],
    "percent": 100,
}
FROZEN: Json = {field: EVERYBODY[field] for field in ("attempt", "control", "format", "gate", "generation")}
MANY: Json = {
    **EVERYBODY,
    "control": {"name": "off", "value": "blue"},
    "variants": [{"name": name, "value": name * 2, "weight": weight} for name, weight in (("a", 1), ("off", 2), ("b", 0), ("c", 3))],
}
MANY["variants"][1]["value"] = "blue"

ENTRIES: dict[str, Json] = {
    "everybody at 50 %": EVERYBODY,
    "everybody at 0 %": {**EVERYBODY, "percent": 0},
    "everybody at 12.34 %, CBOR": {**EVERYBODY, "percent": 12.34, "hashInput": "CBOR"},
    "four variants": MANY,
    "values are objects": {
        **EVERYBODY,
        "control": {"name": "control", "value": {"size": 1}},
        "variants": [{"name": "control", "value": {"size": 1}, "weight": 1}, {"name": "treatment", "value": {"size": 2}, "weight": 1}],
    },
    "targeted": TARGETED,
    "shipped": {**TARGETED, "ship": "treatment"},
    "rolled back": {**FROZEN, "latch": "Guardrail", "percent": 0, "serve": "ROLLED_BACK"},
    "killed": {**FROZEN, "latch": "Kill", "percent": 0, "serve": "KILLED"},
    "serve is a word of the future": {**FROZEN, "percent": 0, "serve": "ARCHIVED"},
    "rolled back in a newer format": {**FROZEN, "format": 7, "latch": "Deadline", "percent": 0, "serve": "ROLLED_BACK"},
    "newer format": {**EVERYBODY, "format": 2},
    "unknown operator": {**EVERYBODY, "eligibility": [{"attribute": "country", "matches": "^U"}]},
    "two operators in one condition": {**EVERYBODY, "eligibility": [{"attribute": "country", "in": ["US"], "notIn": ["CA"]}]},
    "unknown hashInput": {**EVERYBODY, "hashInput": "SHA256"},
    "no salt": {field: value for field, value in EVERYBODY.items() if field != "salt"},
    "ship names no variant": {**EVERYBODY, "ship": "other"},
    "control is no variant": {**EVERYBODY, "control": {"name": "other", "value": False}},
    "weights sum to 0": {**EVERYBODY, "variants": [{**variant, "weight": 0} for variant in EVERYBODY["variants"]]},
    "an unknown field is ignored": {**EVERYBODY, "note": "of a later version"},
    "variants of reserved names": {
        **EVERYBODY,
        "control": {"name": "baseline", "value": False},
        "variants": [{"name": name, "value": name == "none", "weight": 1} for name in ("baseline", "none")],
    },
    "empty lists": {**EVERYBODY, "eligibility": [], "overrides": [{"units": [], "variant": "treatment"}]},
}
UNITS: dict[str, Json] = {
    "the unit has a dot": {**EVERYBODY, "percent": 100, "unit": "user.id"},
    "the unit has a dot, and an override": {
        **EVERYBODY,
        "percent": 100,
        "unit": "user.id",
        "overrides": [{"units": ["u"], "variant": "treatment"}],
    },
}
ENTRIES |= UNITS


def weighing(*weights: Any) -> list[Json]:  # noqa: ANN401  # JSON
    """Give the variants of EVERYBODY these weights."""
    return [{**variant, "weight": weight} for variant, weight in zip(EVERYBODY["variants"], weights, strict=True)]


ENTRIES["weights sum to 2147483647"] = {**EVERYBODY, "percent": 100, "variants": weighing(2147483646, 1)}
MISTYPED: dict[str, Json] = {
    "a negative weight": {"variants": weighing(-1, 3)},
    "weights sum to 2147483648": {"variants": weighing(2147483647, 1)},
    "1.0 as a weight": {"variants": weighing(1.0, 1)},
    "true as a weight": {"variants": weighing(True, 1)},
    "a text as a weight": {"variants": weighing("1", 1)},
    "null as a weight": {"variants": weighing(None, 1)},
    "no variants": {"variants": []},
    "variants are an object": {"variants": {"control": 1}},
    "a variant is null": {"variants": [*weighing(1, 1), None]},
    "a variant has no value": {"variants": [*weighing(1, 1), {"name": "other", "weight": 1}]},
    "a variant's name is a number": {"variants": [*weighing(1, 1), {"name": 1, "value": 1, "weight": 1}]},
    "two variants of one name": {"variants": [*weighing(1, 1), *weighing(1, 1)]},
    "an empty unit in an override": {"overrides": [{"units": ["qa-1", ""], "variant": "treatment"}]},
    "a number in an override": {"overrides": [{"units": ["qa-1", 5], "variant": "treatment"}]},
    "an override of a text": {"overrides": [{"units": "qa-1", "variant": "treatment"}]},
    "an override without units": {"overrides": [{"variant": "treatment"}]},
    "an override names no variant": {"overrides": [{"units": ["qa-1"], "variant": "other"}]},
    "an override is null": {"overrides": [None]},
    "overrides are an object": {"overrides": {"treatment": ["qa-1"]}},
    **{f"{field} is null": {field: None} for field in ("salt", "unit", "hashInput", "variants", "eligibility", "overrides", "ship")},
    "unit is a list": {"unit": ["userId"]},
    "eligibility is an object": {"eligibility": {"attribute": "plan", "equals": "pro"}},
}
OPERANDS: dict[str, tuple[Any, ...]] = {
    "equals": (["pro"], None),
    "in": ("pro", ["pro", 1]),
    "notIn": ("free", [None]),
    "startsWith": ("pro",),
    "endsWith": ("pro",),
    "contains": ("pro",),
    "is": (1, "true"),
    "exists": (None, 1),
    "greaterThan": ("3",),
    "greaterOrEqual": (None,),
    "lessThan": (True,),
    "lessOrEqual": ([1],),
    "before": (0, "2026-12-01", "2026-12-01T07:00:00"),
    "after": (None, "2026-12-01T07:00:00+24:00", "2026-12-01T07:00:60Z"),
    "semver": (
        [], ">=2", [[]], [[">=", [2, 4]]], [[">=", [2, 4, 0, 0]]], [["~", [2, 4, 0]]], [[">=", "2.4.0"]], [[">=", [True, 0, 0]]],
        [">=", [2, 4, 0]], [[">=", [2, 4, 0], 1]],
    ),
    "semverAny": ([], [[]], [[">=", [2, 4, 0]]]),
}  # fmt: skip
"""What is no operand of its operator."""

NO_CONDITIONS: tuple[Any, ...] = (
    *(None, {}, {"attribute": "plan"}, {"equals": "pro"}, {"attribute": 1, "equals": "pro"}),
    *({"attribute": "plan", name: operand} for name, operands in OPERANDS.items() for operand in operands),
)
MISTYPED |= {f"{json.dumps(condition)} is no condition": {"eligibility": [condition]} for condition in NO_CONDITIONS}
MISTYPED["1.0 in a version"] = {"eligibility": [{"attribute": "appVersion", "semver": [[">=", [1.0, 0, 0]]]}]}
ENTRIES |= {name: {**EVERYBODY, "percent": 100, **changes} for name, changes in MISTYPED.items()}

TESTS: dict[str, Json] = {
    "equals": {"equals": "pro"},
    "is true": {"is": True},
    "is false": {"is": False},
    "exists": {"exists": True},
    "exists not": {"exists": False},
    "startsWith": {"startsWith": ["pro", "ü"]},
    "endsWith": {"endsWith": ["@shop.example", "ü"]},
    "contains": {"contains": ["beta", "ü"]},
    "greaterThan": {"greaterThan": 3},
    "greaterOrEqual": {"greaterOrEqual": 2.5},
    "lessThan": {"lessThan": 3},
    "lessOrEqual": {"lessOrEqual": -1},
    "greaterThan 2^53": {"greaterThan": 2**53},
    "greaterOrEqual 2^53 + 1": {"greaterOrEqual": 2**53 + 1},
    "lessThan 2^53 + 1": {"lessThan": 2**53 + 1},
    "lessOrEqual -2^53 - 1": {"lessOrEqual": -(2**53) - 1},
    "greaterThan 2^63 - 1": {"greaterThan": 2**63 - 1},
    "before": {"before": "2026-12-01T07:00:00Z"},
    "before nanoseconds": {"before": "2026-12-01T07:00:00.0000019Z"},
    "after": {"after": "2026-12-01T07:00:00.5Z"},
    "after nanoseconds": {"after": "2026-12-01T07:00:00.0000019Z"},
    "semverAny": {"semverAny": [[["<", [1, 0, 0]]], [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]]},
}
ENTRIES |= {name: {**EVERYBODY, "percent": 100, "eligibility": [{"attribute": "user.x", **test}]} for name, test in TESTS.items()}
TESTED: tuple[Any, ...] = (
    None, "", "pro", "Pro", "prof", "xü", "ü", "u\u0308", "a@shop.example", "xbetax", "3", "true", [], ["pro"], {}, {"x": "pro"},
    True, False, 0, 1, 3, 3.0, 2.5, 2.4999, -1, -1.5, 2**53,
    "2026-12-01T07:00:00Z", "2026-12-01T06:59:59.999999Z", "2026-12-01t09:00:00.500+02:00", "2026-12-01 09:00:00.501+02:00",
    "2026-12-01T07:00:00", "2026-12-01", "2026-02-30T00:00:00Z", "2026-12-01T24:00:00Z", "2026-12-01T07:00:60Z", "20261201T070000Z",
    "2026-12-01T07:00Z", "2026-W49-2T07:00:00Z", "2026-12-01T07:00:00+0200", "2026-12-01T07:00:00+25:00",
    "2026-12-01T08:00:00+00:60", "0000-01-01T00:00:00Z", "0.9", "1", "v2.4", "2.4.0-rc.1", "3", 2.5,
)  # fmt: skip

LARGE = (*(sign * (2**53 + more) for sign in (1, -1) for more in (-1, 0, 1, 2)), 2.0**53, 2**63 - 1, 2**63, 2.0**63, 2**64, -(2**63))
INSTANTS = (
    *(f"2026-12-01T07:00:00.{digits}Z" for digits in (
        "0", "000001", "0000006", "0000010", "0000015", "0000019", "000001999", "000002", "500", "5000006", "500000999", "500001",
        "5000000000", "",
    )),
    "2026-12-01T06:59:59.9999999Z", "2026-12-01T06:59:59.999999999Z", "2026-12-01T07:00:00,5Z", "2026-12-01T07:00:00-00:00",
    "2026-12-01T07:00:00+24:00", "2026-12-05T07:00:00-24:00", "2026-12-02T06:59:00+23:59", "2026-12-01T07:00:00-23:59",
    "2026-12-31T23:59:60Z", "2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5z", "2026-12-01t06:00:00z", "2026-12-01t08:00:00z",
    "2026-12-01 08:00:00z", "2026-12-01_08:00:00Z", "2026-12-01T08:60:00Z", "2026-12-01T8:00:00Z", " 2026-12-01T08:00:00Z",
    "2026-12-01T08:00:00Z\n", "2026-12-01T08:00:00", "2026-12-01T08:00:00 Z", "2026-13-01T08:00:00Z", "2024-02-29T00:00:00Z",
    "2025-02-29T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "10000-01-01T00:00:00Z", "２０２６-12-01T08:00:00Z",
)  # fmt: skip

PRO: Json = {"attribute": "plan", "equals": "pro"}
FREE: Json = {"attribute": "plan", "equals": "free"}
ADULT: Json = {"attribute": "user.age", "greaterOrEqual": 18}
OLD: Json = {"attribute": "appVersion", "semver": [["<", [2, 0, 0]]]}


def within(levels: int, test: Json) -> Json:
    """Put a test within as many groups: `all`, `any` and `not` in turn."""
    for level in range(levels):
        test = {"not": test} if level % 3 == 2 else {("all", "any")[level % 3]: [test]}
    return test


NESTS: dict[str, list[Json]] = {
    "any": [{"any": [PRO, ADULT]}],
    "all": [{"all": [PRO, ADULT]}],
    "not": [{"not": PRO}],
    "not of a path": [{"not": ADULT}],
    "not of notIn": [{"not": {"attribute": "plan", "notIn": ["pro"]}}],
    "not of exists": [{"not": {"attribute": "user.age", "exists": True}}],
    "not of not": [{"not": {"not": ADULT}}],
    "not of any": [{"not": {"any": [PRO, ADULT]}}],
    "not of all": [{"not": {"all": [PRO, ADULT]}}],
    "groups of one test": [{"all": [PRO]}, {"any": [ADULT]}],
    "two groups, both of which must hold": [{"any": [PRO, FREE]}, {"any": [ADULT, {"not": OLD}]}],
    "groups within groups beside a condition": [ADULT, {"any": [{"all": [PRO, OLD]}, {"not": {"any": [FREE, {"not": OLD}]}}]}],
    "eight levels": [within(8, PRO)],
}
UNKNOWN_NESTS: dict[str, list[Json]] = {
    "nine levels": [within(9, PRO)],
    "nine levels of not": [{"not": within(8, PRO)}],
    "an empty all": [{"all": []}],
    "an empty any within a not": [{"not": {"any": []}}],
    "an all that is no list": [{"all": PRO}],
    "a not that is a list": [{"not": [PRO]}],
    "a group of no tests": [{"any": [PRO, None]}],
    "a group beside a condition": [{**PRO, "any": [ADULT]}],
    "two groups in one": [{"all": [PRO], "not": FREE}],
    "an unknown group": [{"none": [PRO]}],
    "an unknown operator within a group": [{"any": [PRO, {"attribute": "plan", "matches": "^p"}]}],
}
ENTRIES |= {name: {**EVERYBODY, "percent": 100, "eligibility": tests} for name, tests in (NESTS | UNKNOWN_NESTS).items()}

FITTING = {"userId": "user-1", "country": "US", "appVersion": "2.4.0", "plan": "pro"}
VERSIONS = ("2.4.0", "v2.4", "V2.4.1", "2.4.0-rc.1", "v2.4.1-rc.1+build", "2.9", "3", "3.0.0-rc.1", "3.0.0", "2.10.0", "2", "02.4.0")
NO_VERSIONS = ("", "latest", "2.4.x", "2.4.0.1", "2.4.", "vv2.5", " 2.5", "2.5 ", "2.5-", "2.5+", "2.5\n", "٢.٥")


def contexts() -> Iterator[Json]:
    """Contexts that every entry is asked with whose tests are not the point."""
    yield {}
    yield from ({"userId": unit} for unit in ("", None, 5, True, ["user-1"], "qa-1", "qa-ü", "qa-2"))
    yield from ({"userId": f"user-{number}"} for number in range(6))
    yield from ({**FITTING, "userId": unit} for unit in ("user-1", "user-2", "ユーザー", "qa-1", "", None, 5))
    yield {key: value for key, value in FITTING.items() if key != "userId"}


def targeting_contexts() -> Iterator[Json]:
    """Contexts that differ from a fitting one in one attribute: missing, mistyped, on both sides of each bound."""
    for attribute, values in {
        "country": ("CA", "us", "DE", "", None, 1, True, ["US"], {"US": 1}),
        "plan": ("free", "Free", "", None, 0, False, ["pro"]),
        "appVersion": (*VERSIONS, *NO_VERSIONS, None, 2.4, [2, 4, 0]),
    }.items():
        yield {key: value for key, value in FITTING.items() if key != attribute}
        yield from ({**FITTING, attribute: value} for value in values)


def tested_contexts(test: Json) -> Iterator[Json]:
    """Contexts of every type and on both sides of each bound, the attribute within another one, under its whole name, and not there."""
    yield {"userId": "user-1"}
    yield {"userId": "user-1", "user": "pro"}
    yield {"userId": "user-1", "user": {"y": "pro"}}
    yield {"userId": "user-1", "user": {"x": "free"}, "user.x": "pro"}
    (operator,) = test
    more: tuple[Any, ...] = INSTANTS if operator in ("before", "after") else LARGE if operator.startswith(("greater", "less")) else ()
    for value in (*TESTED, *more):
        yield {"userId": "user-1", "user": {"x": value}}


def unit_contexts() -> Iterator[Json]:
    """Contexts that have the attribute `user.id` under its whole name, along the dot, under both, and under neither."""
    yield from ({"user": {"id": "u"}}, {"user.id": "u"}, {}, {"user.id": "u-2", "user": {"id": "u"}})
    yield from ({"user.id": unit, "user": {"id": "u"}} for unit in (None, "", 5))
    yield from ({"user": "u"}, {"user": {"id": 5}})


def nested_contexts() -> Iterator[Json]:
    """Contexts in which each of the attributes fits, does not, is mistyped, and is missing."""
    plans: tuple[Json, ...] = ({}, {"plan": "pro"}, {"plan": "free"}, {"plan": None}, {"plan": ["pro"]})
    users: tuple[Json, ...] = ({}, {"user": {"age": 18}}, {"user": {"age": 17.5}}, {"user": {"age": "18"}}, {"user": 18})
    versions: tuple[Json, ...] = ({}, {"appVersion": "1.9"}, {"appVersion": "2"})
    for parts in product(plans, users, versions):
        yield {"userId": "user-1", **{name: value for part in parts for name, value in part.items()}}


def contexts_of(name: str) -> Iterator[Json]:
    """The contexts that an entry is asked with."""
    if name in TESTS:
        return tested_contexts(TESTS[name])
    if name in UNITS:
        return unit_contexts()
    if name in MISTYPED:
        return iter([FITTING, {**FITTING, "userId": ""}])
    if name in NESTS:
        return nested_contexts()
    if name in UNKNOWN_NESTS:
        return iter([FITTING, {}])
    return chain(contexts(), targeting_contexts() if name == "targeted" else ())
