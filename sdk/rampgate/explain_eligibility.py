"""Why a test of eligibility holds or not: what the context has, and what was asked of it.

Knows conditions and groups. Must not know gates; part of `explain.py`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from rampgate.conditions import Condition, compile_condition
from rampgate.eligibility import Join, Test, compile_read
from rampgate.instants import read_instant
from rampgate.versions import parse_version

Context = Mapping[str, object]
_LONGEST = 80


class Tested(NamedTuple):
    """A test and its outcome.

    Of a condition: the attribute, the operator and operand as an Experiment has them, what the context has (None: missing or null) and
    what that means in words. Of a group: what joins it as the operator, and the tests within.
    """

    holds: bool
    operator: str
    attribute: str = ""
    operand: Any = None
    found: object = None
    why: str = ""
    within: "tuple[Tested, ...]" = ()


def ask_test(test: Test, context: Context) -> Tested:
    """Ask a test, and everything within it: other than an evaluation, which stops as soon as the outcome is clear."""
    if isinstance(test, Condition):
        found = compile_read(test.attribute)(context)
        holds = compile_condition(test)(found)
        operator = "semver" if test.operator == "semverAny" else test.operator  # whoever writes an Experiment knows but one
        return Tested(holds, operator, test.attribute, _operand(test), found, _why(operator, found))
    within = tuple(ask_test(each, context) for each in test.tests)
    holding = sum(each.holds for each in within)
    holds = {Join.ALL: holding == len(within), Join.ANY: holding > 0, Join.NOT: not holding}[test.join]
    return Tested(holds, test.join.value, within=within)


def shown(value: object) -> str:
    """Write a value as JSON on one line, cut when it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _operand(condition: Condition) -> Any:  # noqa: ANN401  # JSON
    operand = condition.operand
    match condition.operator:
        case "in" | "notIn" | "startsWith" | "endsWith" | "contains":
            return list(operand)
        case "semver":
            return _range(operand)
        case "semverAny":
            return " || ".join(_range(bounds) for bounds in operand)
    (single,) = operand
    return single.isoformat().replace("+00:00", "Z") if isinstance(single, datetime) else single


def _range(bounds: tuple[tuple[str, tuple[int, ...]], ...]) -> str:
    return " ".join(f"{comparison}{'.'.join(map(str, version))}" for comparison, version in bounds)


def _why(operator: str, found: object) -> str:
    """Say what the context has, and when it is of a type with which the operator never matches."""
    if found is None:
        return "there is none"
    kind = _KINDS.get(operator)
    return f"it is {shown(found)}" if kind is None or _IS[kind](found) else f"it is {shown(found)}, which is no {kind}"


_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("in", "notIn", "equals", "startsWith", "endsWith", "contains"), "string"),
    **dict.fromkeys(("greaterThan", "greaterOrEqual", "lessThan", "lessOrEqual"), "number"),
    **dict.fromkeys(("before", "after"), "instant"),
    "semver": "version",
    "is": "boolean",
}
_IS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "instant": lambda value: read_instant(value) is not None,
    "version": lambda value: isinstance(value, str) and parse_version(value) is not None,
}
