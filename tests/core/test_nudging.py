"""core/nudging: which changes of a ConfigMap pods must be told of at once, and which may take their time."""

import json
from bisect import bisect_right
from datetime import UTC, datetime
from typing import Any

import pytest

from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY, compile_flagd
from rampgate_operator.core.nudging import Urgency, changed_at, urgency_of
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KILL_KEY, read_entry

GATE = "new-checkout"
NOW, SOON = Urgency.NOW, Urgency.SOON
MORE_THAN_ANY_PYTHON_READS = 100_000  # levels: where its limit lies differs from version to version


def line(percent: float = 10, **fields: Any) -> str:
    entry = {"format": 1, "gate": GATE, "generation": 7, "attempt": 1, "percent": percent, "control": {"name": "off", "value": False}}
    return json.dumps(entry | fields)


def config_map(entry: str | None = None, **keys: str) -> dict[str, Any]:
    return {"metadata": {}, "data": {FORMAT_KEY: FORMAT, **({} if entry is None else {f"{GATE}.json": entry}), **keys}}


def document(text: str) -> dict[str, Any]:
    return {"metadata": {}, "data": {FORMAT_KEY: FLAGD_FORMAT, FLAGD_KEY: text}}


def flagd(**flag: Any) -> dict[str, Any]:
    return document(json.dumps({"flags": {GATE: flag} if flag else {}}))


KILLED = line(0, serve="KILLED", latch="Kill")
ROLLED_BACK = line(0, serve="ROLLED_BACK", latch="Guardrail")
CHANGES: list[tuple[str, dict[str, Any], dict[str, Any], Urgency | None]] = [
    ("a kill", config_map(line()), config_map(KILLED), NOW),
    ("a rollback", config_map(line()), config_map(ROLLED_BACK), NOW),
    ("a kill after a rollback", config_map(ROLLED_BACK), config_map(KILLED), None),
    ("the end of one that nobody knew", config_map(), config_map(KILLED), NOW),
    ("the end of one that could not be read", config_map("{"), config_map(KILLED), NOW),
    ("a new attempt", config_map(KILLED), config_map(line(0, attempt=2)), None),
    ("a step up", config_map(line(10)), config_map(line(50)), None),
    ("another number alone", config_map(line()), config_map(line(generation=8)), None),
    ("a lower percentage", config_map(line(50)), config_map(line(10)), SOON),
    ("an edit beside the percentage", config_map(line(eligibility=[["a", "eq", 1]])), config_map(line(eligibility=[["a", "eq", 2]])), SOON),
    ("an edit with a higher percentage", config_map(line()), config_map(line(50, variants=[])), SOON),
    ("a ship, which may be of control", config_map(line()), config_map(line(100, ship="off")), SOON),
    ("a new gate", config_map(), config_map(line()), None),
    ("a removed gate", config_map(line()), config_map(), SOON),
    ("a removed gate that had ended", config_map(KILLED), config_map(), None),
    ("a repaired entry", config_map("{"), config_map(line()), SOON),
    ("a broken entry, of which pods keep the last good one", config_map(line()), config_map("{"), None),
    ("break-glass", config_map(line()), config_map(line(), **{KILL_KEY: "other"}), NOW),
    ("break-glass for one more", config_map(**{KILL_KEY: "a"}), config_map(**{KILL_KEY: "a, b"}), NOW),
    ("break-glass for one less", config_map(**{KILL_KEY: "a b"}), config_map(**{KILL_KEY: "b"}), SOON),
    ("the end of break-glass", config_map(**{KILL_KEY: "*"}), config_map(), SOON),
    ("a key that is no entry", config_map(), config_map(readme="text"), None),
    ("a ConfigMap that is not ours any more", config_map(line()), {"metadata": {}, "data": {FORMAT_KEY: "theirs"}}, None),
    ("flagd's document with a gate newly on control", flagd(metadata={"percent": 10}), flagd(metadata={"serve": "KILLED"}), NOW),
    ("flagd's document with a new gate on control", flagd(), flagd(metadata={"serve": "ROLLED_BACK"}), NOW),
    ("flagd's document with a gate still on control", flagd(metadata={"serve": "other"}), flagd(metadata={"serve": "KILLED"}), SOON),
    ("flagd's document that says something else", flagd(metadata={"percent": 10}), flagd(metadata={"percent": 50}), SOON),
    ("flagd's document with a gate less", flagd(metadata={"percent": 10}), flagd(), SOON),
    ("flagd's document that somebody broke", flagd(metadata={"serve": "KILLED"}), document("{"), SOON),
    ("flagd's document that is whole again", document("[]"), flagd(metadata={"serve": "KILLED"}), NOW),
    ("flagd's document as it was", flagd(metadata={"serve": "KILLED"}), flagd(metadata={"serve": "KILLED"}), None),
    ("nothing", config_map(line()), config_map(line()), None),
]


