"""The entry of one gate: from its JSON line to frozen values, and from fields to the canonical line.

Knows the entry's format (docs/rules-format.md); the operator reads its own entries back with it.
Must not know how units are hashed, what is served, or where the bytes come from.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

from rampgate.bucketing import MAX_TOTAL_WEIGHT, HashInput
from rampgate.errors import NotUnderstoodError, UnusableEntryError

FORMAT = 1
"""The newest entry format that this version evaluates."""

_LONGEST_PROBLEM = 200
T = TypeVar("T")
_KINDS = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}
"""JSON's types as JSON calls them: a person who reads a message may write no Python."""


class Control(NamedTuple):
    """What everybody gets who is not treated."""

    name: str
    value: Any


class Variant(NamedTuple):
    """A named value that an enrolled unit may be drawn into."""

    name: str
    value: Any
    weight: int


class Override(NamedTuple):
    """Units that get a variant whatever the targeting and the percentage say."""

    variant: str
    units: tuple[str, ...]


class Rule(NamedTuple):
    """The part of an entry that may grow with newer formats: who is drawn, from what, into which variant."""

    salt: str
    unit: str
    hash_input: HashInput
    variants: tuple[Variant, ...]
    eligibility: tuple[Any, ...]
    overrides: tuple[Override, ...]
    ship: str | None

    @property
    def draw(self) -> tuple[object, ...]:
        """All that a unit's arm depends on, but the percentage."""
        return self.salt, self.unit, self.hash_input, tuple((variant.name, variant.weight) for variant in self.variants)


class Entry(NamedTuple):
    """One gate's rules. All fields but `rule` and `problem` are frozen for ever: every version of every SDK can read them.

    `rule` is None when everybody gets control: because `serve` says so, or because of `problem` (a sentence; empty when there is none).
    """

    gate: str
    generation: int
    attempt: int
    basis_points: int
    control: Control
    latch: str | None
    serve: str | None
    rule: Rule | None
    problem: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The variants that this entry can serve."""
        return tuple(variant.name for variant in self.rule.variants) if self.rule else (self.control.name,)

    @property
    def percent(self) -> float:
        """The percentage that is served, 0..100, at most two decimals."""
        return self.basis_points / 100


def render_entry(fields: object) -> str:
    """Canonical JSON line of an entry's fields: equal fields give equal bytes. Raises ValueError on NaN and infinities.

    ASCII without `<`, `>` and `&`, which are escaped as Go's encoding/json does: a JSON Patch `test` at kube-apiserver compares encoded
    bytes, and only what everybody encodes alike is equal to itself.
    """
    import json  # noqa: PLC0415 - as in _load

    line = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return line.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plain(text: object) -> str:
    """The plain text of a subclass of str, such as an enumeration's member, and none of its code runs; empty when it is no text."""
    return str.__str__(text) if issubclass(type(text), str) else ""  # isinstance believes what a mock says it is


