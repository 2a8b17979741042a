"""rampgate.rules and rampgate.conditions: what an entry is, and what happens to one that is none."""

import json
from typing import Any

import pytest

from rampgate.errors import UnusableEntryError
from rampgate.rules import Control, parse_entry, render_entry
from tests.sdk.entries import entry

LINE = (
    '{"attempt":1,"control":{"name":"control","value":false},"eligibility":[{"attribute":"country","in":["US","CA"]},'
    '{"attribute":"appVersion","semver":[["\\u003e=",[2,4,0]],["\\u003c",[3,0,0]]]},{"attribute":"plan","notIn":["free"]}],"format":1,'
    '"gate":"new-checkout","generation":1795600000,"hashInput":"UTF8","overrides":[{"units":["qa-\\u00fc"],"variant":"treatment"}],'
    '"percent":10.25,"salt":"shop/new-checkout","unit":"userId","variants":[{"name":"control","value":false,"weight":1},'
    '{"name":"treatment","value":true,"weight":1}]}'
)


def test_an_entry_rendered_again_is_the_same_line() -> None:
    assert render_entry(json.loads(LINE)) == LINE


def test_an_entry_has_only_characters_that_every_encoder_of_json_writes_alike() -> None:
    text = '<b>&amp;</b> Zoë \u2028 \x7f 🦊 \\ " \t'
    line = render_entry({"value": text})
    assert set(line) <= {chr(code) for code in range(32, 128)} - set("<>&")
    assert json.loads(line) == {"value": text}


def test_an_entry_is_read_in_full() -> None:
    read = parse_entry(LINE)
    assert (read.gate, read.generation, read.attempt, read.basis_points, read.percent) == ("new-checkout", 1795600000, 1, 1025, 10.25)
    assert (read.control, read.latch, read.serve, read.problem) == (Control("control", False), None, None, "")
    assert read.rule is not None
    assert (read.rule.salt, read.rule.unit, read.rule.hash_input, read.rule.ship) == ("shop/new-checkout", "userId", "UTF8", None)
    assert read.rule.variants == (("control", False, 1), ("treatment", True, 1))
    assert read.rule.overrides == (("treatment", ("qa-ü",)),)
    assert read.rule.eligibility == (
        ("country", "in", ("US", "CA")),
        ("appVersion", "semver", ((">=", (2, 4, 0)), ("<", (3, 0, 0)))),
        ("plan", "notIn", ("free",)),
    )


def test_bytes_and_text_are_read_alike() -> None:
    assert parse_entry(LINE.encode()) == parse_entry(LINE)


def test_a_rolled_back_gate_needs_only_the_frozen_fields() -> None:
    fields = entry(salt=..., unit=..., variants=..., hashInput=..., latch="Guardrail", serve="ROLLED_BACK", percent=0)
    read = parse_entry(render_entry(fields))
    assert (read.latch, read.serve, read.rule, read.problem, read.percent) == ("Guardrail", "ROLLED_BACK", None, "", 0)


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("nothing", ""),
        ("half of an entry", LINE[: len(LINE) // 2]),
        ("no UTF-8", LINE.encode("utf-16")),
        ("a list", "[]"),
        ("a number", "1"),
        ("a list without end", "[" * 100_000),
        ("a constant that is no JSON", LINE.replace("10.25", "NaN")),
        *(
            (f"no {field}", render_entry(entry(**{field: ...})))
            for field in ("format", "gate", "generation", "attempt", "percent", "control")
        ),
        ("a gate that is a number", render_entry(entry(gate=1))),
        ("a format that is true", render_entry(entry(format=True))),
        ("a generation that is a fraction", render_entry(entry(generation=1.5))),
        ("a percentage above 100", render_entry(entry(percent=100.01))),
        ("a percentage below 0", render_entry(entry(percent=-1))),
        ("a percentage that is true", render_entry(entry(percent=True))),
        ("a percentage that is a text", render_entry(entry(percent="10"))),
        ("an endless percentage", LINE.replace("10.25", "1e999")),
        ("half a surrogate pair as control", render_entry(entry(control={"name": "\ud800", "value": 1}))),
        ("a control without value", render_entry(entry(control={"name": "control"}))),
        ("a control without name", render_entry(entry(control={"value": 1}))),
        ("a latch that is a number", render_entry(entry(latch=1))),
        ("a serve that is a number", render_entry(entry(serve=1))),
    ],
)
def test_what_has_no_usable_frozen_fields_is_refused(sentence: str, text: str | bytes) -> None:
    with pytest.raises(UnusableEntryError):
        parse_entry(text)


