"""What may be asked of an attribute: one operator, one operand.

Knows the operators, as one table. Must not know gates, contexts, or how conditions are joined (eligibility.py).
A predicate gets whatever the application passed for the attribute (None when missing) and answers False for anything it was not made for.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rampgate.errors import NotUnderstoodError

Predicate = Callable[[object], bool]
Operand = tuple[Any, ...]
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(NamedTuple):
    """One test of one attribute; the operand is frozen and comparable."""

    attribute: str
    operator: str
    operand: Operand


class Operator(NamedTuple):
    """What an operator's name stands for: from JSON to a frozen operand (or `NotUnderstoodError`), and from there to a predicate."""

    parse: Callable[[object], Operand]
    compile: Callable[[Operand], Predicate]


def parse_condition(fields: object) -> Condition:
    """Read one condition: `attribute` and exactly one operator. Raises `NotUnderstoodError`."""
    if not isinstance(fields, dict):
        raise NotUnderstoodError("eligibility: wanted an object for each condition")
    attribute = fields.get("attribute")
    names = fields.keys() - {"attribute"}
    if not isinstance(attribute, str) or len(names) != 1:
        raise NotUnderstoodError("eligibility: a condition is an attribute and exactly one operator")
    name = names.pop()
    if name not in OPERATORS:
        raise NotUnderstoodError(f"eligibility: unknown operator {name!r}")
    return Condition(attribute, name, OPERATORS[name].parse(fields[name]))


def compile_condition(condition: Condition) -> Predicate:
    """Turn a condition into the question that is asked of its attribute's value."""
    return OPERATORS[condition.operator].compile(condition.operand)


def _parse_text(operand: object) -> Operand:
    if not isinstance(operand, str):
        raise NotUnderstoodError("eligibility: wanted a string")
    return (operand,)


def _compile_equals(operand: Operand) -> Predicate:
    (known,) = operand
    return lambda value: isinstance(value, str) and value == known


def _parse_boolean(operand: object) -> Operand:
    if not isinstance(operand, bool):
        raise NotUnderstoodError("eligibility: wanted true or false")
    return (operand,)


def _compile_is(operand: Operand) -> Predicate:
    (known,) = operand
    return lambda value: value is known


def _compile_exists(operand: Operand) -> Predicate:
    (wanted,) = operand
    return lambda value: (value is not None) is wanted


def _parse_number(operand: object) -> Operand:
    if type(operand) not in (int, float):
        raise NotUnderstoodError("eligibility: wanted a number")
    return (operand,)


def _compile_number(compare: Callable[[Any, Any], bool]) -> Callable[[Operand], Predicate]:
    def compile_bound(operand: Operand) -> Predicate:
        (bound,) = operand
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and compare(value, bound)

    return compile_bound


def _parse_instant(operand: object) -> Operand:
    from rampgate.instants import parse_instant  # noqa: PLC0415 - datetime weighs as much as the SDK, and few gates ask for instants

    instant = parse_instant(operand) if isinstance(operand, str) else None
    if instant is None:
        raise NotUnderstoodError("eligibility: wanted an instant as RFC 3339 writes it")
    return (instant,)


def _compile_instant(compare: Callable[[Any, Any], bool]) -> Callable[[Operand], Predicate]:
    def compile_bound(operand: Operand) -> Predicate:
        """Give what compares an instant with the operand; whatever is no instant does not match."""
        from rampgate.instants import read_instant  # noqa: PLC0415 - as above

        (bound,) = operand

        def matches(value: object) -> bool:
            instant = read_instant(value)
            return instant is not None and compare(instant, bound)

        return matches

    return compile_bound


def _compile_starts_with(texts: Operand) -> Predicate:
    return lambda value: isinstance(value, str) and value.startswith(texts)


def _compile_ends_with(texts: Operand) -> Predicate:
    return lambda value: isinstance(value, str) and value.endswith(texts)


def _compile_contains(texts: Operand) -> Predicate:
    return lambda value: isinstance(value, str) and any(text in value for text in texts)


def _parse_texts(operand: object) -> Operand:
    if not isinstance(operand, list) or not all(isinstance(text, str) for text in operand):
        raise NotUnderstoodError("eligibility: wanted a list of strings")
    return tuple(operand)


def _compile_in(texts: Operand) -> Predicate:
    known = frozenset(texts)
    return lambda value: isinstance(value, str) and value in known


def _compile_not_in(texts: Operand) -> Predicate:
    known = frozenset(texts)
    return lambda value: isinstance(value, str) and value not in known


def _parse_bounds(operand: object) -> Operand:
    # An empty conjunction would let every version in, which nobody can have meant.
    if not isinstance(operand, list) or not operand:
        raise NotUnderstoodError("semver: wanted a list of [comparison, [major, minor, patch]]")
    return tuple(_parse_bound(bound) for bound in operand)


def _parse_bound(bound: object) -> tuple[str, tuple[int, ...]]:
    match bound:
        case [str(comparison), list(version)] if comparison in _COMPARISONS and [type(number) for number in version] == [int] * 3:
            return comparison, tuple(version)
    raise NotUnderstoodError("semver: wanted [comparison, [major, minor, patch]], comparison one of " + " ".join(_COMPARISONS))


def _parse_alternatives(operand: object) -> Operand:
    if not isinstance(operand, list) or not operand:
        raise NotUnderstoodError("semverAny: wanted a list of what semver has")
    return tuple(_parse_bounds(bounds) for bounds in operand)


def _compile_alternatives(alternatives: Operand) -> Predicate:
    predicates = tuple(_compile_semver(bounds) for bounds in alternatives)
    return lambda value: any(matches(value) for matches in predicates)


def _compile_semver(bounds: Operand) -> Predicate:
    from rampgate.versions import RELEASE, parse_version  # noqa: PLC0415 - a pattern to compile, and few gates ask for versions

    checks = tuple((_COMPARISONS[comparison], (*version, RELEASE)) for comparison, version in bounds)

    def matches(value: object) -> bool:
        version = parse_version(value) if isinstance(value, str) else None
        return version is not None and all(compare(version, bound) for compare, bound in checks)

    return matches


OPERATORS: Mapping[str, Operator] = {
    "in": Operator(_parse_texts, _compile_in),
    "notIn": Operator(_parse_texts, _compile_not_in),
    "equals": Operator(_parse_text, _compile_equals),
    "is": Operator(_parse_boolean, _compile_is),
    "exists": Operator(_parse_boolean, _compile_exists),
    "startsWith": Operator(_parse_texts, _compile_starts_with),
    "endsWith": Operator(_parse_texts, _compile_ends_with),
    "contains": Operator(_parse_texts, _compile_contains),
    "greaterThan": Operator(_parse_number, _compile_number(operator.gt)),
    "greaterOrEqual": Operator(_parse_number, _compile_number(operator.ge)),
    "lessThan": Operator(_parse_number, _compile_number(operator.lt)),
    "lessOrEqual": Operator(_parse_number, _compile_number(operator.le)),
    "before": Operator(_parse_instant, _compile_instant(operator.lt)),
    "after": Operator(_parse_instant, _compile_instant(operator.gt)),
    "semver": Operator(_parse_bounds, _compile_semver),
    "semverAny": Operator(_parse_alternatives, _compile_alternatives),
}
