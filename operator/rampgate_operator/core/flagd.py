"""From the rules' ConfigMap to one flagd document: the same assignment for whoever evaluates with flagd (design §6, docs/flagd.md).

A pure function of the ConfigMap's keys. What flagd cannot say exactly is not said at all: that gate is static on control, and a sentence
says why.
Knows JsonLogic and flagd's operators. Must not know Experiments, clusters or who reads the document.

JsonLogic has no types and coerces, differently in each language, so every test first asks whether the value is of its type:
`starts_with` "" is true of texts alone; texts and lists that are not empty have a `length`; a number's own text begins with a digit.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from rampgate.bucketing import MAX_TOTAL_WEIGHT, HashInput, compile_hash
from rampgate.errors import UnusableEntryError
from rampgate.rules import Entry, Rule, is_unicode, parse_entry, render_entry
from rampgate_operator.core.compile import number
from rampgate_operator.core.observation import KEY_SUFFIX, ROOM, kill_key
from rampgate_operator.core.remember import remember

FLAGD_SUFFIX = "-flagd"
FLAGD_KEY = "flagd.json"
FLAGD_FORMAT = "rampgate.dev/flagd/1"
"""What the key `format` says in a ConfigMap with a document: whose it is, and that it is no ConfigMap with rules."""
LARGEST_EXACT = 2**53
MOST_REMEMBERED = 4 * 1024**2
"""Characters of entries whose flag is remembered: more than one ConfigMap holds."""
_AROUND = 100
"""Bytes of a ConfigMap with a document beside its flags."""
_WHOLE = 10_000
_NUMBERS_BEGIN = [*"-0123456789iI"]
"""`i` and `I` are infinity's; "null", "true", "True", "NaN", "[object Object]" and dates begin otherwise."""
_COMPARISONS = {"greaterThan": ">", "greaterOrEqual": ">=", "lessThan": "<", "lessOrEqual": "<="}
_UNSAYABLE = {
    "before": "flagd has no instants",
    "after": "flagd has no instants",
    "semver": "flagd's evaluators read versions differently",
    "semverAny": "flagd's evaluators read versions differently",
}
Logic = dict[str, Any]


class Flag(NamedTuple):
    """One gate in the document; `text` is empty when even control cannot be said, `problem` when all is said.

    `static` is the same gate on control, for when there is no room, and the gate with the lowest `generation` is the oldest.
    """

    text: str
    problem: str = ""
    static: str = ""
    generation: int = 0


class Document(NamedTuple):
    """A flagd document, and what it says of each gate."""

    text: str
    flags: Mapping[str, Flag]

    @property
    def problems(self) -> Mapping[str, str]:
        """Why a gate is not in it as its entry says."""
        return {gate: flag.problem for gate, flag in self.flags.items() if flag.problem}


class _NotRenderableError(Exception):
    """flagd cannot say it; the message is the sentence for a person."""


def compile_flagd(config_map: Mapping[str, Any]) -> Document:
    """Give the flagd document of a ConfigMap with rules. Equal keys give equal bytes.

    A gate that cannot be said is static on control; one whose bytes are no entry, or whose control flagd has no type for, is left out.
    Where there is no room for all, the newest are static on control: no gate's growth may keep a neighbour's kill from being written.
    """
    data: Mapping[str, str] = config_map.get("data") or {}
    named = kill_key(config_map).replace(",", " ").split()
    flags = {
        gate: compile_flag(gate, data[gate + KEY_SUFFIX], killed="*" in named or gate in named)
        for gate in sorted(key.removesuffix(KEY_SUFFIX) for key in data if key.endswith(KEY_SUFFIX))
        if gate
    }
    flags = _fit(flags)
    said = ",".join(f"{json.dumps(gate)}:{flag.text}" for gate, flag in flags.items() if flag.text)
    return Document(f'{{"flags":{{{said}}}}}', flags)