@pytest.mark.parametrize(
    ("field", "wanted"),
    [("control", "control: wanted an object"), ("gate", "gate: wanted a string"), ("attempt", "attempt: wanted a whole number")],
)
def test_a_field_of_a_wrong_type_is_refused_in_the_words_of_json(field: str, wanted: str) -> None:
    with pytest.raises(UnusableEntryError, match=rf"^{wanted}$"):
        parse_entry(render_entry(entry(**{field: None})))


def test_another_gates_entry_is_refused() -> None:
    with pytest.raises(UnusableEntryError, match="new-checkout"):
        parse_entry(LINE, gate="old-checkout")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": 2}, "format 2"),
        ({"hashInput": "SHA256"}, "SHA256"),
        ({"hashInput": ...}, "hashInput"),
        ({"salt": ...}, "salt"),
        ({"salt": 1}, "salt"),
        ({"unit": None}, "unit"),
        ({"variants": ...}, "variants"),
        ({"variants": []}, "variants"),
        ({"variants": ["control"]}, "variants"),
        ({"variants": [{"name": "control", "weight": 1}]}, "variants"),
        ({"variants": [{"name": "control", "value": 1, "weight": True}]}, "weight"),
        ({"variants": [{"name": "control", "value": 1, "weight": 1.0}]}, "weight"),
        ({"variants": [{"name": "control", "value": 1, "weight": -1}]}, "weight"),
        ({"variants": [{"name": "control", "value": 1, "weight": 0}]}, "weights"),
        ({"variants": [{"name": "control", "value": 1, "weight": 2**31}]}, "weights"),
        ({"variants": [{"name": "control", "value": 1, "weight": 1}] * 2}, "unique"),
        ({"variants": [{"name": "other", "value": 1, "weight": 1}]}, "control"),
        ({"ship": "other"}, "ship"),
        ({"ship": None}, "ship"),
        ({"overrides": {}}, "overrides"),
        ({"overrides": ["qa-1"]}, "overrides"),
        ({"overrides": [{"variant": "other", "units": []}]}, "overrides"),
        ({"overrides": [{"variant": "control", "units": [1]}]}, "units"),
        ({"overrides": [{"variant": "control", "units": [""]}]}, "units"),
        ({"eligibility": None}, "eligibility"),
        ({"eligibility": ["country"]}, "eligibility"),
        ({"eligibility": [{"in": ["US"]}]}, "attribute"),
        ({"eligibility": [{"attribute": "country"}]}, "exactly one operator"),
        ({"eligibility": [{"attribute": "country", "in": ["US"], "notIn": ["CA"]}]}, "exactly one operator"),
        ({"eligibility": [{"attribute": "country", "matches": "U"}]}, "matches"),
        ({"eligibility": [{"attribute": "country", "in": "US"}]}, "list of strings"),
        ({"eligibility": [{"attribute": "country", "in": [1]}]}, "list of strings"),
        ({"eligibility": [{"attribute": "v", "semver": []}]}, "semver"),
        ({"eligibility": [{"attribute": "v", "semver": ">=1"}]}, "semver"),
        ({"eligibility": [{"attribute": "v", "semver": [["~", [1, 0, 0]]]}]}, "semver"),
        ({"eligibility": [{"attribute": "v", "semver": [["=", [1, 0]]]}]}, "semver"),
        ({"eligibility": [{"attribute": "v", "semver": [["=", [True, 0, 0]]]}]}, "semver"),
    ],
)
def test_what_is_not_understood_leaves_the_frozen_fields_and_a_problem(changes: dict[str, Any], problem: str) -> None:
    read = parse_entry(render_entry(entry(**changes)))
    assert (read.gate, read.control.name, read.rule) == ("g", "control", None)
    assert problem in read.problem


def test_an_unknown_field_is_ignored() -> None:
    assert parse_entry(render_entry(entry(note="of a later version"))) == parse_entry(render_entry(entry()))
