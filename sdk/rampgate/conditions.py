"""Who is eligible: one attribute, one operator, one operand.

Knows the operators, as one table. Must not know gates, hashing or where an entry comes from.
A predicate gets whatever the application passed for the attribute (None when missing) and answers False for anything it was not made for.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rampgate.errors import NotUnderstoodError

Predicate = Callable[[object], bool]
Operand = tuple[Any, ...]
Version = tuple[int, int, int, int]
"""Major, minor, patch, and 0 for a prerelease or 1 for a release: a prerelease sorts before its release."""

_VERSION = re.compile(r"[vV]?([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:\.([0-9]{1,18}))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_COMPARISONS: Mapping[str, Callable[[Version, Version], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(NamedTuple):
    """One line of a gate's eligibility; the operand is frozen and comparable."""

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


def parse_version(text: str) -> Version | None:
    """Read a version leniently (`v` allowed, minor and patch default to 0, build metadata ignored); None when it is none."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups(default="")
    return int(major), int(minor or 0), int(patch or 0), 0 if prerelease else 1


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


def _compile_semver(bounds: Operand) -> Predicate:
    checks = tuple((_COMPARISONS[comparison], (*version, 1)) for comparison, version in bounds)

    def matches(value: object) -> bool:
        version = parse_version(value) if isinstance(value, str) else None
        return version is not None and all(compare(version, bound) for compare, bound in checks)

    return matches


OPERATORS: Mapping[str, Operator] = {
    "in": Operator(_parse_texts, _compile_in),
    "notIn": Operator(_parse_texts, _compile_not_in),
    "semver": Operator(_parse_bounds, _compile_semver),
}
