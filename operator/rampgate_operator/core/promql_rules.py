"""What a tenant's query may not do: an ordered tuple of checks, each named after its violation.

Knows the rules of design §9 and their sentences. Must not know how a query is changed or sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from rampgate_operator.core.promql_tree import Aggregate, Binary, Call, Node, Number, Selector, String, Subquery, Wrapped, walk

SUBSTITUTIONS = ("variant", "gate", "experiment")
"""The names a query may use as `$name` inside a matcher's value."""

PLACEHOLDER = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)|\$\{[A-Za-z_][A-Za-z0-9_]*\}")
"""A name in a matcher's value; with braces (and no group) it is found in order to be refused."""

_NO_TIME = timedelta(0)
_HIDDEN_READERS = frozenset({"info"})
"""Functions that read series no selector in the query names, so that no namespace matcher can be put on them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may cost."""

    max_range: timedelta = timedelta(hours=1)
    max_reach: timedelta = timedelta(days=8)
    """A week ago, and a range on top."""
    max_selectors: int = 10
    max_points: int = 1000
    """What a subquery evaluates."""


DEFAULT_LIMITS = Limits()


def _result_is_no_number(tree: Node, _limits: Limits) -> str | None:
    found = _result_type(tree)
    if found == "matrix":
        return "The query's result is a range of samples: wrap it in a function such as rate() or max_over_time()."
    return "The query's result is a string: a guardrail needs a number." if found == "string" else None


def _function_reads_unnamed_series(tree: Node, _limits: Limits) -> str | None:
    for node in walk(tree):
        if isinstance(node, Call) and node.function in _HIDDEN_READERS:
            return f"The query uses {node.function}(), which reads series that the query does not name: join with on() and group_left()."
    return None


def _too_manyselectors(tree: Node, limits: Limits) -> str | None:
    count = sum(1 for _ in selectors(tree))
    if count <= limits.max_selectors:
        return None
    return f"The query selects metrics {count} times, more than {limits.max_selectors}: move a part of it into a recording rule."


def _selector_without_metric(tree: Node, _limits: Limits) -> str | None:
    if all(_metric_name(selector) for selector in selectors(tree)):
        return None
    return "A selector in the query names no metric: write the metric's name before the braces; a pattern for __name__ is not enough."


def _offset_into_the_future(tree: Node, _limits: Limits) -> str | None:
    if all(node.offset >= _NO_TIME for node in walk(tree) if isinstance(node, Selector | Subquery)):
        return None
    return "The query has a negative offset, which reads the future of its look: write a positive one or none."


def _range_too_long(tree: Node, limits: Limits) -> str | None:
    for node in walk(tree):
        if isinstance(node, Selector | Subquery) and node.range is not None and node.range > limits.max_range:
            kind = "subquery" if isinstance(node, Subquery) else "range"
            length, allowed = _say(node.range), _say(limits.max_range)
            return f"A {kind} in the query is {length} long, more than {allowed}: shorten it, or use a recording rule."
    return None


def _subquery_of_too_many_points(tree: Node, limits: Limits) -> str | None:
    for node in walk(tree):
        if isinstance(node, Subquery) and node.step is not None and node.range > limits.max_points * node.step:
            return f"A subquery in the query evaluates more than {limits.max_points} points: lengthen its step, or shorten its range."
    return None


def _name_in_a_string(tree: Node, _limits: Limits) -> str | None:
    for node in walk(tree):
        found = PLACEHOLDER.search(node.value) if isinstance(node, String) else None
        if found is not None and found[1] in SUBSTITUTIONS:
            return f"{found[0]} stands in a string, where nothing is substituted: it works in label matchers only."
    return None


RULES: tuple[Callable[[Node, Limits], str | None], ...] = (
    _result_is_no_number,
    _function_reads_unnamed_series,
    _too_manyselectors,
    _selector_without_metric,
    _offset_into_the_future,
    _range_too_long,
    _subquery_of_too_many_points,
    _name_in_a_string,
)


def _result_type(node: Node) -> str:
    match node:
        case Selector(range=length):
            return "vector" if length is None else "matrix"
        case Subquery():
            return "matrix"
        case Call(returns=returns):
            return returns
        case Aggregate():
            return "vector"
        case Binary(left=left, right=right):
            return "scalar" if _result_type(left) == _result_type(right) == "scalar" else "vector"
        case Wrapped(inner=inner):
            return _result_type(inner)
        case Number():
            return "scalar"
        case String():
            return "string"


def selectors(tree: Node) -> Iterator[Selector]:
    """Yield every selector of a query, instant or range."""
    return (node for node in walk(tree) if isinstance(node, Selector))


def _metric_name(selector: Selector) -> str | None:
    equals = (matcher.value for matcher in selector.matchers if matcher.name == "__name__" and matcher.op == "=")
    return selector.name or next(filter(None, equals), None)


def _say(length: timedelta) -> str:
    return f"{length.total_seconds():g} s"
