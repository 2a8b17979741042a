"""Write tests/vectors/*.json: what every implementation of the rules must answer, in any language.

`python -m tools.vectors` writes them; a test fails when the committed files differ from what this writes.
It is a second, deliberately plain implementation of docs/rules-format.md. It must not import rampgate: two implementations that agree are
the point.
"""

import json
import re
from collections.abc import Iterator
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "tests" / "vectors"

Json = dict[str, Any]


def murmur3_x86_32(data: bytes) -> int:
    """MurmurHash3 x86 32 bit, seed 0, unsigned (Appleby's reference, smhasher)."""
    state = 0
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        state ^= _mix(int.from_bytes(data[start : start + 4], "little"))
        state = (_rotate(state, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    state ^= _mix(int.from_bytes(data[whole:], "little")) ^ len(data)
    state = ((state ^ state >> 16) * 0x85EBCA6B) & 0xFFFFFFFF
    state = ((state ^ state >> 13) * 0xC2B2AE35) & 0xFFFFFFFF
    return state ^ state >> 16


def _mix(block: int) -> int:
    return _rotate(block * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF


def _rotate(number: int, by: int) -> int:
    return (number << by | number >> 32 - by) & 0xFFFFFFFF


def encode(text: str, hash_input: str) -> bytes:
    """The bytes that are hashed: UTF-8, for CBOR after the head of an RFC 8949 text string."""
    data = text.encode()
    if hash_input == "UTF8":
        return data
    size = len(data)
    if size < 24:
        return bytes([0x60 + size]) + data
    if size < 256:
        return bytes([0x78, size]) + data
    return (b"\x79" + size.to_bytes(2, "big") if size < 65536 else b"\x7a" + size.to_bytes(4, "big")) + data


def assign(row: Json) -> Json:
    """Complete a row with its two hashes, whether the unit is enrolled, and the index of its arm (null when not enrolled)."""
    hashes = {purpose: murmur3_x86_32(encode(f"{row['salt']}:{purpose}:{row['unit']}", row["hashInput"])) for purpose in ("enroll", "arm")}
    enrolled = hashes["enroll"] * 10000 >> 32 < round(row["percent"] * 100)
    point = hashes["arm"] * sum(row["weights"]) >> 32
    arm = next(index for index in range(len(row["weights"])) if sum(row["weights"][: index + 1]) > point)
    return {**row, "enrollHash": hashes["enroll"], "armHash": hashes["arm"], "enrolled": enrolled, "arm": arm if enrolled else None}


def assignment_rows() -> Iterator[Json]:
    """Rows of salt, unit, hash input, percentage and weights: every edge of the encoding, and enough ordinary units."""
    weights = [[1, 1], [1, 2, 3], [0, 1], [90, 10], [1]]
    percents = [0, 0.01, 1, 10, 12.34, 50, 99.99, 100]
    plain = [("shop/new-checkout", f"user-{number}") for number in range(40)]
    foreign = [("shop/größe", unit) for unit in ("müller@example.com", "ユーザー", "пользователь", "🙂", "e\u0301", "é", "a:b", " ")]
    # The text is "<salt>:<purpose>:<unit>"; its edges are reached for `arm` and for `enroll` in turn.
    edges = [("s", "u" * (size - len(f"s:{purpose}:"))) for size, purpose in product((22, 23, 24, 254, 255, 256, 257), ("arm", "enroll"))]
    edges += [("", "u"), ("s", "é" * 8), ("s", "é" * 9), ("s:enroll", "u"), ("s", "enroll:u")]
    for number, ((salt, unit), hash_input) in enumerate(product(plain + foreign + edges, ("UTF8", "CBOR"))):
        for step in range(2):
            percent = percents[(number + step * 3) % len(percents)]
            yield assign(
                {
                    "salt": salt,
                    "unit": unit,
                    "hashInput": hash_input,
                    "percent": percent,
                    "weights": weights[(number + step) % len(weights)],
                }
            )


def encoding_rows() -> Iterator[Json]:
    """Texts with the bytes that are hashed, in hexadecimal, and their hash: from the empty text to three-byte heads."""
    texts = ["", "a", "s:arm:u", *("x" * size for size in (22, 23, 24, 25, 254, 255, 256, 257)), "é" * 12, "ü" * 128, "日本語", "🙂🙂"]
    for text, hash_input in product(texts, ("UTF8", "CBOR")):
        data = encode(text, hash_input)
        yield {"text": text, "hashInput": hash_input, "bytes": data.hex(), "hash": murmur3_x86_32(data)}


def evaluate(entry: Json, context: Json, *, killed: bool) -> Json:
    """Answer as docs/rules-format.md says, line by line."""
    control = entry["control"]
    if killed:
        return _answer(control, "KILLED", "none")
    if "serve" in entry:
        return _answer(control, entry["serve"] if entry["serve"] in ("KILLED", "ROLLED_BACK") else "ERROR", "none")
    if not is_understood(entry):
        return _answer(control, "ERROR", "none")
    variants = {variant["name"]: variant for variant in entry["variants"]}
    unit = context.get(entry["unit"])
    for override in entry.get("overrides", []):
        if unit in override["units"]:
            return _answer(variants[override["variant"]], "OVERRIDE", "override")
    if not all(_matches(condition, context) for condition in entry.get("eligibility", [])):
        return _answer(control, "NOT_ELIGIBLE", "ineligible")
    if "ship" in entry:
        return _answer(variants[entry["ship"]], "SHIPPED", "none")
    return draw(entry, unit)


def draw(entry: Json, unit: object) -> Json:
    """Answer for a unit that no earlier rule answered for."""
    control = entry["control"]
    if unit is None or unit == "":
        return _answer(control, "NO_UNIT", "none")
    if not isinstance(unit, str):
        return _answer(control, "ERROR", "none")
    weights = [variant["weight"] for variant in entry["variants"]]
    drawn = assign({"salt": entry["salt"], "unit": unit, "hashInput": entry["hashInput"], "percent": entry["percent"], "weights": weights})
    if not drawn["enrolled"]:
        return _answer(control, "NOT_ENROLLED", "baseline")
    arm = entry["variants"][drawn["arm"]]
    return _answer(arm, "ENROLLED", arm["name"])


def is_understood(entry: Json) -> bool:
    """Whether this is an entry of format 1 with nothing unknown in it; only as strict as the cases below need."""
    operators = [sorted(condition.keys() - {"attribute"}) for condition in entry.get("eligibility", [])]
    names = [variant.get("name") for variant in entry.get("variants", [])]
    return (
        entry["format"] == 1
        and all(isinstance(entry.get(field), str) for field in ("salt", "unit"))
        and entry.get("hashInput") in ("UTF8", "CBOR")
        and entry["control"]["name"] in names
        and len(set(names)) == len(names)
        and all(len(operator) == 1 and operator[0] in OPERATORS for operator in operators)
        and entry.get("ship", names[0]) in names
        and all(type(variant.get("weight")) is int for variant in entry["variants"])
        and sum(variant["weight"] for variant in entry["variants"]) > 0
    )


def _answer(served: Json, reason: str, label: str) -> Json:
    return {"variant": served["name"], "value": served["value"], "reason": reason, "label": label}


OF_TEXTS = ("in", "notIn", "equals", "startsWith", "endsWith", "contains")
OF_NUMBERS = {"greaterThan": ">", "greaterOrEqual": ">=", "lessThan": "<", "lessOrEqual": "<="}
OF_INSTANTS = {"before": "<", "after": ">"}
OPERATORS = (*OF_TEXTS, *OF_NUMBERS, *OF_INSTANTS, "semver", "semverAny", "is", "exists")


def _matches(condition: Json, context: Json) -> bool:
    ((name, operand),) = ((name, operand) for name, operand in condition.items() if name != "attribute")
    value = _look_up(context, condition["attribute"])
    if name == "exists":
        return (value is None) is not operand
    if name == "is":
        return value is operand
    if name in OF_NUMBERS:
        return type(value) in (int, float) and _compared(value, OF_NUMBERS[name], operand)
    if not isinstance(value, str):
        return False
    if name in OF_INSTANTS:
        moment = _moment(value)
        return moment is not None and _compared(moment, OF_INSTANTS[name], _moment(operand))
    if name in ("semver", "semverAny"):
        version, alternatives = _version(value), [operand] if name == "semver" else operand
        return version is not None and any(
            all(_compared(version, sign, [*numbers, 1]) for sign, numbers in comparisons) for comparisons in alternatives
        )
    return _text_matches(name, operand, value)


def _look_up(context: Json, attribute: str) -> Any:  # noqa: ANN401  # JSON
    if context.get(attribute) is not None or "." not in attribute:
        return context.get(attribute)
    found: Any = context
    for part in attribute.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text_matches(name: str, operand: Any, value: str) -> bool:  # noqa: ANN401  # a text or texts
    match name:
        case "in" | "notIn":
            return (value in operand) == (name == "in")
        case "equals":
            return bool(value == operand)
        case "startsWith":
            return any(value[: len(text)] == text for text in operand)
        case "endsWith":
            return any(text == "" or value[-len(text) :] == text for text in operand)
    return any(value.find(text) >= 0 for text in operand)


def _moment(text: str) -> list[int] | None:
    """Read an instant as its minutes since year 1 in UTC, its second and its microseconds."""
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


def _compared(one: Any, sign: str, other: Any) -> bool:  # noqa: ANN401  # two of a kind
    order = (one > other) - (one < other)
    holds: bool = {"=": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[sign]
    return holds


def _version(text: str) -> list[int] | None:
    body = text.split("+", 1)[0]
    numbers, dash, prerelease = body.removeprefix("v").removeprefix("V").partition("-") if body[:2] not in ("vV", "Vv") else ("", "", "")
    parts = numbers.split(".")
    is_version = len(parts) <= 3 and all(re.fullmatch("[0-9]{1,18}", part) for part in parts)
    if not is_version or (dash and not re.fullmatch("[0-9A-Za-z.-]+", prerelease)):
        return None
    if "+" in text and not re.fullmatch("[0-9A-Za-z.-]+", text.split("+", 1)[1]):
        return None
    return [*(int(part) for part in parts), *[0] * (3 - len(parts)), 0 if dash else 1]


EVERYBODY: Json = {
    "attempt": 1,
    "control": {"name": "control", "value": False},
    "format": 1,
    "gate": "new-checkout",
    "generation": 1795600000,
    "hashInput": "UTF8",
    "percent": 50,
    "salt": "shop/new-checkout",
    "unit": "userId",
    "variants": [{"name": "control", "value": False, "weight": 1}, {"name": "treatment", "value": True, "weight": 1}],
}
TARGETED: Json = {
    **EVERYBODY,
    "eligibility": [
        {"attribute": "country", "in": ["US", "CA"]},
        {"attribute": "appVersion", "semver": [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]},
        {"attribute": "plan", "notIn": ["free"]},
    ],
    "overrides": [{"units": ["qa-1", "qa-ü"], "variant": "treatment"}, {"units": ["qa-2", "qa-1"], "variant": "control"}],
    "percent": 100,
}
FROZEN: Json = {field: EVERYBODY[field] for field in ("attempt", "control", "format", "gate", "generation")}
MANY: Json = {
    **EVERYBODY,
    "control": {"name": "off", "value": "blue"},
    "variants": [{"name": name, "value": name * 2, "weight": weight} for name, weight in (("a", 1), ("off", 2), ("b", 0), ("c", 3))],
}
MANY["variants"][1]["value"] = "blue"

ENTRIES: dict[str, Json] = {
    "everybody at 50 %": EVERYBODY,
    "everybody at 0 %": {**EVERYBODY, "percent": 0},
    "everybody at 12.34 %, CBOR": {**EVERYBODY, "percent": 12.34, "hashInput": "CBOR"},
    "four variants": MANY,
    "values are objects": {
        **EVERYBODY,
        "control": {"name": "control", "value": {"size": 1}},
        "variants": [{"name": "control", "value": {"size": 1}, "weight": 1}, {"name": "treatment", "value": {"size": 2}, "weight": 1}],
    },
    "targeted": TARGETED,
    "shipped": {**TARGETED, "ship": "treatment"},
    "rolled back": {**FROZEN, "latch": "Guardrail", "percent": 0, "serve": "ROLLED_BACK"},
    "killed": {**FROZEN, "latch": "Kill", "percent": 0, "serve": "KILLED"},
    "serve is a word of the future": {**FROZEN, "percent": 0, "serve": "ARCHIVED"},
    "rolled back in a newer format": {**FROZEN, "format": 7, "latch": "Deadline", "percent": 0, "serve": "ROLLED_BACK"},
    "newer format": {**EVERYBODY, "format": 2},
    "unknown operator": {**EVERYBODY, "eligibility": [{"attribute": "country", "matches": "^U"}]},
    "two operators in one condition": {**EVERYBODY, "eligibility": [{"attribute": "country", "in": ["US"], "notIn": ["CA"]}]},
    "unknown hashInput": {**EVERYBODY, "hashInput": "SHA256"},
    "no salt": {field: value for field, value in EVERYBODY.items() if field != "salt"},
    "ship names no variant": {**EVERYBODY, "ship": "other"},
    "control is no variant": {**EVERYBODY, "control": {"name": "other", "value": False}},
    "weights sum to 0": {**EVERYBODY, "variants": [{**variant, "weight": 0} for variant in EVERYBODY["variants"]]},
    "an unknown field is ignored": {**EVERYBODY, "note": "of a later version"},
}

TESTS: dict[str, Json] = {
    "equals": {"equals": "pro"},
    "is true": {"is": True},
    "is false": {"is": False},
    "exists": {"exists": True},
    "exists not": {"exists": False},
    "startsWith": {"startsWith": ["pro", "ü"]},
    "endsWith": {"endsWith": ["@shop.example", "ü"]},
    "contains": {"contains": ["beta", "ü"]},
    "greaterThan": {"greaterThan": 3},
    "greaterOrEqual": {"greaterOrEqual": 2.5},
    "lessThan": {"lessThan": 3},
    "lessOrEqual": {"lessOrEqual": -1},
    "before": {"before": "2026-12-01T07:00:00Z"},
    "after": {"after": "2026-12-01T07:00:00.5Z"},
    "semverAny": {"semverAny": [[["<", [1, 0, 0]]], [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]]},
}
ENTRIES |= {name: {**EVERYBODY, "percent": 100, "eligibility": [{"attribute": "user.x", **test}]} for name, test in TESTS.items()}
TESTED: tuple[Any, ...] = (
    None, "", "pro", "Pro", "prof", "xü", "ü", "u\u0308", "a@shop.example", "xbetax", "3", "true", [], ["pro"], {}, {"x": "pro"},
    True, False, 0, 1, 3, 3.0, 2.5, 2.4999, -1, -1.5, 2**53,
    "2026-12-01T07:00:00Z", "2026-12-01T06:59:59.999999Z", "2026-12-01t09:00:00.500+02:00", "2026-12-01 09:00:00.501+02:00",
    "2026-12-01T07:00:00", "2026-12-01", "2026-02-30T00:00:00Z", "2026-12-01T24:00:00Z", "2026-12-01T07:00:60Z", "20261201T070000Z",
    "2026-12-01T07:00Z", "2026-W49-2T07:00:00Z", "2026-12-01T07:00:00+0200", "2026-12-01T07:00:00+25:00",
    "2026-12-01T08:00:00+00:60", "0000-01-01T00:00:00Z", "0.9", "1", "v2.4", "2.4.0-rc.1", "3", 2.5,
)  # fmt: skip

FITTING = {"userId": "user-1", "country": "US", "appVersion": "2.4.0", "plan": "pro"}
VERSIONS = ("2.4.0", "v2.4", "V2.4.1", "2.4.0-rc.1", "v2.4.1-rc.1+build", "2.9", "3", "3.0.0-rc.1", "3.0.0", "2.10.0", "2", "02.4.0")
NO_VERSIONS = ("", "latest", "2.4.x", "2.4.0.1", "2.4.", "vv2.5", " 2.5", "2.5 ", "2.5-", "2.5+", "2.5\n", "٢.٥")


def contexts() -> Iterator[Json]:
    """Contexts that every entry is asked with."""
    yield {}
    yield from ({"userId": unit} for unit in ("", None, 5, True, ["user-1"], "qa-1", "qa-ü", "qa-2"))
    yield from ({"userId": f"user-{number}"} for number in range(6))
    yield from ({**FITTING, "userId": unit} for unit in ("user-1", "user-2", "ユーザー", "qa-1", "", None, 5))
    yield {key: value for key, value in FITTING.items() if key != "userId"}


def targeting_contexts() -> Iterator[Json]:
    """Contexts that differ from a fitting one in one attribute: missing, mistyped, on both sides of each bound."""
    for attribute, values in {
        "country": ("CA", "us", "DE", "", None, 1, True, ["US"], {"US": 1}),
        "plan": ("free", "Free", "", None, 0, False, ["pro"]),
        "appVersion": (*VERSIONS, *NO_VERSIONS, None, 2.4, [2, 4, 0]),
    }.items():
        yield {key: value for key, value in FITTING.items() if key != attribute}
        yield from ({**FITTING, attribute: value} for value in values)


def tested_contexts() -> Iterator[Json]:
    """Contexts of every type and on both sides of each bound, the attribute within another one, under its whole name, and not there."""
    yield {"userId": "user-1"}
    yield {"userId": "user-1", "user": "pro"}
    yield {"userId": "user-1", "user": {"y": "pro"}}
    yield {"userId": "user-1", "user": {"x": "free"}, "user.x": "pro"}
    for value in TESTED:
        yield {"userId": "user-1", "user": {"x": value}}


def evaluation_rows() -> Iterator[Json]:
    """Each entry with each context, some of them under the kill key as well."""
    for name, entry in ENTRIES.items():
        asked = [*contexts(), *(targeting_contexts() if name == "targeted" else ())]
        asked = list(tested_contexts()) if name in TESTS else asked
        for number, context in enumerate(asked):
            for killed in (False, True) if number < 3 else (False,):
                yield {"entry": name, "context": context, "killed": killed, **evaluate(entry, context, killed=killed)}


def render() -> dict[str, str]:
    """File name to text: a row per line, so that a difference can be read."""
    return {
        "assignment.json": _document({"encoding": list(encoding_rows()), "assignment": list(assignment_rows())}),
        "evaluation.json": _document(
            {"entries": [{"name": name, "entry": entry} for name, entry in ENTRIES.items()], "cases": list(evaluation_rows())}
        ),
    }


def _document(tables: dict[str, list[Json]]) -> str:
    texts = []
    for name, rows in tables.items():
        lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)
        texts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    return "{\n" + ",\n".join(texts) + "\n}\n"


def main() -> None:
    """Write the files."""
    for name, text in render().items():
        (VECTORS / name).write_text(text)
        print(f"{name}: {text.count(chr(10))} lines")


if __name__ == "__main__":
    main()
