"""Write tests/vectors/*.json: what every implementation of the rules must answer, in any language.

`python -m tools.vectors` writes them; a test fails when the committed files differ from what this writes.
It is a second, deliberately plain implementation of docs/rules-format.md. It must not import rampgate: two implementations that agree are
the point.
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from itertools import count, product
from pathlib import Path
from typing import Any

from tools.vector_cases import ENTRIES, Json, contexts_of
from tools.vector_config_maps import ASKED, DEFAULT, SEQUENCES
from tools.vector_reading import OF_INSTANTS, OF_NUMBERS, is_understood, read_entry, read_moment

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


def percent_rows() -> Iterator[Json]:
    """Percentages whose hundredfold is no whole number in binary fractions, each with the last unit within and the first one without."""
    percents = (0.07, 0.14, 0.28, 0.29, 0.55, 0.56, 0.57, 0.58, 1.09, 1.1, 1.13, 1.14, 1.15, 1.16, 4.35, 8.2, 33.33, 64.1)
    wanted = {round(percent * 100) - within for percent in percents for within in (0, 1)}
    units: dict[int, str] = {}
    for number in count():
        unit = f"user-{number}"
        units.setdefault(murmur3_x86_32(f"s:enroll:{unit}".encode()) * 10000 >> 32, unit)
        if wanted <= units.keys():
            break
    for percent, within in product(percents, (1, 0)):
        unit = units[round(percent * 100) - within]
        yield assign({"salt": "s", "unit": unit, "hashInput": "UTF8", "percent": percent, "weights": [1, 1]})


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


def _answer(served: Json, reason: str, label: str) -> Json:
    return {"variant": served["name"], "value": served["value"], "reason": reason, "label": label}


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
        moment = read_moment(value)
        return moment is not None and _compared(moment, OF_INSTANTS[name], read_moment(operand))
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


def follow(gates: Json | None, data: Mapping[str, bytes]) -> Json | None:
    """Give the gates that a process knows once it has seen these keys: of each its last good entry, and whether it is killed."""
    if data.get("format", b"").strip() != b"rampgate.dev/1":
        return gates
    killed = re.split(r"[\s,]+", data.get("kill", b"").decode(errors="replace"))
    new: Json = {}
    for key, raw in data.items():
        gate, dot, suffix = key.rpartition(".")
        if gate and dot + suffix == ".json":
            last = (gates or {}).get(gate, {"entry": None})
            new[gate] = {"entry": read_entry(raw, gate=gate) or last["entry"], "killed": "*" in killed or gate in killed}
    return new


def answer(gates: Json | None, gate: str, context: Json) -> Json:
    """Answer with what a process knows; `variant` null stands for the caller's default."""
    known = (gates or {}).get(gate)
    if known is None or known["entry"] is None:
        reason = "UNKNOWN_GATE" if gates is not None and known is None else "ERROR"
        return {"variant": None, "value": DEFAULT, "reason": reason, "label": "none", "generation": 0}
    return {**evaluate(known["entry"], context, killed=known["killed"]), "generation": known["entry"]["generation"]}


def config_map_rows() -> Iterator[Json]:
    """Sequences of ConfigMaps that one process sees, with what it answers after each."""
    for name, config_maps in SEQUENCES.items():
        gates: Json | None = None
        steps = []
        for config_map in config_maps:
            binary = {key: b64decode(text) for key, text in config_map.get("binaryData", {}).items()}
            gates = follow(gates, {key: text.encode() for key, text in config_map["data"].items()} | binary)
            steps.append({**config_map, "answers": {gate: answer(gates, gate, context) for gate, context in ASKED.items()}})
        yield {"name": name, "steps": steps}


def render() -> dict[str, str]:
    """File name to text: a row per line, so that a difference can be read."""
    return {
        "assignment.json": _document({"encoding": list(encoding_rows()), "assignment": [*assignment_rows(), *percent_rows()]}),
        "evaluation.json": _document(
            {"entries": [{"name": name, "entry": entry} for name, entry in ENTRIES.items()], "cases": list(evaluation_rows())}
        ),
        "config_map.json": _document({"sequences": list(config_map_rows())}),
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
