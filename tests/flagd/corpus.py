"""What is asked of flagd's evaluators: gates for everything that a document can say, and a strategy for entries and contexts."""

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from rampgate import Gates
from rampgate_operator.core.flagd import compile_flagd
from tests.flagd.evaluators import Question
from tests.sdk.entries import Fields, entry

MISSING: Any = ...
ON_OFF = [{"name": "control", "value": False, "weight": 1}, {"name": "treatment", "value": True, "weight": 1}]
LEAVES: dict[str, dict[str, Any]] = {
    "in": {"in": ["US", "", "é", "1"]},
    "not-in": {"notIn": ["US", "😀"]},
    "equals": {"equals": "US"},
    "equals-nothing": {"equals": ""},
    "is-true": {"is": True},
    "is-false": {"is": False},
    "exists": {"exists": True},
    "exists-not": {"exists": False},
    "starts-with": {"startsWith": ["U", "é", "${", "`"]},
    "ends-with": {"endsWith": ["S", "😀"]},
    "contains": {"contains": ["S", "\\", '"']},
    "greater-than": {"greaterThan": 3},
    "greater-or-equal": {"greaterOrEqual": 0},
    "less-than": {"lessThan": 3.5},
    "less-or-equal": {"lessOrEqual": -0.25},
}
VALUES: list[Any] = [
    MISSING, None, "", "US", "us", "U", "XS", "é", "e\u0301", "é😀", "1", "0", "3", "true", "True", "null", "NaN",
    "[object Object]", '\\"`${x}',
    True, False, 0, 1, -1, 3, 4, 0.0, -0.0, 1.0, 3.5, -0.25, 1e-7, 1e300, 2**53,
    [], [0], [1], ["US"], [[]], [True], [None], {}, {"length": 0}, {"length": 3}, {"US": 1},
]  # fmt: skip
US, ADULT = {"attribute": "a", "in": ["US", "XS"]}, {"attribute": "b", "greaterOrEqual": 3}
NESTS: dict[str, list[Any]] = {
    "two": [US, ADULT],
    "any": [{"any": [US, ADULT]}],
    "not": [{"not": US}],
    "deep": [{"not": {"any": [{"all": [US, {"not": ADULT}]}, {"attribute": "b", "is": True}]}}],
}
SHAPES: dict[str, Fields] = {
    "nobody": {"percent": 0},
    "one-in-ten-thousand": {"percent": 0.01},
    "some": {"percent": 12.34},
    "all-but-one": {"percent": 99.99},
    "everybody": {"percent": 100},
    "overridden": {"overrides": [{"variant": "treatment", "units": ["u1", "u2", "é"]}, {"variant": "control", "units": ["u2", "u3"]}]},
    "overridden-first": {"percent": 100, "eligibility": [US], "overrides": [{"variant": "treatment", "units": ["u1", "u4"]}]},
    "shipped": {"ship": "treatment", "eligibility": [US]},
    "shipped-without-a-unit": {"ship": "treatment", "percent": 0},
    "killed": {"serve": "KILLED", "latch": "Kill"},
    "rolled-back": {"serve": "ROLLED_BACK", "latch": "Guardrail"},
    "newer": {"format": 2},
    "odd-salt": {"salt": "a`${b}\\ \"c\" :'d"},
    "targeting-key": {"unit": "targetingKey"},
    "control-unweighted": {"variants": [{**ON_OFF[0], "weight": 0}, ON_OFF[1]]},
    "three": {
        "percent": 60,
        "control": {"name": "in", "value": 1},
        "variants": [
            {"name": "true", "value": 2.5, "weight": 1},
            {"name": "in", "value": 1, "weight": 5},
            {"name": "out", "value": 0, "weight": 2**31 - 7},
        ],
    },
    "objects": {
        "control": {"name": "control", "value": {}},
        "variants": [{"name": "control", "value": {}, "weight": 3}, {"name": "0", "value": {"a": [None]}, "weight": 1}],
    },
}  # fmt: skip


