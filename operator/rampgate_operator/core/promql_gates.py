"""PromQL for the SDK's own metrics of many gates at once.

Knows the labels that these metrics have. Must not know who asks, nor what is counted in the answers: a query for the gates x and y of the
namespaces a and b brings x of b too, whether somebody asked for it or not.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal

from rampgate_operator.core.promql import regex_escape, show_surely
from rampgate_operator.core.promql_tree import Aggregate, Binary, Call, Labels, Matcher, Number, Selector

GENERATION = "rampgate_rules_generation"
PROCESSES = "rampgate_processes"
BOUND = "le"
"""The label with a histogram's bounds."""

_SCRAPES = "up"
"""What Prometheus itself writes at each scrape of a target, with the target's labels."""


def select(names: Collection[str], *, namespaces: Collection[str], gates: Collection[str] = (), bounds: Collection[float] = ()) -> Selector:
    """Select metrics by their names, namespaces and, where given, gates and bounds of buckets in seconds."""
    matchers = [_one_of("namespace", map(regex_escape, namespaces))]
    if gates:
        matchers.append(_one_of("gate", map(regex_escape, gates)))
    if bounds:
        matchers.append(_one_of(BOUND, map(_spellings, bounds)))
    if len(names) == 1:
        return Selector(next(iter(names)), tuple(matchers))
    return Selector(None, (_one_of("__name__", map(regex_escape, names)), *matchers))


def samples_of(selected: Selector, *, length: timedelta) -> str:
    """Ask for the raw samples over `length`."""
    return show_surely(_over(selected, length))


def last_values_of(selected: Selector, *, memory: timedelta) -> str:
    """Ask for each series' last value within `memory`, stale or not."""
    return show_surely(_last(selected, memory))


def bounds_of(selected: Selector, *, length: timedelta) -> str:
    """Ask which bounds the buckets of each gate have had within `length`."""
    return show_surely(Aggregate("group", Labels("by", ("namespace", "gate", BOUND)), None, _last(selected, length)))


def scrapes_of(namespaces: Collection[str], *, length: timedelta) -> str:
    """Ask when every target of some namespaces was scraped over `length`."""
    return samples_of(select([_SCRAPES], namespaces=namespaces), length=length)


def scraped_of(namespaces: Collection[str], *, memory: timedelta) -> str:
    """Ask in which of some namespaces anything was scraped within `memory`: what was tried in vain is not known."""
    scrapes = Call("max_over_time", (_over(select([_SCRAPES], namespaces=namespaces), memory),), "vector")
    return show_surely(Aggregate("group", Labels("by", ("namespace",)), None, Binary(">", False, (), scrapes, Number("0"))))


def _last(selected: Selector, length: timedelta) -> Call:
    return Call("last_over_time", (_over(selected, length),), "vector")


def _over(selected: Selector, length: timedelta) -> Selector:
    return Selector(selected.name, selected.matchers, range=length)


def _one_of(name: str, patterns: Collection[str] | map[str]) -> Matcher:
    return Matcher(name, "=~", "|".join(sorted(patterns)))


def _spellings(bound: float) -> str:
    """Match a number however it is written: 1 is "1" with Prometheus 2, "1.0" with Prometheus 3, and clients differ as well."""
    if bound == float("inf"):
        return r"\+?Inf"
    exact = Decimal(repr(bound)).normalize()
    whole, _, part = f"{exact:f}".partition(".")
    plain = f"{whole.lstrip('0')}\\.{part}0*" if part else f"{whole.lstrip('0') or '0'}(\\.0*)?"
    first, *rest = map(str, exact.as_tuple().digits)
    scientific = f"{first}{'.' if rest else ''}{''.join(rest)}e{exact.adjusted():+03d}"
    return f"0*{plain}|{regex_escape(scientific)}"
