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

from tools.vector_cases import ENTRIES, Json, contexts_of

VECTORS = Path(__file__).parent.parent / "tests" / "vectors"


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
    if not all(matches(test, context) for test in entry.get("eligibility", [])):
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
    names = [variant.get("name") for variant in entry.get("variants", [])]
    return (
        entry["format"] == 1
        and all(isinstance(entry.get(field), str) for field in ("salt", "unit"))
        and entry.get("hashInput") in ("UTF8", "CBOR")
        and entry["control"]["name"] in names
        and len(set(names)) == len(names)
        and all(is_test(item, levels=8) for item in entry.get("eligibility", []))
        and entry.get("ship", names[0]) in names
        and all(type(variant.get("weight")) is int for variant in entry["variants"])
        and sum(variant["weight"] for variant in entry["variants"]) > 0
    )


def is_test(item: Any, *, levels: int) -> bool:  # noqa: ANN401  # JSON
    """Whether this is a condition, or a group of at most so many levels."""
    if not isinstance(item, dict):
        return False
    if set(item) in ({"all"}, {"any"}):
        (tests,) = item.values()
        return levels > 0 and isinstance(tests, list) and tests != [] and all(is_test(test, levels=levels - 1) for test in tests)
    if set(item) == {"not"}:
        return levels > 0 and is_test(item["not"], levels=levels - 1)
    return len(item) == 2 and "attribute" in item and len(item.keys() & set(OPERATORS)) == 1


def _answer(served: Json, reason: str, label: str) -> Json:
    return {"variant": served["name"], "value": served["value"], "reason": reason, "label": label}


OF_TEXTS = ("in", "notIn", "equals", "startsWith", "endsWith", "contains")
OF_NUMBERS = {"greaterThan": ">", "greaterOrEqual": ">=", "lessThan": "<", "lessOrEqual": "<="}
OF_INSTANTS = {"before": "<", "after": ">"}
OPERATORS = (*OF_TEXTS, *OF_NUMBERS, *OF_INSTANTS, "semver", "semverAny", "is", "exists")


def matches(test: Json, context: Json) -> bool:
    """Whether a condition or a group holds."""
    match test:
        case {"all": tests}:
            return all(matches(each, context) for each in tests)
        case {"any": tests}:
            return any(matches(each, context) for each in tests)
        case {"not": inner}:
            return not matches(inner, context)
    return _condition_holds(test, context)


def _condition_holds(condition: Json, context: Json) -> bool:
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


def evaluation_rows() -> Iterator[Json]:
    """Each entry with each context, some of them under the kill key as well."""
    for name, entry in ENTRIES.items():
        for number, context in enumerate(contexts_of(name)):
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
