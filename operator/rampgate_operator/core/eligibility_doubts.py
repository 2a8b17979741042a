"""Tests of who is eligible that most likely do not mean what they say: negations of negations, conditions that exclude each other.

Knows which values a condition names; whether they pass another one is the SDK's to answer. Only pairs are compared, so that a finding can
be explained in a sentence.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations

from rampgate.eligibility import compile_test, parse_test
from rampgate_operator.core.compile import compile_item
from rampgate_operator.core.eligibility import AnyItem, group_of, paths_within
from rampgate_operator.core.problems import Problem

Placed = tuple[str, AnyItem]
"""An item and its path."""
_COMPARED = 64
"""Of more conditions that must hold together only so many are compared: a file may have thousands, and a lint must answer."""
_INSTEAD: Mapping[str, str] = {
    "not": "says no twice; write what is within both",
    "notIn": "of notIn also matches where nothing is known of the attribute; write in",
    "exists": "of exists says no twice; write exists with the other value",
}


def negations_of_negations(items: Sequence[Placed]) -> Iterator[Problem]:
    """Give each `not` whose test is a negation itself."""
    for path, item in items:
        group = group_of(item)
        if group is None:
            continue
        join, (first, *_) = group
        inner = group_of(first)
        word = inner[0] if inner else next(iter(first.tests))
        if join == "not" and word in _INSTEAD:
            yield Problem(f"{path}.not", _INSTEAD[word])
        yield from negations_of_negations(_within(path, item))


def conditions_that_exclude_each_other(items: Sequence[Placed]) -> Iterator[Problem]:
    """Give each condition that no attribute can meet together with an earlier one that must hold as well."""
    for conditions in _conjunctions(items):
        for (path, one), (other_path, other) in combinations(conditions[:_COMPARED], 2):
            if one.attribute == other.attribute and _exclude_each_other(one, other):
                yield Problem(other_path, f"never matches where {path} does: no {one.attribute!r} passes both")


def _within(path: str, item: AnyItem) -> list[Placed]:
    group = group_of(item)
    if group is None:
        return []
    join, inner = group
    return list(zip(paths_within(join, path, len(inner)), inner, strict=True))


def _conjunctions(items: Sequence[Placed]) -> Iterator[list[Placed]]:
    """Give the conditions that must hold together: these, and those of each `all` among them; then the same within other groups."""
    together, rest = list[Placed](), list(items)
    while rest:
        path, item = rest.pop(0)
        group = group_of(item)
        if group is None:
            together.append((path, item))
        elif group[0] == "all":
            rest = [*_within(path, item), *rest]
        else:
            for each in _within(path, item):
                yield from _conjunctions([each])
    yield together


def _exclude_each_other(one: AnyItem, other: AnyItem) -> bool:
    return any(_none_passes(*pair) or _is_empty(*pair) for pair in permutations((one, other)))


def _none_passes(one: AnyItem, other: AnyItem) -> bool:
    """Whether the one names all values that pass it, and none of them passes the other."""
    ((name, operand),) = one.tests.items()
    named: Mapping[str, list[object]] = {
        "in": operand if isinstance(operand, list) else [],
        "equals": [operand],
        "is": [operand],
        "exists": [] if operand else [None],
    }
    passes = compile_test(parse_test(compile_item(other)))
    values = named.get(name, [])
    return bool(values) and not any(passes({other.attribute or "": value}) for value in values)


def _is_empty(low: AnyItem, high: AnyItem) -> bool:
    """Whether nothing lies above the one's bound and below the other's."""
    if low.after is not None and high.before is not None:
        return low.after >= high.before
    above = low.greater_than if low.greater_than is not None else low.greater_or_equal
    below = high.less_than if high.less_than is not None else high.less_or_equal
    if above is None or below is None:
        return False
    return above > below or (above == below and (low.greater_than is not None or high.less_than is not None))
