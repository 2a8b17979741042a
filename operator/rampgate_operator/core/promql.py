"""What becomes of a tenant's query before it is sent.

Knows how a guardrail's PromQL (design §9) is checked, confined to its namespace and filled in, and how far back it reads.
Must not know sources, clocks or verdicts. Reading is `core.promql_parse`, trees `core.promql_tree`, the rules `core.promql_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType

from rampgate_operator.core.promql_parse import QueryError, parse
from rampgate_operator.core.promql_rules import DEFAULT_LIMITS, PLACEHOLDER, RULES, SUBSTITUTIONS, Limits, selectors
from rampgate_operator.core.promql_tree import (
    Aggregate,
    Binary,
    Call,
    Matcher,
    Node,
    Number,
    Selector,
    String,
    Subquery,
    Wrapped,
    map_selectors,
    show,
)

__all__ = [
    "LOOKBACK",
    "MAX_LENGTH",
    "SUBSTITUTIONS",
    "CompiledQuery",
    "Limits",
    "QueryError",
    "compile_query",
    "counter_for",
    "last_value_of",
    "query_for",
    "regex_escape",
    "samples_of",
    "show_surely",
]

LOOKBACK = timedelta(minutes=5)
"""How far an instant selector looks back for a sample; Prometheus' default, and sent with every query."""

MAX_LENGTH = 2048
"""Characters. The parser's time grows with the square of the nesting, and it compiles every regular expression."""

MAX_COUNTED, MAX_REPEATED, MAX_CLASSES = 3, 100, 30
"""Counted repetitions `{n,m}` in a query, the largest count, and the classes such as `\\w`: they multiply what the parser compiles."""

MOST_REMEMBERED = 16_384
"""Compiled queries that are kept: some kilobytes each at the most, a few hundred bytes as a rule."""

_NO_TIME = timedelta(0)
_COUNTED = re.compile(r"\{(\d{1,9})(?:,(\d{1,9})?)?")
_CLASS = re.compile(r"\\[a-zA-Z]")
_RE2_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """A query that can be sent.

    Attributes:
        text: finished PromQL.
        reach: how far before its evaluation time the query can read.
        uses: which of SUBSTITUTIONS it uses.
    """

    text: str
    reach: timedelta
    uses: frozenset[str]


def compile_query(
    text: str,
    *,
    namespace: str,
    substitutions: Mapping[str, str] = MappingProxyType({}),
    limits: Limits = DEFAULT_LIMITS,
    lookback: timedelta = LOOKBACK,
) -> CompiledQuery:
    """Check a tenant's query, put the values in, and confine it to the tenant's namespace.

    1. parse it into values; 2. ask every rule, the first that objects is the answer; 3. on every selector put in the values and the
    namespace matcher; 4. write it; 5. parse what was written and want the very same tree.

    Args:
        text: PromQL with `$variant`, `$gate`, `$experiment` in matcher values; in regular expressions the value is escaped (RE2).
        namespace: what every selector's label `namespace` must equal.
        substitutions: value by name, without the dollar sign.
        limits: what the query may cost.
        lookback: how far an instant selector looks back.

    Raises:
        QueryError: a sentence with what is wrong and the remedy.
    """
    tree = _accepted(text, limits)
    uses = frozenset(_check_names(tree, substitutions))
    reach = _reach(tree, lookback)
    if reach > limits.max_reach:
        raise QueryError(f"The query reads back further than {limits.max_reach.days} days, by its offsets and ranges: shorten them.")
    confined = map_selectors(tree, lambda selector: _confine(_substitute(selector, substitutions), namespace))
    return CompiledQuery(show_surely(confined), reach, uses)


@lru_cache(maxsize=MOST_REMEMBERED)
def query_for(treatment: str, *, text: str, gate: str, namespace: str, lookback: timedelta = LOOKBACK) -> CompiledQuery:
    """Compile a gate's query for one treatment, and remember it: every look asks the same, and the worst query takes tenths of a second.

    Raises QueryError as compile_query does.
    """
    names = {"gate": gate, "experiment": gate, "variant": treatment}
    return compile_query(text, namespace=namespace, substitutions=names, lookback=lookback)


@lru_cache(maxsize=MOST_REMEMBERED)
def counter_for(arms: tuple[str, ...], *, text: str, gate: str, namespace: str) -> str:
    """Compile a gate's counter for all arms at once: the matcher `variant="$variant"` becomes one for each of them. Remembered.

    Raises QueryError as compile_query does, and when it is no counter of every arm.
    """
    _check_cost_of_parsing(text)
    tree = _plain_selector(parse(text))
    own = [matcher for matcher in tree.matchers if matcher.name == "variant"]
    if own != [Matcher("variant", "=", "$variant")]:
        raise QueryError('A counter must have the matcher variant="$variant" once, and no other on variant: every arm is counted by it.')
    _accepted(text, DEFAULT_LIMITS)
    every_arm = Matcher("variant", "=~", "|".join(map(regex_escape, arms)))
    rest = replace(tree, matchers=tuple(matcher for matcher in tree.matchers if matcher not in own))
    names = {"gate": gate, "experiment": gate}
    list(_check_names(rest, names))
    filled = _substitute(rest, names)
    return show_surely(_confine(replace(filled, matchers=(*filled.matchers, every_arm)), namespace))