def is_unicode(text: str) -> bool:
    """Whether a text can be written anywhere: JSON, and callers, may hold half a surrogate pair, which no encoding has."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_entry(text: str | bytes, *, gate: str | None = None) -> Entry:
    """Read an entry, if given that of `gate`.

    Raises:
        UnusableEntryError: no JSON object, frozen fields that are missing or of a wrong type, or another gate's entry.
    """
    fields = _load(text)
    try:
        entry = _frozen(fields)
        version = _field(fields, "format", int)
        _one_of(entry.gate, [gate or entry.gate], field="gate")
    except NotUnderstoodError as error:
        raise UnusableEntryError(_sentence(error)) from None
    if entry.serve is not None:
        return entry
    if version > FORMAT:
        return entry._replace(problem=f"format {version} is newer than {FORMAT}")
    try:
        return entry._replace(rule=_rule(fields, control=entry.control.name))
    except NotUnderstoodError as error:
        return entry._replace(problem=_sentence(error))


def _sentence(error: Exception) -> str:
    """Say what is wrong in a line that logs, a status and a terminal can bear: an entry may hold any character, and a mebibyte of them."""
    text = str(error)
    cut = text if len(text) <= _LONGEST_PROBLEM else text[: _LONGEST_PROBLEM - 1] + "…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cut)


def _load(text: str | bytes) -> dict[str, object]:
    import json  # noqa: PLC0415 - who imports the SDK need not have rules yet

    try:
        # Decoded here because json.loads guesses UTF-16 and UTF-32 from bytes, which no other language does.
        fields = json.loads(text.decode() if isinstance(text, bytes) else text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnusableEntryError(f"no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise UnusableEntryError("no JSON object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _frozen(fields: Mapping[str, object]) -> Entry:
    control = _field(fields, "control", dict)
    if "value" not in control:
        raise NotUnderstoodError("control: a value is missing")
    return Entry(
        gate=_field(fields, "gate", str),
        generation=_field(fields, "generation", int),
        attempt=_field(fields, "attempt", int),
        basis_points=_basis_points(fields.get("percent")),
        control=Control(_field(control, "name", str), control["value"]),
        latch=_field(fields, "latch", str) if "latch" in fields else None,
        serve=_field(fields, "serve", str) if "serve" in fields else None,
        rule=None,
    )


def _basis_points(percent: object) -> int:
    if type(percent) not in (int, float) or not 0 <= percent <= 100:  # type: ignore[operator]  # narrowed by the first half
        raise NotUnderstoodError("percent: wanted a number from 0 to 100")
    return round(percent * 100)  # type: ignore[operator]


def _rule(fields: Mapping[str, object], *, control: str) -> Rule:
    from rampgate.eligibility import parse_test  # noqa: PLC0415 - as json in _load

    variants = tuple(_variant(each) for each in _field(fields, "variants", list))
    names = [variant.name for variant in variants]
    if len(set(names)) != len(names) or control not in names:
        raise NotUnderstoodError("variants: wanted unique names, control's among them")
    if not 0 < sum(variant.weight for variant in variants) <= MAX_TOTAL_WEIGHT:
        raise NotUnderstoodError(f"variants: weights must sum to 1..{MAX_TOTAL_WEIGHT}")
    return Rule(
        salt=_field(fields, "salt", str),
        unit=_field(fields, "unit", str),
        hash_input=_hash_input(_field(fields, "hashInput", str)),
        variants=variants,
        eligibility=tuple(parse_test(each) for each in _optional_list(fields, "eligibility")),
        overrides=tuple(_override(each, names=names) for each in _optional_list(fields, "overrides")),
        ship=_one_of(_field(fields, "ship", str), names, field="ship") if "ship" in fields else None,
    )


def _variant(fields: object) -> Variant:
    if not isinstance(fields, dict) or "value" not in fields:
        raise NotUnderstoodError("variants: wanted objects with a name, a value and a weight")
    weight = _field(fields, "weight", int)
    if weight < 0:
        raise NotUnderstoodError("variants: a weight must not be negative")
    return Variant(_field(fields, "name", str), fields["value"], weight)


def _override(fields: object, *, names: list[str]) -> Override:
    if not isinstance(fields, dict):
        raise NotUnderstoodError("overrides: wanted objects with a variant and units")
    units = _field(fields, "units", list)
    if not all(isinstance(unit, str) and unit for unit in units):
        raise NotUnderstoodError("overrides: units are non-empty strings")
    return Override(_one_of(_field(fields, "variant", str), names, field="overrides"), tuple(units))


def _hash_input(name: str) -> HashInput:
    try:
        return HashInput(name)
    except ValueError:
        raise NotUnderstoodError(f"hashInput: {name!r} is unknown") from None


def _one_of(name: str, names: list[str], *, field: str) -> str:
    if name not in names:
        raise NotUnderstoodError(f"{field}: {name!r} is none of {', '.join(names)}")
    return name


def _optional_list(fields: Mapping[str, object], name: str) -> list[object]:
    return _field(fields, name, list) if name in fields else []


def _field(fields: Mapping[str, object], name: str, kind: type[T]) -> T:
    value = fields.get(name)
    # Not isinstance: JSON's true must not pass for the number 1.
    if type(value) is not kind:
        raise NotUnderstoodError(f"{name}: wanted {_KINDS[kind]}")
    if isinstance(value, str) and not is_unicode(value):
        raise NotUnderstoodError(f"{name}: half a surrogate pair is no text")
    return value