def gates_of(hash_input: str) -> dict[str, Fields]:
    """A gate for each test, for nests of them, and for everything else that an entry can say."""
    leaves = {name: {"eligibility": [{"attribute": "a", **test}]} for name, test in LEAVES.items()}
    nests = {name: {"eligibility": items} for name, items in NESTS.items()}
    return {name: entry(gate=name, hashInput=hash_input, **fields) for name, fields in {**leaves, **nests, **SHAPES}.items()}


def context_of(**attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not MISSING}


def disagreements(evaluator: Any, gates: dict[str, Fields], asked: list[Question], *, kill: str = "") -> list[Any]:
    """Give each question that flagd's evaluator and the SDK answer differently."""
    data = {f"{gate}.json": json.dumps(fields) for gate, fields in gates.items()}
    document = compile_flagd({"data": {**data, "kill": kill}})
    with Gates.from_rules(gates, kill=kill) as ours:
        decided = [ours.decide(gate, context) for gate, context in asked]
        said = evaluator.ask(document.text, asked)
        return [
            (gates[question[0]], question[1], answer, decision)
            for question, answer, decision in zip(asked, said, decided, strict=True)
            if answer != [decision.variant, decision.value]
            # a gate that is said to be unsayable has to be on control
            and (question[0] not in document.problems or answer[0] != gates[question[0]]["control"]["name"])
        ]


def questions(gates: Iterable[str], contexts: Iterable[dict[str, Any]]) -> list[Question]:
    known = list(contexts)
    return [(gate, context) for gate in gates for context in known]


TEXTS = st.sampled_from([value for value in VALUES if isinstance(value, str)]) | st.text(max_size=6)
UNITS = st.text(st.characters(max_codepoint=127), max_size=40)
NUMBERS = st.sampled_from([0, 1, 3, -0.25, 3.5]) | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
LISTS = st.lists(TEXTS, min_size=1, max_size=4)
ATTRIBUTES = st.sampled_from(["a", "b", "userId", "targetingKey", "length", "constructor", "a.b", "é", "$flagd"])
TESTS = st.one_of(
    *(st.fixed_dictionaries({name: LISTS}) for name in ("in", "notIn", "startsWith", "endsWith", "contains")),
    *(st.fixed_dictionaries({name: NUMBERS}) for name in ("greaterThan", "greaterOrEqual", "lessThan", "lessOrEqual")),
    *(st.fixed_dictionaries({name: st.booleans()}) for name in ("is", "exists")),
    st.fixed_dictionaries({"equals": TEXTS}),
    st.just({"before": "2026-12-01T00:00:00Z"}),
    st.just({"semver": [[">=", [1, 2, 3]]]}),
)
ITEMS = st.recursive(
    st.builds(lambda attribute, test: {"attribute": attribute, **test}, ATTRIBUTES, TESTS),
    lambda items: st.one_of(
        st.fixed_dictionaries({"all": st.lists(items, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"any": st.lists(items, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": items}),
    ),
    max_leaves=4,
)
FIELDS = st.fixed_dictionaries(
    {
        "percent": st.just(100) | st.integers(0, 10_000).map(lambda points: points / 100),
        "salt": st.text(st.characters(max_codepoint=127), max_size=12),
        "unit": st.sampled_from(["userId", "targetingKey", "a"]),
        "variants": st.tuples(st.integers(0, 9), st.integers(1, 2**30)).map(
            lambda weights: [{**variant, "weight": weight} for variant, weight in zip(ON_OFF, weights, strict=True)]
        ),
        "eligibility": st.lists(ITEMS, max_size=3),
    },
    optional={
        "ship": st.sampled_from(["control", "treatment"]),
        "overrides": st.lists(
            st.fixed_dictionaries(
                {"variant": st.sampled_from(["control", "treatment"]), "units": st.lists(UNITS.filter(bool), max_size=3)}
            ),
            max_size=2,
        ),
    },
)
CONTEXT_VALUES = st.sampled_from(VALUES[1:]) | TEXTS | NUMBERS | st.lists(TEXTS, max_size=2)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "userId": UNITS | CONTEXT_VALUES.filter(lambda value: not isinstance(value, str) or value.isascii()),
        "targetingKey": UNITS,
        **dict.fromkeys(("b", "length", "é", "a.b"), CONTEXT_VALUES),
        "a": CONTEXT_VALUES.filter(lambda value: not isinstance(value, str) or value.isascii()),
    },
)
