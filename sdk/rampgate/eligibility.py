"""Who is eligible: conditions, and `all`, `any` and `not` around them; compiled into functions that are asked about a context.

Knows how tests are joined, and where in a context an attribute is found. Must not know what a condition's operators mean, nor gates.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Union

from rampgate.conditions import Condition, compile_condition, parse_condition
from rampgate.errors import NotUnderstoodError

MAX_LEVELS = 8
"""How many groups may stand within one another: evaluation is recursive, and an entry must not choose how deep."""

Context = Mapping[str, object]
Matcher = Callable[[Context], bool]


class Join(StrEnum):
    """How a group joins its tests."""

    ALL = "all"
    ANY = "any"
    NOT = "not"


class Group(NamedTuple):
    """Tests that are joined; `not` has exactly one, the others one or more."""

    join: Join
    tests: tuple[Any, ...]  # of Test, which is defined below: to name it here costs a tenth of the SDK's import time


Test = Union[Condition, Group]  # noqa: UP007 - the alias stands below a class that names it


class Eligibility(NamedTuple):
    """Tests that must all hold.

    `memberships` are those that want one of some texts in a plain attribute: most do, and it costs no call to ask.
    """

    memberships: tuple[tuple[str, frozenset[str]], ...]
    others: tuple[Matcher, ...]


def parse_test(fields: object, *, levels: int = MAX_LEVELS) -> Test:
    """Read a condition, or a group of at most so many levels of groups. Raises `NotUnderstoodError`."""
    if not isinstance(fields, dict) or fields.keys().isdisjoint(Join):
        return parse_condition(fields)
    if len(fields) != 1:
        raise NotUnderstoodError("eligibility: all, any and not stand alone")
    if not levels:
        raise NotUnderstoodError(f"eligibility: groups nest deeper than {MAX_LEVELS} levels")
    ((name, inner),) = fields.items()
    join = Join(name)
    tests = [inner] if join is Join.NOT else inner
    if not isinstance(tests, list) or not tests:
        raise NotUnderstoodError(f"eligibility: wanted a list with something in it for {name}")
    return Group(join, tuple(parse_test(test, levels=levels - 1) for test in tests))


def compile_eligibility(tests: tuple[Test, ...]) -> Eligibility:
    """Compile tests that must all hold."""
    memberships, others = list[tuple[str, frozenset[str]]](), list[Matcher]()
    for test in tests:
        if isinstance(test, Condition) and test.operator in ("in", "equals") and not _is_path(test.attribute):
            memberships.append((test.attribute, frozenset(test.operand)))
        else:
            others.append(compile_test(test))
    return Eligibility(tuple(memberships), tuple(others))


def compile_test(test: Test) -> Matcher:
    """Compile a test and all that is within it."""
    if isinstance(test, Condition):
        return _compile_look(test)
    inner = tuple(compile_test(each) for each in test.tests)
    return _JOINS[test.join](inner)


def compile_read(attribute: str) -> Callable[[Context], object]:
    """Compile how a context is asked for an attribute: None when there is none.

    `user.plan` is sought by its whole name, else along the dots, through the mappings within.
    """
    if not _is_path(attribute):
        return lambda context: context.get(attribute)
    parts = attribute.split(".")

    def read(context: Context) -> object:
        """Give what is found."""
        found: object = context.get(attribute)
        if found is not None:
            return found
        found = context
        for part in parts:
            if not isinstance(found, Mapping):
                return None
            found = found.get(part)
        return found

    return read


def _is_path(attribute: str) -> bool:
    return "." in attribute


def _compile_look(condition: Condition) -> Matcher:
    attribute, matches = condition.attribute, compile_condition(condition)
    if _is_path(attribute):
        read = compile_read(attribute)
        return lambda context: matches(read(context))
    return lambda context: matches(context.get(attribute))


def _compile_all(tests: tuple[Matcher, ...]) -> Matcher:
    def all_hold(context: Context) -> bool:
        # A loop, since a generator would be made for every evaluation.
        for holds in tests:  # noqa: SIM110
            if not holds(context):
                return False
        return True

    return all_hold


def _compile_any(tests: tuple[Matcher, ...]) -> Matcher:
    def any_holds(context: Context) -> bool:
        for holds in tests:  # noqa: SIM110
            if holds(context):
                return True
        return False

    return any_holds


def _compile_not(tests: tuple[Matcher, ...]) -> Matcher:
    (holds,) = tests
    return lambda context: not holds(context)


_JOINS: Mapping[Join, Callable[[tuple[Matcher, ...]], Matcher]] = {
    Join.ALL: _compile_all,
    Join.ANY: _compile_any,
    Join.NOT: _compile_not,
}
