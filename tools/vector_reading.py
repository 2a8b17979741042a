"""Which bytes are an entry, and which entries are understood, as docs/rules-format.md has it: a part of tools/vectors.py.

Knows JSON values. It must not import rampgate.
"""

import json
import re
from datetime import date
from typing import Any

Json = dict[str, Any]

OF_LISTS = ("in", "notIn", "startsWith", "endsWith", "contains")
OF_NUMBERS = {"greaterThan": ">", "greaterOrEqual": ">=", "lessThan": "<", "lessOrEqual": "<="}
OF_INSTANTS = {"before": "<", "after": ">"}
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")


def read_entry(raw: bytes, *, gate: str) -> Json | None:
    """Read a gate's entry; None when these bytes are none."""
    try:
        entry = json.loads(raw.decode(), parse_constant=_refuse)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and entry.get("gate") == gate and has_frozen_fields(entry) else None


def _refuse(name: str) -> None:
    raise ValueError(name)


def has_frozen_fields(entry: Json) -> bool:
    """Whether all frozen fields are there and of their types."""
    percent: Any = entry.get("percent")
    control = entry.get("control")
    return (
        all(type(entry.get(field)) is int for field in ("format", "generation", "attempt"))
        and _is_number(percent)
        and 0 <= percent <= 100
        and isinstance(control, dict)
        and isinstance(control.get("name"), str)
        and "value" in control
        and all(isinstance(entry.get(field, ""), str) for field in ("latch", "serve"))
    )


def is_understood(entry: Json) -> bool:
    """Whether an entry with its frozen fields, and without `serve`, is one of format 1 with nothing unknown in it."""
    return (
        entry["format"] <= 1
        and all(isinstance(entry.get(field), str) for field in ("salt", "unit"))
        and entry.get("hashInput") in ("UTF8", "CBOR")
        and _are_variants(entry.get("variants"))
        and _are_named(entry, [variant["name"] for variant in entry["variants"]])
        and isinstance(entry.get("eligibility", []), list)
        and all(is_test(item, levels=8) for item in entry.get("eligibility", []))
    )


def _are_variants(variants: Any) -> bool:  # noqa: ANN401  # JSON
    return (
        isinstance(variants, list)
        and all(isinstance(variant, dict) and "value" in variant for variant in variants)
        and all(isinstance(variant.get("name"), str) for variant in variants)
        and all(type(variant.get("weight")) is int and variant["weight"] >= 0 for variant in variants)
        and 1 <= sum(variant["weight"] for variant in variants) <= 2147483647
    )


def _are_named(entry: Json, names: list[str]) -> bool:
    """Whether names are unique, and whatever names a variant names one of them."""
    overrides = entry.get("overrides", [])
    return (
        len(set(names)) == len(names)
        and entry["control"]["name"] in names
        and ("ship" not in entry or entry["ship"] in names)
        and isinstance(overrides, list)
        and all(isinstance(override, dict) and override.get("variant") in names for override in overrides)
        and all(_are_texts(override.get("units")) and "" not in override["units"] for override in overrides)
    )


def is_test(item: Any, *, levels: int) -> bool:  # noqa: ANN401  # JSON
    """Whether this is a condition, or a group of at most so many levels."""
    if not isinstance(item, dict):
        return False
    if set(item) in ({"all"}, {"any"}):
        (tests,) = item.values()
        return levels > 0 and _is_filled_list(tests) and all(is_test(test, levels=levels - 1) for test in tests)
    if set(item) == {"not"}:
        return levels > 0 and is_test(item["not"], levels=levels - 1)
    return len(item) == 2 and isinstance(item.get("attribute"), str) and all(_is_operand(*each) for each in item.items())


def _is_operand(name: str, operand: Any) -> bool:  # noqa: ANN401  # JSON
    """Whether there is such an operator, and this is an operand of it; `attribute` was looked at before."""
    if name in OF_LISTS:
        return _are_texts(operand)
    if name in OF_NUMBERS:
        return _is_number(operand)
    if name in OF_INSTANTS:
        return isinstance(operand, str) and read_moment(operand) is not None
    if name in ("is", "exists"):
        return operand is True or operand is False
    if name == "semver":
        return _is_filled_list(operand) and all(_is_bound(bound) for bound in operand)
    if name == "semverAny":
        return _is_filled_list(operand) and all(_is_operand("semver", bounds) for bounds in operand)
    return name in ("attribute", "equals") and isinstance(operand, str)


def _is_bound(bound: Any) -> bool:  # noqa: ANN401  # JSON
    if not isinstance(bound, list) or len(bound) != 2 or bound[0] not in COMPARISONS:
        return False
    return isinstance(bound[1], list) and [type(number) for number in bound[1]] == [int, int, int]


def _is_number(value: Any) -> bool:  # noqa: ANN401  # JSON
    return type(value) in (int, float)


def _are_texts(texts: Any) -> bool:  # noqa: ANN401  # JSON
    return isinstance(texts, list) and all(isinstance(text, str) for text in texts)


def _is_filled_list(items: Any) -> bool:  # noqa: ANN401  # JSON
    return isinstance(items, list) and items != []


def read_moment(text: str) -> list[int] | None:
    """Read an instant as its minutes since year 1 in UTC, its second and its microseconds; further digits are cut off."""
    form = r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))"
    found = re.fullmatch(form, text, re.ASCII)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction, sign, hours, minutes = found.groups()[6:]
    offset = (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1) if sign else 0
    if hour > 23 or minute > 59 or second > 59 or (sign and (int(hours) > 23 or int(minutes) > 59)):
        return None
    try:
        days = date(year, month, day).toordinal()
    except ValueError:
        return None
    return [days * 1440 + hour * 60 + minute - offset, second, int((fraction or "0").ljust(9, "0")[:6])]