def _fit(flags: dict[str, Flag]) -> dict[str, Flag]:
    size = sum(len(gate) + len(flag.text) + len('"":,') for gate, flag in flags.items()) + _AROUND
    fitting = dict(flags)
    for gate, flag in sorted(flags.items(), key=lambda item: item[1].generation, reverse=True):
        if size <= ROOM:
            break
        if len(flag.static) < len(flag.text):
            fitting[gate] = Flag(flag.static, f"the document would pass {ROOM} bytes")
            size -= len(flag.text) - len(flag.static)
    return fitting


@remember(characters=MOST_REMEMBERED)
def compile_flag(gate: str, line: str, *, killed: bool) -> Flag:
    """Give one gate's flag. Remembered, for a document is rendered again whenever one of its gates changes."""
    try:
        return _compile(parse_entry(line, gate=gate), line, killed=killed)
    except UnusableEntryError as error:
        return Flag("", f"its entry cannot be read: {error}")
    except (ValueError, RecursionError):  # an infinity, or a value that nests without end: written by hand
        return Flag("", "its entry is no JSON that others read")


def _compile(entry: Entry, line: str, *, killed: bool) -> Flag:
    if _type_of(entry.control.value) is None:
        return Flag("", "control's value is a list or null, for which flagd has no type")
    if killed or entry.serve is not None:
        return Flag(_static(entry, "KILLED" if killed else str(entry.serve)))
    static = _static(entry, "NOT_RENDERABLE")
    try:
        return Flag(_drawn(entry, json.loads(line)), static=static, generation=entry.generation)
    except _NotRenderableError as error:
        return Flag(static, str(error))


def _static(entry: Entry, reason: str) -> str:
    """Control for everybody. Never `state: DISABLED`: that is the caller's default."""
    return _flag(entry, {entry.control.name: entry.control.value}, reason=reason)


def _drawn(entry: Entry, fields: Mapping[str, Any]) -> str:
    rule = entry.rule
    if rule is None:
        raise _NotRenderableError(entry.problem)
    if any(not variant.name for variant in rule.variants):
        raise _NotRenderableError("one of its variants has no name")
    if any(_type_of(variant.value) is not _type_of(entry.control.value) for variant in rule.variants):
        raise _NotRenderableError("its variants' values are not of one type")
    if not rule.salt.isascii():
        raise _NotRenderableError("its salt is not ASCII, which flagd's JavaScript evaluator hashes differently")
    targeting = _targeting(rule, entry, fields.get("eligibility", []))
    return _flag(entry, {variant.name: variant.value for variant in rule.variants}, targeting=targeting)


def _flag(entry: Entry, variants: Mapping[str, Any], *, targeting: Logic | None = None, reason: str = "") -> str:
    metadata: dict[str, Any] = {"attempt": entry.attempt, "generation": entry.generation, "percent": number(entry.percent)}
    metadata |= {"serve": reason} if reason else {}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": entry.control.name, "metadata": metadata}
    return render_entry(flag | ({"targeting": targeting} if targeting else {}))


def _targeting(rule: Rule, entry: Entry, eligibility: list[Any]) -> Logic:
    """Override, eligibility, shipped, enrolled, arm: the order in which the SDK answers."""
    unit, control = _value_of(rule.unit), entry.control.name
    steps: list[Any] = []
    for override in rule.overrides:
        steps += [{"in": [unit, _texts(list(override.units))]}, override.variant]
    if eligibility:
        steps += [{"!": [{"and": [_test(item) for item in eligibility]}]}, control]
    if rule.ship is not None:
        return {"if": [*steps, rule.ship]}
    arms = [[variant.name, variant.weight] for variant in rule.variants]
    drawn = {"and": [_is_text(unit), {"!==": [unit, ""]}, _hashes_alike(rule.hash_input), _is_enrolled(rule, entry.basis_points, unit)]}
    return {"if": [*steps, drawn, _fractional({"cat": [f"{rule.salt}:arm:", unit]}, *arms), control]}


def _is_enrolled(rule: Rule, basis_points: int, unit: Logic) -> Logic:
    text = {"cat": [f"{rule.salt}:enroll:", unit]}
    return {"===": [_fractional(text, ["in", basis_points], ["out", _WHOLE - basis_points]), "in"]}


