"""What a query most likely does not mean, though it can be asked: it compares with nobody, or passes whatever happens.

Knows trees of PromQL and who is served what on a step; no YAML, no Prometheus. Only sure cases: a pattern that is more than a list of
names is taken to match everything.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping

from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.promql_rules import PLACEHOLDER
from rampgate_operator.core.promql_tree import Aggregate, Binary, Call, Matcher, Node, Number, Selector, String, Subquery, Wrapped, walk
from rampgate_operator.core.spec import Spec, Step

_LIST_OF_NAMES = re.compile(r"[\w.\-|()]*")
_ABSENCE = frozenset({"absent", "absent_over_time"})
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: left / right if right else math.nan,
}
_SAME_FOR_ONE = frozenset({"sum", "min", "max", "avg"})
"""Aggregations that make of one value that value."""


def blind_step(spec: Spec, query: Node) -> tuple[Step, Selector] | None:
    """Find the first step on which the query compares with nobody: none of those a selector asks for is served any more."""
    comparison = {spec.control, "baseline"}
    treatments = [variant.name for variant in spec.drawn_treatments]
    for step in spec.ramp.steps:
        served = _labels_served(spec, step)
        for selector in _needed(query):
            chosen = [_matches(selector, label, treatments[0]) for label in comparison]
            if any(chosen) and not any(_matches(selector, label, treatments[0]) for label in served):
                return step, selector
    return None


def value_without_series(node: Node) -> float | None:
    """Give what the query reads when not one of its series exists; None when that is no data, as it should be."""
    match node:
        case Number(text):
            return float(text)
        case Call(function="vector", args=(inner,)) | Wrapped(sign="(", inner=inner):
            return value_without_series(inner)
        case Wrapped(inner=inner):
            value = value_without_series(inner)
            return None if value is None else -value
        case Aggregate(op=op, inner=inner) if op in _SAME_FOR_ONE:
            return value_without_series(inner)
        case Binary():
            return _combined(node)
        case _:
            return None


def passes_for_ever(guardrail: Guardrail, query: Node) -> float | None:
    """Give the value within the guardrail's limits that its query reads without any series; None when it reads none, or breaches."""
    value = value_without_series(query)
    if value is None or not math.isfinite(value):
        return None
    breaches = (guardrail.max is not None and value > guardrail.max) or (guardrail.min is not None and value < guardrail.min)
    return None if breaches else value


def reads_series(query: Node) -> bool:
    """Whether it asks for any series at all."""
    return any(isinstance(node, Selector) for node in walk(query))


def matchers_of(selector: Selector) -> str:
    """Write what the selector asks of the label `variant`, as its query does."""
    return ", ".join(f'variant{matcher.op}"{matcher.value}"' for matcher in _on_variant(selector))


def _labels_served(spec: Spec, step: Step) -> set[str]:
    """Give the values that the label `variant` takes while a step lasts (design §11)."""
    served = {variant.name for variant in spec.variants if variant.weight > 0}
    others = {"baseline": step.percent < 100, "override": bool(spec.overrides), "ineligible": bool(spec.eligibility)}
    return served | {label for label, there in others.items() if there}


def _needed(node: Node) -> Iterator[Selector]:
    """Yield the selectors without whose series there is no result."""
    match node:
        case Selector():
            yield node
        case Binary(op="or") | Number() | String():
            pass
        case Binary(op="unless", left=left):
            yield from _needed(left)
        case Binary(left=left, right=right):
            yield from _needed(left)
            yield from _needed(right)
        case Call(function=function, args=args) if function not in _ABSENCE:
            for arg in args:
                yield from _needed(arg)
        case Subquery(inner=inner) | Wrapped(inner=inner) | Aggregate(inner=inner):
            yield from _needed(inner)


def _matches(selector: Selector, label: str, treatment: str) -> bool:
    matchers = _on_variant(selector)
    return bool(matchers) and all(_holds(matcher, label, treatment) for matcher in matchers)


def _on_variant(selector: Selector) -> Collection[Matcher]:
    return [matcher for matcher in selector.matchers if matcher.name == "variant"]


def _holds(matcher: Matcher, label: str, treatment: str) -> bool:
    wanted = PLACEHOLDER.sub(lambda found: treatment if found[1] == "variant" else found[0], matcher.value)
    if matcher.is_regex and not _LIST_OF_NAMES.fullmatch(wanted):
        return True
    equal = re.fullmatch(wanted, label) is not None if matcher.is_regex else wanted == label
    return equal is (matcher.op in {"=", "=~"})


def _combined(node: Binary) -> float | None:
    left, right = value_without_series(node.left), value_without_series(node.right)
    if node.op == "or":
        return right if left is None else left
    compute = _ARITHMETIC.get(node.op)
    return None if left is None or right is None or compute is None else compute(left, right)
