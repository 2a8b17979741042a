"""What the golden vectors ask of ConfigMaps: what a process sees one after the other.

Knows keys and bytes; the answers are tools/vectors.py's. It must not import rampgate.
"""

import json
from base64 import b64encode
from typing import Any

from tools.vector_cases import EVERYBODY, Json

DEFAULT = "the caller's default"
ASKED: dict[str, Json] = {gate: {"userId": "user-1"} for gate in ("a", "b", "c")}
"""The gates that are asked for after each step, each with its context."""

FORMAT = {"format": "rampgate.dev/1"}


def fields(gate: str, generation: int = 1, **changes: Any) -> Json:  # noqa: ANN401  # JSON
    """Fields of a gate's entry."""
    return {**EVERYBODY, "gate": gate, "generation": generation, "percent": 100, **changes}


def line(gate: str, generation: int = 1, **changes: Any) -> str:  # noqa: ANN401  # JSON
    """A gate's entry as it stands in a ConfigMap."""
    return json.dumps(fields(gate, generation, **changes), sort_keys=True, separators=(",", ":"))


def seen(**keys: str) -> Json:
    """Give a ConfigMap of rules; `a` and `b` are the gates' keys."""
    return {"data": FORMAT | {f"{key}.json" if key in ASKED else key: text for key, text in keys.items()}}


def binary(config_map: Json, **keys: bytes) -> Json:
    """Add keys to a ConfigMap whose bytes need not be a text."""
    return {**config_map, "binaryData": {f"{key}.json" if key in ASKED else key: b64encode(raw).decode() for key, raw in keys.items()}}


BOTH = seen(a=line("a"), b=line("b"))
ROLLED_BACK = line("a", 2, percent=0, latch="Guardrail", serve="ROLLED_BACK")
FROZEN = ("format", "gate", "generation", "attempt", "percent", "control")

NO_ENTRIES: dict[str, str] = {
    "nothing": "",
    "half an object": line("a")[:-1],
    "something behind the object": line("a") + "x",
    "a byte order mark": "\ufeff" + line("a"),
    "a list": "[]",
    "null": "null",
    "no JSON: NaN": line("a", note=0).replace('"note":0', '"note":NaN'),
    "another gate's name": line("b"),
    **{f"no {field}": json.dumps({name: value for name, value in fields("a").items() if name != field}) for field in FROZEN},
    **{f"{field} is null": json.dumps({**fields("a"), field: None}) for field in (*FROZEN[2:], "latch", "serve")},
    "format is a text": line("a", format="1"),
    "generation is a boolean": line("a").replace('"generation":1', '"generation":true'),
    "percent is a text": line("a", percent="10"),
    "percent is a boolean": line("a", percent=True),
    "percent is below 0": line("a", percent=-0.01),
    "percent is above 100": line("a", percent=100.01),
    "control has no name": line("a", control={"value": False}),
    "control has no value": line("a", control={"name": "control"}),
    "control's name is a number": line("a", control={"name": 1, "value": False}),
    "latch is a boolean": line("a", latch=True),
    "serve is a number": line("a", serve=1),
    **{f"1.0 as {field}": json.dumps({**fields("a"), field: 1.0}) for field in ("format", "generation", "attempt")},
}
KILLS = {
    "a": "the only name", " a\n": "blanks around it", "b a": "by a blank", "b,a": "by a comma", "b\na\n": "by line ends",
    ", b ,, a ,": "by all of them", "*": "all", "b *": "a name and all", "x": "a gate that is not there", "A": "case counts",
    "aa": "a longer name", "a.json": "the key's name", "a*": "no patterns", "": "empty", ",": "a comma only",
}  # fmt: skip

SEQUENCES: dict[str, list[Json]] = {
    "before the first rules, and without any gate": [{"data": {}}, {"data": FORMAT}, BOTH],
    "a wrong mount is not the first rules": [{"data": {"a.json": line("a")}}, {"data": {"app.yaml": "x"}}, seen(a=line("a"))],
    "without format everything stays as it was": [
        seen(a=line("a"), b=line("b"), kill="a"),
        {"data": {}},
        {"data": {"a.json": line("a", 2), "kill": "b"}},
        seen(a=line("a", 2)),
    ],
    "with another format everything stays as it was": [
        BOTH,
        *({"data": {"format": text, "a.json": line("a", 2), "kill": "*"}} for text in ("", "rampgate.dev/2", "rampgate.dev/10", "1")),
        {"data": {"format": " rampgate.dev/1\n", "a.json": line("a", 2)}},
    ],
    "a gate's key goes and comes back": [BOTH, seen(b=line("b")), BOTH],
    "a gate that went is not remembered": [BOTH, seen(b=line("b")), seen(a="{", b=line("b")), BOTH],
    "other keys are ignored": [
        {"data": {**FORMAT, ".json": line(""), "a": line("a"), "b.yaml": line("b"), "c.json.bak": line("c"), "format.txt": "x"}}
    ],
    "what is not understood is a good entry: the one before is not kept": [
        seen(a=line("a")), seen(a=line("a", 2, format=2)), seen(a="{"), seen(a=line("a", 3)),
    ],
    "a rollback after bytes that are no entry": [seen(a=line("a")), seen(a="{"), seen(a=ROLLED_BACK), seen(a="{")],
    "a generation that falls is taken as it comes": [seen(a=line("a", 2)), seen(a=line("a", 1))],
    "a kill is obeyed for as long as it is there": [BOTH, seen(a=line("a"), b=line("b"), kill="a"), BOTH],
    "a kill names a gate whose bytes are no entry": [
        seen(a="{", kill="a"), seen(a=line("a")), seen(a="{", kill="a"), seen(a="{"), seen(a="{", b="{", kill="*"),
    ],
    "a kill goes before a rollback and before what is not understood": [seen(a=ROLLED_BACK, b=line("b", format=2), kill="*")],
    "a kill whose bytes are not all UTF-8": [binary(BOTH, kill=b"\xff a")],
    **{f"a kill: {sentence}": [BOTH, seen(a=line("a"), b=line("b"), kill=text)] for text, sentence in KILLS.items()},
    **{
        f"no entry: {sentence}": [seen(a=text, b=line("b")), BOTH, seen(a=text, b=line("b", 2)), seen(a=line("a", 3))]
        for sentence, text in NO_ENTRIES.items()
    },
    **{
        f"no entry: {sentence}": [binary(seen(b=line("b")), a=raw), BOTH, binary(seen(b=line("b", 2)), a=raw), seen(a=line("a", 3))]
        for sentence, raw in {
            "no UTF-8": line("a", note="x").encode().replace(b'"x"', b'"\xff"'), "UTF-16": line("a").encode("utf-16-le"),
        }.items()
    },
}  # fmt: skip