@lru_cache
def _hashes_alike(hash_input: HashInput) -> Logic:
    """Ask the evaluator to hash a text whose hash is known: one of another generation must not draw other units, but nobody."""
    bucket = compile_hash("rampgate", "flagd", hash_input=hash_input)("probe") * MAX_TOTAL_WEIGHT >> 32
    probe = {"cat": ["rampgate:flagd:", "probe"]}  # flagd's schema wants an expression here
    return {"===": [_fractional(probe, ["no", bucket], ["yes", 1], ["no", MAX_TOTAL_WEIGHT - bucket - 1]), "yes"]}


def _fractional(text: Logic, *shares: list[Any]) -> Logic:
    return {"fractional": [text, *shares]}


def _test(item: Any) -> Logic:  # noqa: ANN401  # JSON
    """Say one test, or tests within tests."""
    if "attribute" not in item:
        ((name, inner),) = item.items()
        if name == "not":
            return {"!": [_test(inner)]}
        return {{"all": "and", "any": "or"}[name]: [_test(each) for each in inner]}
    attribute = item["attribute"]
    ((name, operand),) = ((name, operand) for name, operand in item.items() if name != "attribute")
    if name in _UNSAYABLE:
        raise _NotRenderableError(f"{name} of {attribute}: {_UNSAYABLE[name]}")
    return _leaf(name, operand, attribute)


def _leaf(name: str, operand: Any, attribute: str) -> Logic:  # noqa: ANN401  # JSON
    value = _value_of(attribute)
    match name:
        case "equals":
            return {"===": [value, _texts([operand])[0]]}
        case "in":
            return {"in": [value, _texts(operand)]}
        case "notIn":
            return {"and": [_is_text(value), {"!": [{"in": [value, _texts(operand)]}]}]}
        case "startsWith" | "endsWith":
            return _any({"starts_with" if name == "startsWith" else "ends_with": [value, text]} for text in _texts(operand))
        case "contains":
            return {"and": [_is_text(value), _any({"in": [text, value]} for text in _texts(operand))]}
        case "is":  # Python's 1 is true, too
            return {"and": [{"===": [value, operand]}, {"!": [{"in": [{"cat": ["", value]}, ["1", "0", "-0"]]}]}]}
        case "exists":
            return {"!==" if operand else "===": [value, None]}
        case _ if name in _COMPARISONS:
            if abs(operand) > LARGEST_EXACT:
                raise _NotRenderableError(f"{name} of {attribute}: beyond 2^53 not every language has every number")
            begins = {"substr": [{"cat": ["", value]}, 0, 1]}
            return {
                "and": [
                    {"!": [_value_of(attribute, within=".length")]},
                    {"in": [begins, _NUMBERS_BEGIN]},
                    {_COMPARISONS[name]: [value, operand]},
                ]
            }
    raise _NotRenderableError(f"{name} of {attribute}: this operator is unknown to flagd")


def _any(tests: Any) -> Logic:  # noqa: ANN401  # an iterator of tests
    return {"or": [*tests, False]}


def _is_text(value: Logic) -> Logic:
    return {"starts_with": [value, ""]}


def _value_of(attribute: str, *, within: str = "") -> Logic:
    if not attribute or not {".", "\\"}.isdisjoint(attribute) or attribute in {"$flagd", "__proto__"} or not is_unicode(attribute):
        raise _NotRenderableError(f"attribute {attribute!r}: flagd's evaluators look elsewhere for it")
    return {"var": attribute + within}


def _texts(texts: list[str]) -> list[str]:
    if not all(is_unicode(text) for text in texts):
        raise _NotRenderableError("half a surrogate pair is no text")
    return texts


def _type_of(value: object) -> type | None:
    """Give flagd's type of a value; None when it has none."""
    if isinstance(value, bool):
        return bool
    return next((kind for kind in (float, str, dict) if isinstance(value, int | float if kind is float else kind)), None)
