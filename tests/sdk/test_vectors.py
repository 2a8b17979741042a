"""The golden vectors: written by a second, plain implementation (tools/vectors.py), answered by the SDK."""

import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rampgate import Gates
from rampgate.bucketing import NOT_ENROLLED, HashInput, compile_draw, compile_hash, encode
from tools import vector_cases, vectors

Row = dict[str, Any]


def load(name: str) -> dict[str, list[Row]]:
    return json.loads((vectors.VECTORS / name).read_text())  # type: ignore[no-any-return]


ASSIGNMENT = load("assignment.json")
EVALUATION = load("evaluation.json")


@pytest.mark.parametrize("name", ["assignment.json", "evaluation.json"])
def test_the_committed_vectors_are_what_the_generator_writes(name: str) -> None:
    assert (vectors.VECTORS / name).read_text() == vectors.render()[name]


@pytest.mark.parametrize("module", [vectors, vector_cases], ids=["answers", "cases"])
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
        draw = compile_draw(row["salt"], hash_input=hash_input, basis_points=round(row["percent"] * 100), weights=row["weights"])
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
