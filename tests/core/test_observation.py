"""core/observation: what one gate sees of a ConfigMap."""

import base64
import json
from typing import Any

import pytest

from rampgate_operator.core.observation import FORMAT, LARGEST_NUMBER, ROOM, Ownership, digest, read_entry, see_rules

GOOD: dict[str, Any] = {
    "format": 1, "gate": "g", "generation": 7, "attempt": 1, "percent": 10, "control": {"name": "off", "value": None}, "more": ["x"],
}  # fmt: skip


def line(**fields: Any) -> str:
    return json.dumps({name: value for name, value in {**GOOD, **fields}.items() if value != "gone"})


def test_an_entry_is_its_generation_and_the_rest() -> None:
    entry = read_entry(line(), "g")
    assert entry is not None
    assert (entry.generation, entry.line) == (7, line())
    assert entry.content == {name: value for name, value in GOOD.items() if name != "generation"}


def test_a_newer_format_is_an_entry_as_well() -> None:
    assert read_entry(line(format=9, latch="Later", serve="LATER"), "g") is not None


BAD = [
    ("nothing", None), ("an empty value", ""), ("no JSON", "{"), ("no object", "[1]"),
    ("another gate's", line(gate="h")), ("no control", line(control="gone")), ("a control without a value", line(control={"name": "off"})),
    ("a percentage above 100", line(percent=101)), ("a percentage below 0", line(percent=-1)),
    ("a percentage in words", line(percent="10")),
    ("true for a number", line(attempt=True)), ("half a generation", line(generation=7.5)), ("NaN", line(percent=float("nan"))),
    ("a generation no status can hold", line(generation=LARGEST_NUMBER + 1)), ("an attempt no status can hold", line(attempt=2**70)),
    ("a field without a bottom", line(more="?").replace('"?"', "[" * 100_000 + "]" * 100_000)),
    ("an infinity", line(more="?").replace('"?"', "1e999")),
    *((f"no {field}", line(**{field: "gone"})) for field in ("format", "gate", "generation", "attempt", "percent")),
]  # fmt: skip


@pytest.mark.parametrize("text", [row[1] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_no_entry(text: str | None) -> None:
    assert read_entry(text, "g") is None


def test_the_largest_generation_is_one() -> None:
    assert read_entry(line(generation=LARGEST_NUMBER), "g") is not None


@pytest.mark.parametrize(
    ("data", "ownership"),
    [
        (None, Ownership.ABSENT),
        ({}, Ownership.FOREIGN),
        ({"format": "rampgate.dev/2"}, Ownership.FOREIGN),
        ({"g.json": line()}, Ownership.FOREIGN),
        ({"format": FORMAT}, Ownership.OURS),
    ],
    ids=["absent", "empty", "of another format", "without a format", "ours"],
)
def test_whose_a_config_map_is(data: dict[str, str] | None, ownership: Ownership) -> None:
    seen = see_rules(None if data is None else {"data": data}, "g")
    assert (seen.ownership, seen.entry, seen.break_glass) == (ownership, None, False)


def test_a_gate_sees_its_own_key() -> None:
    seen = see_rules({"data": {"format": FORMAT, "g.json": line(), "h.json": line(gate="h")}}, "g")
    assert (seen.line, seen.entry and seen.entry.generation) == (line(), 7)


def test_a_line_that_cannot_be_read_is_seen_all_the_same() -> None:
    seen = see_rules({"data": {"format": FORMAT, "g.json": "?"}}, "g")
    assert (seen.line, seen.entry) == ("?", None)


def test_room_is_what_neighbours_and_keys_leave() -> None:
    taken = {"format": FORMAT, "g.json": "x" * 1000, "h.json": "ü" * 10}
    assert see_rules({"data": taken}, "g").room == ROOM - len("format") - len(FORMAT) - len("h.json") - 20 - len("g.json")


@pytest.mark.parametrize(
    ("kill", "named"),
    [
        ("g", True), ("*", True), ("h g", True), ("h,g", True), ("h, g\n", True), ("h,*", True),
        ("", False), ("h", False), ("gg", False), ("G", False), ("g*", False),
    ],
)  # fmt: skip
def test_break_glass_names_gates_by_blanks_or_commas(kill: str, named: bool) -> None:
    assert see_rules({"data": {"format": FORMAT, "kill": kill}}, "g").break_glass is named


def test_a_lone_surrogate_is_no_reason_not_to_see_an_entry() -> None:
    entry = read_entry(line(salt="\ud800"), "g")
    assert entry is not None
    assert entry.digest == digest(entry.content)


@pytest.mark.parametrize(("text", "named"), [(b"g", True), (b"\xff g", True), (b"h", False)])
def test_break_glass_is_seen_in_binary_data_too(text: bytes, named: bool) -> None:
    config_map = {"data": {"format": FORMAT}, "binaryData": {"kill": base64.b64encode(text).decode()}}
    assert see_rules(config_map, "g").break_glass is named


def test_binary_data_takes_room_and_immutability_is_seen() -> None:
    seen = see_rules({"data": {"format": FORMAT}, "binaryData": {"b": "AAAA"}, "immutable": True}, "g")
    assert seen.immutable
    assert seen.room == ROOM - len("format") - len(FORMAT) - len("b") - len("AAAA") - len("g.json")
