"""Reading PromQL: from the parser's objects to the values of `core.promql_tree`.

Knows promql-parser 0.12's classes; nothing else in the program does. Must not know which queries are allowed, beyond constructs that
cannot be expressed safely at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import promql_parser as parser

from rampgate_operator.core.promql_tree import Aggregate, Binary, Call, Labels, Matcher, Node, Number, Selector, String, Subquery, Wrapped

MAX_DEPTH = 60
"""Levels of nesting read; the parser's own limit is the thread's stack, and beyond it the process."""

_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_UNPRINTABLE = re.compile(r"[^ -~]")
_OPERATORS = ((parser.MatchOp.Equal, "="), (parser.MatchOp.NotEqual, "!="), (parser.MatchOp.Re, "=~"), (parser.MatchOp.NotRe, "!~"))
_TYPES = (
    (parser.ValueType.Vector, "vector"),
    (parser.ValueType.Scalar, "scalar"),
    (parser.ValueType.Matrix, "matrix"),
    (parser.ValueType.String, "string"),
)


class QueryError(ValueError):
    """A query that cannot be used: says in a sentence what is wrong and what to write instead. Fix the spec."""


def parse(text: str) -> Node:
    """Read PromQL into values.

    Raises:
        QueryError: it does not parse, nests deeper than MAX_DEPTH, or uses a construct that is refused everywhere (`@`, `or` between
            matchers, quoted names, `fill`).
    """
    try:
        return _read(parser.parse(text), depth=0)
    except QueryError:
        raise
    except RecursionError:
        raise QueryError(f"The query nests deeper than {MAX_DEPTH} levels: simplify it, or move a part into a recording rule.") from None
    except UnicodeEncodeError:
        raise QueryError("The query contains half a surrogate pair, which is no text: remove it.") from None
    except ValueError as error:
        raise QueryError(f"The query is not valid PromQL: {_first_line(error)}.") from None


def _first_line(error: ValueError) -> str:
    lines = str(error).strip().splitlines() or ["no further detail"]
    return _UNPRINTABLE.sub(" ", lines[0])[:200].rstrip(".")


def _read(expr: parser.Expr, *, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise RecursionError
    for kind, reader in _READERS:
        if isinstance(expr, kind):
            return reader(expr, depth + 1)
    raise QueryError(f"The query uses {type(expr).__name__}, which is not supported here: write it another way.")


def _read_selector(expr: parser.VectorSelector, _depth: int) -> Selector:
    _refuse_at(expr.at)
    if expr.matchers.or_matchers:
        raise QueryError('The query joins matchers with "or" inside braces, which Prometheus does not know: use a regular expression.')
    matchers = tuple(Matcher(_label_name(m.name), _lookup(m.op, _OPERATORS), m.value) for m in expr.matchers.matchers)
    return Selector(expr.name, matchers, expr.offset or timedelta(0))


def _read_matrix(expr: parser.MatrixSelector, depth: int) -> Selector:
    return replace(_read_selector(expr.vector_selector, depth), range=expr.range)


def _read_subquery(expr: parser.SubqueryExpr, depth: int) -> Subquery:
    _refuse_at(expr.at)
    assert expr.range is not None, "the grammar gives every subquery a range"
    return Subquery(_read(expr.expr, depth=depth), expr.range, expr.step, expr.offset or timedelta(0))


def _read_call(expr: parser.Call, depth: int) -> Call:
    return Call(expr.func.name, tuple(_read(arg, depth=depth) for arg in expr.args), _lookup(expr.func.return_type, _TYPES))


def _read_aggregate(expr: parser.AggregateExpr, depth: int) -> Aggregate:
    grouping = None
    if expr.modifier is not None:
        word = "by" if expr.modifier.type == parser.AggModifierType.By else "without"
        grouping = _read_labels(word, expr.modifier.labels)
    param = None if expr.param is None else _read(expr.param, depth=depth)
    return Aggregate(str(expr.op), grouping, param, _read(expr.expr, depth=depth))


def _read_binary(expr: parser.BinaryExpr, depth: int) -> Binary:
    modifier = expr.modifier
    clauses = () if modifier is None else tuple(_read_clauses(modifier))
    left, right = _read(expr.lhs, depth=depth), _read(expr.rhs, depth=depth)
    return Binary(str(expr.op).strip(), modifier is not None and modifier.return_bool, clauses, left, right)


def _read_clauses(modifier: parser.BinModifier) -> Iterator[Labels]:
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise QueryError('The query uses "fill", which is experimental: use "or" with a constant instead.')
    if modifier.matching is not None:
        word = "on" if modifier.matching.type == parser.LabelModifierType.Include else "ignoring"
        yield _read_labels(word, modifier.matching.labels)
    for card, word in ((parser.VectorMatchCardinality.ManyToOne, "group_left"), (parser.VectorMatchCardinality.OneToMany, "group_right")):
        if modifier.card == card:
            yield _read_labels(word, modifier.group_labels or [])


def _read_labels(word: str, names: list[str]) -> Labels:
    return Labels(word, tuple(_label_name(name) for name in names))


_READERS: tuple[tuple[type, Callable[..., Node]], ...] = (
    (parser.VectorSelector, _read_selector),
    (parser.MatrixSelector, _read_matrix),
    (parser.SubqueryExpr, _read_subquery),
    (parser.Call, _read_call),
    (parser.AggregateExpr, _read_aggregate),
    (parser.BinaryExpr, _read_binary),
    (parser.UnaryExpr, lambda expr, depth: Wrapped("-", _read(expr.expr, depth=depth))),
    (parser.ParenExpr, lambda expr, depth: Wrapped("(", _read(expr.expr, depth=depth))),
    (parser.NumberLiteral, lambda expr, _depth: Number(repr(expr.val).removesuffix(".0"))),
    (parser.StringLiteral, lambda expr, _depth: String(expr.val)),
)


def _lookup(member: object, table: tuple[tuple[object, str], ...]) -> str:
    # The parser's enumerations cannot be hashed, so a table is searched rather than indexed.
    return next(word for candidate, word in table if candidate == member)


def _label_name(name: str) -> str:
    if not _LABEL_NAME.match(name):
        raise QueryError("The query quotes a label name that is not letters, digits and underscores: relabel it to such a name first.")
    return name


def _refuse_at(at: object) -> None:
    if at is not None:
        raise QueryError("The query uses the @ modifier, which fixes the time it reads: remove it, a look has its own time.")
