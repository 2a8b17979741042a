"""rampgate.snapshot: trouble never takes good rules away, and only what changed is parsed."""

import pytest

from rampgate.decision import Reason
from rampgate.evaluate import compile_gate
from rampgate.rules import parse_entry, render_entry
from rampgate.snapshot import EMPTY, FORMAT_VALUE, Keys, Snapshot, advance
from tests.sdk.entries import entry

FORMAT = {"format": FORMAT_VALUE.encode()}


def line(gate: str, **changes: object) -> bytes:
    return render_entry(entry(gate=gate, **changes)).encode()


GOOD: Keys = {**FORMAT, "a.json": line("a"), "b.json": line("b")}


def reason(snapshot: Snapshot, gate: str) -> Reason:
    loaded = snapshot.gates[gate]
    assert loaded.good is not None
    return compile_gate(parse_entry(loaded.good), killed=loaded.killed).decide({"userId": "u"}).reason


@pytest.mark.parametrize(
    ("sentence", "keys"),
    [
        ("nothing at all", {}),
        ("entries without format", {key: raw for key, raw in GOOD.items() if key != "format"}),
        ("another format", {**GOOD, "format": b"rampgate.dev/2"}),
        ("an empty format", {**GOOD, "format": b""}),
        ("somebody else's files", {"app.yaml": b"x"}),
    ],
)
def test_what_is_no_configmap_of_rules_changes_nothing(sentence: str, keys: Keys) -> None:
    last = advance(EMPTY, GOOD)
    assert advance(last, keys) is last
    assert advance(EMPTY, keys) is EMPTY


def test_an_empty_set_of_gates_is_rules_too() -> None:
    snapshot = advance(advance(EMPTY, GOOD), FORMAT)
    assert (snapshot.ready, snapshot.gates) == (True, {})


def test_blanks_around_the_format_do_not_matter() -> None:
    assert advance(EMPTY, {**GOOD, "format": b" rampgate.dev/1\n"}).gates.keys() == {"a", "b"}


def test_the_same_keys_are_the_same_snapshot() -> None:
    last = advance(EMPTY, GOOD)
    assert advance(last, dict(GOOD)) is last


def test_only_the_gate_whose_bytes_changed_is_parsed_again() -> None:
    last = advance(EMPTY, GOOD)
    new = advance(last, {**GOOD, "a.json": line("a", percent=60)})
    assert new.gates["a"] is not last.gates["a"]
    assert new.gates["b"] is last.gates["b"]
    assert new.changed == {"a"}


def test_a_gate_whose_key_is_gone_is_gone() -> None:
    assert advance(advance(EMPTY, GOOD), {**FORMAT, "b.json": GOOD["b.json"]}).gates.keys() == {"b"}


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[]", b'{"gate":"a"}', GOOD["b.json"], line("a")[:-1]])
def test_a_gate_whose_bytes_are_no_entry_keeps_its_last_good_one(raw: bytes) -> None:
    last = advance(EMPTY, {**GOOD, "a.json": line("a", percent=100)})
    new = advance(last, {**GOOD, "a.json": raw})
    assert reason(new, "a") is Reason.ENROLLED
    assert new.gates["b"] is last.gates["b"]
    assert "gate a" in new.problems


def test_the_last_good_entry_outlives_one_bad_one_after_another() -> None:
    snapshot = advance(EMPTY, {**GOOD, "a.json": line("a", percent=100)})
    for raw in (b"{", b"[", b"{"):
        snapshot = advance(snapshot, {**GOOD, "a.json": raw})
    assert reason(snapshot, "a") is Reason.ENROLLED


def test_a_gate_that_never_had_an_entry_is_known_but_not_compiled() -> None:
    snapshot = advance(EMPTY, {**GOOD, "a.json": b"{"})
    assert (snapshot.gates["a"].good, snapshot.gates["a"].problem != "") == (None, True)


def test_a_last_good_entry_obeys_the_kill_key() -> None:
    snapshot = advance(EMPTY, {**GOOD, "a.json": line("a", percent=100)})
    snapshot = advance(snapshot, {**GOOD, "a.json": b"{"})
    assert reason(advance(snapshot, {**GOOD, "a.json": b"{", "kill": b"a"}), "a") is Reason.KILLED


def test_the_kill_key_comes_and_goes_without_a_new_entry() -> None:
    snapshot = advance(EMPTY, {**GOOD, "a.json": line("a", percent=100)})
    killed = advance(snapshot, {**GOOD, "a.json": line("a", percent=100), "kill": b"a"})
    assert (reason(killed, "a"), killed.changed) == (Reason.KILLED, {"a"})
    assert reason(advance(killed, {**GOOD, "a.json": line("a", percent=100)}), "a") is Reason.ENROLLED


def test_bytes_in_the_kill_key_that_are_no_text_do_not_hide_the_rest() -> None:
    assert reason(advance(EMPTY, {**GOOD, "kill": b"\xff\xfe, a"}), "a") is Reason.KILLED
