r"""PromQL as plain values: walked, changed as data, shown as text.

Knows the shapes of a query and how each is written. Must not know the parser's objects (`core.promql_parse`) nor which queries are allowed.

Why not the parser's own `transform()` and `str()`, as measured on promql-parser 0.12.0:
* nodes are views: what is set on one is lost in `transform()`, which accepts only nodes that came out of `parse()`, and no node has
  a source position. A matcher can therefore not be changed in place, only by parsing text put together around it;
* `str()` writes matcher values and string literals without escaping (`"` and `\\` included), label names without quotes, drops
  milliseconds (`[500ms]` becomes `[0s]`) and the colon of `[1h:]`. A value could break out of its quotes.
So the tree is copied into the frozen values below, and `show()` writes each of them. Whoever shows a tree parses the text again and
compares (`compile_query` does): a difference between this file and the grammar becomes an error, never another query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNITS = ((3_600_000, "h"), (60_000, "m"), (1_000, "s"))


@dataclass(frozen=True, slots=True)
class Matcher:
    """`name op value`, with op one of `=`, `!=`, `=~`, `!~`."""

    name: str
    op: str
    value: str

    @property
    def is_regex(self) -> bool:
        """Whether the value is a regular expression (RE2)."""
        return self.op in {"=~", "!~"}


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant selector, or with `range` a range selector. An offset reaches into the past when positive."""

    name: str | None
    matchers: tuple[Matcher, ...]
    offset: timedelta = timedelta(0)
    range: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Subquery:
    """`inner[range:step] offset …`; without a step the server's evaluation interval."""

    inner: Node
    range: timedelta
    step: timedelta | None
    offset: timedelta


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; `returns` is vector, scalar, matrix or string."""

    function: str
    args: tuple[Node, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class Labels:
    """A clause of label names, such as `by (le)` or `on (job)`."""

    word: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`op grouping (param, inner)`."""

    op: str
    grouping: Labels | None
    param: Node | None
    inner: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """`left op [bool] [on|ignoring (…)] [group_left|group_right (…)] right`."""

    op: str
    returns_bool: bool
    clauses: tuple[Labels, ...]
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Wrapped:
    """An expression behind a minus sign (`-`) or between parentheses (`(`)."""

    sign: str
    inner: Node


@dataclass(frozen=True, slots=True)
class Number:
    """A number as Python writes it, so that NaN equals itself."""

    text: str


@dataclass(frozen=True, slots=True)
class String:
    """A string literal."""

    value: str


Node: TypeAlias = Selector | Subquery | Call | Aggregate | Binary | Wrapped | Number | String


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it, depth first; each once, however deep it lies."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(_below(node))


def _below(node: Node) -> tuple[Node, ...]:
    match node:
        case Subquery(inner=inner) | Wrapped(inner=inner):
            return (inner,)
        case Call(args=args):
            return args
        case Aggregate(param=param, inner=inner):
            return (inner,) if param is None else (param, inner)
        case Binary(left=left, right=right):
            return left, right
        case Selector() | Number() | String():
            return ()


def map_selectors(node: Node, change: Callable[[Selector], Selector]) -> Node:
    """Return the tree with every selector changed, and nothing else."""
    match node:
        case Selector():
            return change(node)
        case Subquery(inner=inner) | Wrapped(inner=inner):
            return replace(node, inner=map_selectors(inner, change))
        case Call(args=args):
            return replace(node, args=tuple(map_selectors(arg, change) for arg in args))
        case Aggregate(param=param, inner=inner):
            changed = None if param is None else map_selectors(param, change)
            return replace(node, param=changed, inner=map_selectors(inner, change))
        case Binary(left=left, right=right):
            return replace(node, left=map_selectors(left, change), right=map_selectors(right, change))
        case Number() | String():
            return node


def show(node: Node) -> str:
    """Write the tree as PromQL. Parsing it gives the same tree."""
    match node:
        case Selector():
            return _show_selector(node)
        case Subquery(inner, length, step, offset):
            return f"{show(inner)}[{_duration(length)}:{'' if step is None else _duration(step)}]{_show_offset(offset)}"
        case Call(function, args):
            return f"{function}({', '.join(map(show, args))})"
        case Aggregate(op, grouping, param, inner):
            clause = "" if grouping is None else f" {_show_labels(grouping)} "
            return f"{op}{clause}({'' if param is None else show(param) + ', '}{show(inner)})"
        case Binary(op, returns_bool, clauses, left, right):
            words = [op, *(["bool"] if returns_bool else []), *map(_show_labels, clauses)]
            return f"{show(left)} {' '.join(words)} {show(right)}"
        case Wrapped("-", inner):
            return f"-{show(inner)}"
        case Wrapped(_, inner):
            return f"({show(inner)})"
        case Number(text):
            return text
        case String(value):
            return quote(value)


def _show_selector(selector: Selector) -> str:
    matchers = ",".join(f"{m.name}{m.op}{quote(m.value)}" for m in selector.matchers)
    length = "" if selector.range is None else f"[{_duration(selector.range)}]"
    return f"{selector.name or ''}{{{matchers}}}{length}{_show_offset(selector.offset)}"


def _show_labels(labels: Labels) -> str:
    return f"{labels.word} ({', '.join(labels.names)})"


def _show_offset(offset: timedelta) -> str:
    sign = "-" if offset < timedelta(0) else ""
    return f" offset {sign}{_duration(abs(offset))}" if offset else ""


def _duration(length: timedelta) -> str:
    milliseconds = length // timedelta(milliseconds=1)
    size, unit = next(((size, unit) for size, unit in _UNITS if milliseconds % size == 0), (1, "ms"))
    return f"{milliseconds // size}{unit}"


def quote(value: str) -> str:
    r"""Write a PromQL string literal that means exactly this value; control characters become `\uXXXX`."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'