@pytest.mark.parametrize(("before", "after", "urgency"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_what_lowers_exposure_is_told_and_what_only_raises_it_is_not(
    before: dict[str, Any], after: dict[str, Any], urgency: Urgency | None
) -> None:
    assert urgency_of(before, after) is urgency


@pytest.mark.parametrize("serve", [None, "KILLED"])
def test_flagds_document_says_who_is_on_control_as_it_is_rendered(serve: str | None) -> None:
    rules = config_map(line(salt="s", hashInput="UTF8", variants=[{"name": "off", "value": False, "weight": 1}], unit="userId"))
    killed = {**rules, "data": {**rules["data"], KILL_KEY: GATE}} if serve else rules
    assert urgency_of(document(compile_flagd(config_map()).text), document(compile_flagd(killed).text)) is (NOW if serve else SOON)


def test_a_step_up_is_told_where_its_clock_waits_for_pods() -> None:
    assert urgency_of(config_map(line(10)), config_map(line(50)), is_awaited=lambda gate: gate == GATE) is SOON
    assert urgency_of(config_map(line(10)), config_map(line(50)), is_awaited=lambda gate: gate != GATE) is None
    assert urgency_of(config_map(line(10)), config_map(KILLED), is_awaited=lambda gate: gate == GATE) is NOW


def test_of_two_gates_the_more_urgent_one_counts() -> None:
    other = {"other.json": line(50, gate="other")}
    assert urgency_of(config_map(line(), **other), config_map(KILLED, **{"other.json": line(10, gate="other")})) is NOW


@pytest.mark.parametrize(
    ("times", "last"),
    [
        (["2026-12-01T12:00:00Z", "2026-12-01T12:00:05Z", None], datetime(2026, 12, 1, 12, 0, 5, tzinfo=UTC)),
        ([None], None),
        ([], None),
        (["0000-01-01T00:00:00Z", "10000-01-01T00:59:59Z", "2026-12-01T12:00:00Z"], datetime(2026, 12, 1, 12, 0, tzinfo=UTC)),
        (["-0001-12-31T23:00:00Z"], None),
    ],
    ids=["the last of all", "one that has no time", "nobody", "years that Go knows", "none but such a year"],
)
def test_the_last_change_is_that_of_the_managed_fields(times: list[str | None], last: datetime | None) -> None:
    fields = [{"manager": "x", **({"time": time} if time else {})} for time in times]
    assert changed_at({"metadata": {"managedFields": fields}}) == last
    assert changed_at({"metadata": {}}) is None


def test_a_field_that_nests_as_deep_as_can_be_read_raises_nothing() -> None:
    """How deep that is depends on how deep the reader itself is called: here each depth is read by one and compared by others."""
    deepest = bisect_right(range(MORE_THAN_ANY_PYTHON_READS), 0, key=lambda depth: read_entry(nested(1, depth), GATE) is None) - 1
    assert 500 < deepest < MORE_THAN_ANY_PYTHON_READS - 1
    for depth in range(deepest - 100, deepest + 1):
        for calls in range(8):
            assert compared_after(calls, nested(1, depth), nested(2, depth)) in (None, SOON)


def nested(percent: int, depth: int) -> str:
    return line(percent, x="nested").replace('"nested"', '{"a":' * depth + "1" + "}" * depth)


def compared_after(calls: int, before: str, after: str) -> Urgency | None:
    return urgency_of(config_map(before), config_map(after)) if calls == 0 else compared_after(calls - 1, before, after)