@lru_cache(maxsize=256)
def _accepted(text: str, limits: Limits) -> Node:
    """Parse a query and ask every rule: once, however many treatments ask it."""
    _check_cost_of_parsing(text)
    tree = parse(text)
    for rule in RULES:
        if (finding := rule(tree, limits)) is not None:
            raise QueryError(finding)
    return tree


def samples_of(counter: str, *, length: timedelta) -> str:
    """Turn a finished query of one counter into one for its raw samples over `length`.

    Raises:
        QueryError: it is anything but one instant selector without offset.
    """
    return show_surely(_with_range(counter, length))


def last_value_of(counter: str, *, memory: timedelta) -> str:
    """Turn a finished query of one counter into one for each series' last value within `memory`, stale or not.

    Raises:
        QueryError: it is anything but one instant selector without offset.
    """
    return show_surely(Call("last_over_time", (_with_range(counter, memory),), "vector"))


def _check_cost_of_parsing(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise QueryError(f"The query has {len(text)} characters, more than {MAX_LENGTH}: move a part of it into a recording rule.")
    counted = [max(int(bound) for bound in found.groups(default="0")) for found in _COUNTED.finditer(text)]
    if len(counted) > MAX_COUNTED or max(counted, default=0) > MAX_REPEATED:
        limits = f"{MAX_COUNTED} times, or up to more than {MAX_REPEATED}"
        raise QueryError(f"The query repeats by count, such as {{1,20}}, more than {limits}: use * or +, or list the values.")
    if len(_CLASS.findall(text)) > MAX_CLASSES:
        raise QueryError(f"The query uses classes such as \\w or \\d more than {MAX_CLASSES} times: list the characters, such as [0-9].")


def _with_range(counter: str, length: timedelta) -> Selector:
    return replace(_plain_selector(parse(counter)), range=length)


def _plain_selector(tree: Node) -> Selector:
    if not isinstance(tree, Selector) or tree.range is not None or tree.offset:
        raise QueryError("A counter must be one selector without range, offset, function or operator: the operator counts it itself.")
    return tree


def regex_escape(value: str) -> str:
    """Escape a value so that, as a regular expression of RE2, it matches itself only."""
    return _RE2_META.sub(lambda found: "\\" + found[0], value)


def show_surely(tree: Node) -> str:
    """Write a tree down, parse that again, and want the very same tree.

    Raises:
        QueryError: it cannot be written with the same meaning.
    """
    text = show(tree)
    try:
        same = parse(text) == tree
    except QueryError:
        same = False
    if not same:
        raise QueryError("The query cannot be written down again with the same meaning: simplify it, or use a recording rule.")
    return text


def _check_names(tree: Node, substitutions: Mapping[str, str]) -> Iterator[str]:
    for found in (name for selector in selectors(tree) for matcher in selector.matchers for name in PLACEHOLDER.finditer(matcher.value)):
        name = found[1]
        known = ", ".join(f"${word}" for word in SUBSTITUTIONS)
        if name not in SUBSTITUTIONS:
            raise QueryError(f"The query uses {found[0]}, which is unknown: in label matchers, {known} can be used, without braces.")
        if name not in substitutions:
            raise QueryError(f"The query uses ${name}, which has no value here: remove it.")
        yield name


def _substitute(selector: Selector, substitutions: Mapping[str, str]) -> Selector:
    def fill(matcher: Matcher) -> Matcher:
        def value_of(found: re.Match[str]) -> str:
            value = substitutions[found[1]]
            return regex_escape(value) if matcher.is_regex else value

        return replace(matcher, value=PLACEHOLDER.sub(value_of, matcher.value))

    return replace(selector, matchers=tuple(map(fill, selector.matchers)))


def _confine(selector: Selector, namespace: str) -> Selector:
    wanted = Matcher("namespace", "=", namespace)
    own = [matcher for matcher in selector.matchers if matcher.name == "namespace"]
    if any(matcher != wanted for matcher in own):
        raise QueryError(
            f'The query selects by namespace, but a guardrail reads only its own: remove the matcher; namespace="{namespace}" is added.'
        )
    return selector if own else replace(selector, matchers=(*selector.matchers, wanted))


def _reach(node: Node, lookback: timedelta) -> timedelta:
    match node:
        case Selector(offset=offset, range=length):
            return offset + (lookback if length is None else length)
        case Subquery(inner=inner, range=length, offset=offset):
            return offset + length + _reach(inner, lookback)
        case Call(args=args):
            return max((_reach(arg, lookback) for arg in args), default=_NO_TIME)
        case Aggregate(param=param, inner=inner):
            return max(_reach(inner, lookback), _NO_TIME if param is None else _reach(param, lookback))
        case Binary(left=left, right=right):
            return max(_reach(left, lookback), _reach(right, lookback))
        case Wrapped(inner=inner):
            return _reach(inner, lookback)
        case Number() | String():
            return _NO_TIME
