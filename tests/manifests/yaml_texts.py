"""What kubectl makes of YAML: texts that stand under `spec:` and what they are as JSON. Who judges them is not known here."""

from dataclasses import dataclass
from typing import Any

HEAD = "apiVersion: rampgate.dev/v1alpha1\nkind: Experiment\nmetadata: {name: new-checkout}\nspec: "
REFUSED = object()
"""As what a text is: no YAML, or nothing that JSON has."""


@dataclass(frozen=True)
class Text:
    sentence: str
    text: str
    value: Any


TEXTS = (
    Text("on and off, yes and no, y and n are booleans", "[on, Off, YES, no, y, N, True, FALSE]", [True, False] * 4),
    Text("they are texts in quotes", "['on', \"off\"]", ["on", "off"]),
    Text("other spellings are texts", "[oN, tRUE, yEs, Nope]", ["oN", "tRUE", "yEs", "Nope"]),
    Text(
        "nothing, ~ and null are null",
        "{a: , b: ~, c: null, d: Null, e: 'null'}",
        {"a": None, "b": None, "c": None, "d": None, "e": "null"},
    ),
    Text("whole numbers may have a sign, a base and underscores", "[+1, -0b11, 0x1F, 0o17, 017, 1_000, 1_]", [1, -3, 31, 15, 15, 1000, 1]),
    Text("a digit that its base has not makes a decimal number or a text", "[09, 0o18, 0b, 0x]", [9, "0o18", "0b", "0x"]),
    Text(
        "numbers with a point or exponent",
        "[1., .5, -.5e-1, 1e3, 1E5, 0.30000000000000004]",
        [1, 0.5, -0.05, 1000, 100000, 0.30000000000000004],
    ),
    Text("a number beyond all is a text", "[1e999, .5e, .inf2, +, -]", ["1e999", ".5e", ".inf2", "+", "-"]),
    Text("whole numbers have 64 bits", "[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
    Text("sexagesimal numbers are texts", "[1:30, 190:20:30.15, 09:00]", ["1:30", "190:20:30.15", "09:00"]),
    Text("times are texts", "[2026-12-01, 2026-12-01T09:00:00Z]", ["2026-12-01", "2026-12-01T09:00:00Z"]),
    Text("a tag decides", '[!!str 5, !!int "5", !!bool "yes", !!binary aGVsbG8=, !mine 5]', ["5", 5, True, "hello", "5"]),
    Text("keys become texts", "{1: a, y: b, 1.5: c, null : d}", REFUSED),
    Text(
        "a key may be a number or a boolean", "{1: a, y: b, 1.5: c, 2026-12-01: d}", {"1": "a", "true": "b", "1.5": "c", "2026-12-01": "d"}
    ),
    Text("a key may not be a list", "{? [a] : b}", REFUSED),
    Text("the last of two equal keys stays", "{a: 1, a: 2}", {"a": 2}),
    Text("an alias repeats", "{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
    Text("an alias may not hold itself", "&x {a: *x}", REFUSED),
    Text("an unknown alias is refused", "*x", REFUSED),
    Text("a merge wins over what stands above it, and what stands below it wins", "{b: 3, <<: {b: 1, c: 2}, c: 4}", {"b": 1, "c": 4}),
    Text("of merged mappings the first wins", "{<<: [{b: 1}, {b: 2, c: 3}]}", {"b": 1, "c": 3}),
    Text("a merge of no mapping is refused", "{<<: 5}", REFUSED),
    Text("a merge in quotes is a key", "{'<<': 5}", {"<<": 5}),
    Text("NaN is refused", ".nan", REFUSED),
    Text("infinity is refused", "[-.Inf]", REFUSED),
    Text("half a surrogate pair is refused", r'"\ud83d"', REFUSED),
    Text("an open bracket is refused", "[a", REFUSED),
    Text("an indent by a tab is refused", "\n\ta: 1", REFUSED),
    Text("folded and literal texts", "\n  a: >-\n    b\n    c\n  d: |\n    e\n    f\n", {"a": "b c", "d": "e\nf\n"}),
)
