"""The golden vectors: written by a second, plain implementation (tools/vectors.py), answered by the SDK."""

import json
from base64 import b64decode
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rampgate import Gates
from rampgate.bucketing import NOT_ENROLLED, HashInput, compile_draw, compile_hash, encode
from rampgate.decision import Decision, Reason
from rampgate.rules import parse_entry, render_entry
from rampgate.snapshot import Keys
from rampgate.sources import Receiver
from tests.sdk.entries import entry
from tools import vector_cases, vector_config_maps, vector_reading, vectors

Row = dict[str, Any]


def load(name: str) -> dict[str, list[Row]]:
    return json.loads((vectors.VECTORS / name).read_text())  # type: ignore[no-any-return]


ASSIGNMENT = load("assignment.json")
EVALUATION = load("evaluation.json")
SEQUENCES = load("config_map.json")["sequences"]


class Mount:
    """A source that delivers what the test hands to it."""

    def start(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def deliver(self, keys: Keys) -> None:
        self._receiver.deliver(keys)

    def start_in_child(self) -> None: ...

    def close(self) -> None: ...


def told(decision: Decision) -> Row:
    return {field: getattr(decision, field) for field in ("variant", "value", "reason", "label", "generation")}


@pytest.mark.parametrize("name", ["assignment.json", "evaluation.json", "config_map.json"])
def test_the_committed_vectors_are_what_the_generator_writes(name: str) -> None:
    assert (vectors.VECTORS / name).read_text() == vectors.render()[name]


@pytest.mark.parametrize("module", [vectors, vector_reading, vector_cases, vector_config_maps], ids=lambda module: module.__name__)
def test_the_generator_shares_no_code_with_the_sdk(module: ModuleType) -> None:
    lines = Path(str(module.__file__)).read_text().splitlines()
    assert [line for line in lines if "import" in line.split() and "rampgate" in line.split()] == []


def test_every_hashed_text_is_encoded_as_the_vectors_say() -> None:
    for row in ASSIGNMENT["encoding"]:
        data = encode(row["text"], HashInput(row["hashInput"]))
        assert (data.hex(), vectors.murmur3_x86_32(data)) == (row["bytes"], row["hash"]), row


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256])
def test_the_vectors_reach_both_sides_of_each_edge_of_the_encoding(length: int) -> None:
    assert {row["hashInput"] for row in ASSIGNMENT["encoding"] if len(row["text"].encode()) == length} == {"UTF8", "CBOR"}


@pytest.mark.parametrize("purpose", ["enroll", "arm"])
@pytest.mark.parametrize("length", [23, 24, 255, 256])
def test_assignments_reach_both_sides_of_each_edge_of_the_encoding(length: int, purpose: str) -> None:
    texts = [(f"{row['salt']}:{purpose}:{row['unit']}", row["hashInput"]) for row in ASSIGNMENT["assignment"]]
    assert {hash_input for text, hash_input in texts if len(text.encode()) == length} == {"UTF8", "CBOR"}


def test_there_are_enough_rows_of_every_kind() -> None:
    kinds = Counter((row["hashInput"], row["enrolled"], row["unit"].isascii()) for row in ASSIGNMENT["assignment"])
    assert kinds.total() >= 200
    assert len(kinds) == 8
    assert min(kinds.values()) >= 4


def test_every_unit_is_hashed_and_assigned_as_the_vectors_say() -> None:
    for row in ASSIGNMENT["assignment"]:
        hash_input = HashInput(row["hashInput"])
        hashes = [compile_hash(row["salt"], purpose, hash_input=hash_input)(row["unit"]) for purpose in ("enroll", "arm")]
        basis_points = parse_entry(render_entry(entry(percent=row["percent"]))).basis_points
        draw = compile_draw(row["salt"], hash_input=hash_input, basis_points=basis_points, weights=row["weights"])
        arm = draw(row["unit"])
        assert (*hashes, None if arm == NOT_ENROLLED else arm) == (row["enrollHash"], row["armHash"], row["arm"]), row


def test_every_context_is_answered_as_the_vectors_say() -> None:
    entries = {each["name"]: each["entry"] for each in EVALUATION["entries"]}
    for row in EVALUATION["cases"]:
        gates = Gates.from_rules({"new-checkout": entries[row["entry"]]}, kill="new-checkout" if row["killed"] else "")
        decision = gates.decide("new-checkout", row["context"], default="unused")
        assert (decision.variant, decision.value, decision.reason, decision.label) == tuple(
            row[field] for field in ("variant", "value", "reason", "label")
        ), row


def test_the_evaluations_give_every_reason_that_a_rule_can_give() -> None:
    assert {row["reason"] for row in EVALUATION["cases"]} == {
        *("KILLED", "ROLLED_BACK", "OVERRIDE", "NOT_ELIGIBLE", "SHIPPED", "NOT_ENROLLED", "ENROLLED", "NO_UNIT", "ERROR"),
    }


def test_percentages_that_binary_fractions_miss_have_a_unit_on_each_side() -> None:
    missed = [row for row in ASSIGNMENT["assignment"] if row["percent"] * 100 != round(row["percent"] * 100)]
    sides = {(row["percent"], (row["enrollHash"] * 10_000 >> 32) - round(row["percent"] * 100)) for row in missed}
    assert sides == {(percent, side) for percent, _ in sides for side in (-1, 0)}
    assert {0.29, 0.57, 0.58, 1.13, 1.14, 1.15, 1.16} <= {percent for percent, _ in sides}


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence["name"])
def test_every_configmap_is_followed_as_the_vectors_say(sequence: Row) -> None:
    mount = Mount()
    gates = Gates(mount)
    for number, step in enumerate(sequence["steps"]):
        binary = {key: b64decode(text) for key, text in step.get("binaryData", {}).items()}
        mount.deliver({key: text.encode() for key, text in step["data"].items()} | binary)
        answers = {gate: told(gates.decide(gate, {"userId": "user-1"}, default="the caller's default")) for gate in step["answers"]}
        assert answers == step["answers"], number


def test_the_configmaps_know_gates_that_serve_and_gates_that_do_not() -> None:
    reasons = Counter(answer["reason"] for each in SEQUENCES for step in each["steps"] for answer in step["answers"].values())
    assert reasons.keys() == {Reason.KILLED, Reason.ROLLED_BACK, Reason.ENROLLED, Reason.UNKNOWN_GATE, Reason.ERROR}


@pytest.mark.parametrize(
    ("text", "hexadecimal"),
    [("", "60"), ("a", "6161"), ("IETF", "6449455446"), ('"\\', "62225c"), ("ü", "62c3bc"), ("水", "63e6b0b4"), ("𐅑", "64f0908591")],
)
def test_cbor_agrees_with_the_examples_of_rfc_8949_appendix_a(text: str, hexadecimal: str) -> None:
    assert encode(text, HashInput.CBOR).hex() == hexadecimal


@pytest.mark.parametrize(("length", "head"), [(65_535, "79ffff"), (65_536, "7a00010000")])
def test_long_texts_get_longer_cbor_heads(length: int, head: str) -> None:
    assert encode("x" * length, HashInput.CBOR)[:-length].hex() == head


@pytest.mark.parametrize(
    ("text", "flagd"),
    [("new-checkoutuser-1", 1954156369), ("new-checkoutuser-2", 986941360), ("new-checkoutmüller@example.com", 2031923120)],
)
def test_the_hash_is_the_one_that_flagd_computes(text: str, flagd: int) -> None:
    assert vectors.murmur3_x86_32(text.encode()) == flagd
