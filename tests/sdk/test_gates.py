"""rampgate.gates and rampgate.evaluate: answers, reasons, and that nothing an application passes can raise."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from datetime import UTC, datetime, tzinfo
from enum import Enum, StrEnum
from math import inf
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampgate import Decision, Gates, Reason
from rampgate.evaluate import compile_gate
from rampgate.request import using
from rampgate.rules import parse_entry, render_entry
from rampgate.sources.memory import MemorySource
from tests.sdk.entries import entry

TREATED = {"overrides": [{"variant": "treatment", "units": ["u"]}]}


def only(**changes: Any) -> Gates:
    return Gates.from_rules({"g": entry(**changes)})


def test_the_readme_line_reads_as_a_sentence() -> None:
    gates = only(**TREATED)
    assert gates.variant("g", {"userId": "u"}, default="control") == "treatment"
    assert gates.value("g", {"userId": "u"}, default=None) is True


def test_a_decision_says_by_which_rules_it_was_made() -> None:
    assert only(percent=100, variants=[{"name": "control", "value": False, "weight": 1}]).decide("g", {"userId": "u"}) == Decision(
        gate="g", variant="control", value=False, reason=Reason.ENROLLED, generation=1795600000, attempt=1, percent=100, label="control"
    )


def test_an_unknown_gate_is_the_callers_default() -> None:
    gates = only()
    assert gates.decide("other", {"userId": "u"}, default=7) == Decision("other", None, 7, Reason.UNKNOWN_GATE)
    assert gates.variant("other", {"userId": "u"}, default="control") == "control"
    assert gates.value("other", default=7) == 7


def test_a_gate_whose_bytes_were_never_an_entry_is_the_callers_default_with_an_error() -> None:
    assert Gates.from_rules({"g": "{"}).decide("g", default=7) == Decision("g", None, 7, Reason.ERROR)


def test_a_gate_that_is_not_understood_serves_its_control_and_leaves_its_neighbours_alone() -> None:
    gates = Gates.from_rules({"g": entry(format=2), "h": entry(gate="h", **TREATED)})
    assert gates.decide("g", {"userId": "u"}, default=7)[:4] == ("g", "control", False, Reason.ERROR)
    assert gates.decide("h", {"userId": "u"}).reason is Reason.OVERRIDE


@pytest.mark.parametrize(
    ("kill", "reason"),
    [
        ("g", Reason.KILLED),
        ("*", Reason.KILLED),
        ("a,g", Reason.KILLED),
        ("a g\n", Reason.KILLED),
        ("\ta\n\ng,,b", Reason.KILLED),
        ("", Reason.OVERRIDE),
        ("gg", Reason.OVERRIDE),
        ("G", Reason.OVERRIDE),
        ("g.json", Reason.OVERRIDE),
    ],
)
def test_the_kill_key_names_gates_by_blanks_lines_and_commas(kill: str, reason: Reason) -> None:
    assert Gates.from_rules({"g": entry(**TREATED)}, kill=kill).decide("g", {"userId": "u"}).reason is reason


@pytest.mark.parametrize("changes", [{"format": 2}, {"ship": "treatment"}, {"serve": "ROLLED_BACK"}, {"variants": ...}])
def test_the_kill_key_comes_before_anything_else_that_an_entry_says(changes: dict[str, Any]) -> None:
    decision = Gates.from_rules({"g": entry(**changes)}, kill="g").decide("g", {"userId": "u"})
    assert (decision.variant, decision.reason) == ("control", Reason.KILLED)


def test_a_gate_without_entry_stays_unknown_when_all_are_killed() -> None:
    assert Gates.from_rules({}, kill="*").decide("g", default=7) == Decision("g", None, 7, Reason.UNKNOWN_GATE)


@pytest.mark.parametrize(
    ("sentence", "context", "reason"),
    [
        ("no context", None, Reason.SHIPPED),
        ("no unit", {}, Reason.SHIPPED),
        ("a unit of another type", {"userId": 5}, Reason.SHIPPED),
        ("an overridden unit", {"userId": "qa"}, Reason.OVERRIDE),
    ],
)
def test_a_shipped_gate_needs_no_unit(sentence: str, context: Mapping[str, object] | None, reason: Reason) -> None:
    gates = only(ship="treatment", overrides=[{"variant": "control", "units": ["qa"]}])
    assert gates.decide("g", context).reason is reason


def test_a_unit_listed_twice_gets_the_first_override() -> None:
    gates = only(overrides=[{"variant": "control", "units": ["u"]}, {"variant": "treatment", "units": ["u"]}])
    assert gates.variant("g", {"userId": "u"}, default="none") == "control"


class Malicious(Mapping[str, object]):
    """A mapping that can do nothing right."""

    def __getitem__(self, key: str) -> object:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")


@pytest.mark.parametrize("context", [5, "userId", ["userId"], object(), Malicious(), {1, 2}])
def test_a_context_that_is_no_mapping_is_an_error_and_control(context: Any) -> None:
    decision = only(**TREATED).decide("g", context, default=7)
    assert (decision.variant, decision.value, decision.reason) == ("control", False, Reason.ERROR)


@pytest.mark.parametrize("gate", [None, 5, [], {}, object(), b"g"])
def test_a_gate_that_is_no_text_is_an_error_and_the_callers_default(gate: Any) -> None:
    assert only().decide(gate, {"userId": "u"}, default=7)[1:4] == (None, 7, Reason.ERROR)


class Gate(StrEnum):
    KNOWN = "g"
    OTHER = "other"


class OldGate(str, Enum):  # noqa: UP042 - what applications wrote before Python 3.11
    KNOWN = "g"
    OTHER = "other"


@pytest.mark.parametrize("gate", [*Gate, *OldGate], ids=repr)
def test_a_gate_that_is_a_member_of_an_enumeration_of_strings_is_its_string(gate: str) -> None:
    gates = only(**TREATED)
    decision = gates.decide(gate, {"userId": "u"}, default=7)
    assert decision == gates.decide(gate.value, {"userId": "u"}, default=7)  # type: ignore[attr-defined]
    assert type(decision.gate) is str


def test_a_subclass_of_str_with_code_of_its_own_cannot_raise() -> None:
    class Hostile(str):
        def __hash__(self) -> int:
            raise RuntimeError("no")

        def __str__(self) -> str:
            raise RuntimeError("no")

    assert only().decide(Hostile("other"), default=7)[1:4] == (None, 7, Reason.UNKNOWN_GATE)


@pytest.mark.parametrize("entries", [[1], None, 5, "g"], ids=repr)
def test_entries_that_are_no_mapping_are_refused_by_name(entries: Any) -> None:
    with pytest.raises(TypeError, match=rf"entries: wanted a mapping of gate to entry, not {type(entries).__name__}"):
        Gates.from_rules(entries)


def test_a_lone_surrogate_is_a_unit_like_any_other() -> None:
    for hash_input in ("UTF8", "CBOR"):
        assert only(percent=100, hashInput=hash_input).decide("g", {"userId": "\ud800"}).reason is Reason.ENROLLED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["userId", "country", "plan", "appVersion", "x", "x.y"])
ELIGIBILITY = [
    {"attribute": "country", "in": ["US"]},
    {"attribute": "plan", "notIn": ["free"]},
    {"attribute": "appVersion", "semver": [["<", [3, 0, 0]]]},
]
ANY_TEST = st.sampled_from(
    [
        {"equals": "a"}, {"is": True}, {"exists": False}, {"startsWith": ["a"]}, {"endsWith": ["a"]}, {"contains": ["a"]},
        {"greaterThan": 0}, {"greaterOrEqual": 0}, {"lessThan": 0}, {"lessOrEqual": 0},
        {"before": "2026-12-01T09:00:00Z"}, {"after": "2026-12-01T09:00:00Z"},
    ]
)  # fmt: skip


@given(context=st.dictionaries(NAMES, JSON | st.datetimes()), test=ANY_TEST, attribute=NAMES)
def test_whatever_an_attribute_holds_a_test_has_an_answer(context: Any, test: dict[str, Any], attribute: str) -> None:
    gates = only(percent=100, eligibility=[{"attribute": attribute, **test}], **TREATED)
    assert gates.decide("g", {"userId": "v", **context}).reason is not Reason.ERROR or not isinstance(context.get("userId", ""), str)


class Nowhere(tzinfo):
    """A time zone that does not know how far it is from Greenwich."""

    def utcoffset(self, _: datetime | None) -> None:
        return None


def test_an_instant_of_the_language_counts_if_it_has_an_offset() -> None:
    gates = only(percent=100, eligibility=[{"attribute": "x", "before": "2026-12-01T09:00:00Z"}], **TREATED)
    early = datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert gates.decide("g", {"userId": "v", "x": early}).reason is Reason.ENROLLED
    for zone in (None, Nowhere()):
        assert gates.decide("g", {"userId": "v", "x": early.replace(tzinfo=zone)}).reason is Reason.NOT_ELIGIBLE


@given(context=st.dictionaries(NAMES, JSON) | JSON, percent=st.integers(0, 100))
def test_whatever_the_context_holds_there_is_an_answer(context: Any, percent: int) -> None:
    gates = only(percent=percent, eligibility=ELIGIBILITY, **TREATED)
    assert gates.decide("g", context).variant in ("control", "treatment")
    with gates.measure("g", context) as measured:
        assert measured.reason in Reason


@given(field=st.sampled_from(sorted(entry(ship=1, serve=1, latch=1, eligibility=1, overrides=1))), value=JSON)
def test_whatever_a_field_of_an_entry_holds_there_is_an_answer(field: str, value: Any) -> None:
    gates = Gates.from_rules({"g": json.dumps(entry(**{field: value}))})
    assert gates.decide("g", {"userId": "u"}, default="control").reason in Reason


@given(raw=st.binary() | st.text())
def test_whatever_an_entry_is_there_is_an_answer(raw: str | bytes) -> None:
    text = raw if isinstance(raw, str) else raw.decode("latin-1")
    assert Gates.from_rules({"g": text}).decide("g", {"userId": "u"}, default=7).value == 7


@given(data=st.data())
def test_a_mutilated_entry_serves_control_or_the_default_or_is_still_an_entry(data: st.DataObject) -> None:
    line = render_entry(entry(eligibility=ELIGIBILITY, **TREATED))
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, min(len(line), start + 4)))
    mutilated = line[:start] + data.draw(st.text(max_size=3)) + line[end:]
    decision = Gates.from_rules({"g": mutilated}).decide("g", {"userId": "x"}, default="default")
    assert decision.reason in Reason


def test_rules_that_change_are_served_and_told() -> None:
    told: list[frozenset[str]] = []
    source = MemorySource({"g": entry(), "h": entry(gate="h")})
    gates = Gates(source, on_change=told.append)
    source.replace({"g": entry(**TREATED), "h": entry(gate="h")})
    assert gates.decide("g", {"userId": "u"}).reason is Reason.OVERRIDE
    source.replace({"g": entry(**TREATED), "h": entry(gate="h")})
    source.replace({"g": entry(**TREATED)})
    assert told == [{"g", "h"}, {"g"}, {"h"}]


def test_a_callback_that_raises_does_not_keep_rules_away(caplog: pytest.LogCaptureFixture) -> None:
    def fail(gates: frozenset[str]) -> None:
        raise RuntimeError("the application's own fault")

    with caplog.at_level(logging.WARNING):
        gates = Gates.from_rules({"g": entry(**TREATED)}, on_change=fail)
    assert gates.decide("g", {"userId": "u"}).reason is Reason.OVERRIDE
    assert "the application's own fault" in caplog.text


class Silent:
    """A source that never delivers."""

    def start(self, receiver: object) -> None:
        pass

    def start_in_child(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_before_the_first_rules_every_answer_is_the_default_with_an_error() -> None:
    gates = Gates(Silent(), wait=0)
    assert gates.decide("g", {"userId": "u"}, default=7) == Decision("g", None, 7, Reason.ERROR)


def test_a_source_that_is_silent_for_too_long_makes_decisions_stale() -> None:
    source = MemorySource({"g": entry(**TREATED)})
    gates = Gates(source, stale_after=-1)
    assert gates.decide("g", {"userId": "u"})[3:] == (Reason.OVERRIDE, 1795600000, 1, 50, "override", True)
    assert Gates(source, stale_after=inf).decide("g", {"userId": "u"}).stale is False


def test_gates_are_a_context_manager_and_answer_after_their_end() -> None:
    with only(**TREATED) as gates:
        pass
    gates.close()
    assert gates.variant("g", {"userId": "u"}, default="control") == "treatment"
    assert gates.age_seconds() == 0


def test_a_gate_compiled_by_the_operator_answers_like_one_in_a_process() -> None:
    compiled = compile_gate(parse_entry(render_entry(entry(percent=100))))
    gates = only(percent=100)
    for number in range(20):
        assert compiled.decide({"userId": f"u{number}"}) == gates.decide("g", {"userId": f"u{number}"})


def test_importing_rampgate_loads_neither_network_nor_logging_nor_the_extras() -> None:
    unwanted = (
        "asyncio",
        "http.client",
        "ssl",
        "socket",
        "logging",
        "inspect",
        "prometheus_client",
        "rampgate_operator",
        "hmac",
        "hashlib",
        "rampgate.sinks",
    )
    script = f"import sys, rampgate; print([name for name in {unwanted!r} if name in sys.modules])"
    # -S: the site's .pth files may import anything; the path is passed on instead.
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {script}"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


class Fickle(dict[str, object]):
    """A context that gives its unit once."""

    def get(self, key: str, default: object = None) -> object:
        return self.pop(key) if key in self else self[key]


def test_a_context_that_gives_its_unit_only_once_is_measured_all_the_same() -> None:
    with only(percent=100).measure("g", Fickle(userId="u")) as measured:
        assert measured.reason is Reason.ENROLLED


def test_a_mock_of_a_text_is_no_text() -> None:
    gates = only(percent=100)
    assert gates.decide(Mock(spec=str), {"userId": "u"}, default=7).value == 7
    assert gates.decide("g", {"userId": Mock(spec=str)}).reason is Reason.ERROR


def test_a_key_without_a_gates_name_is_nobodys_gate() -> None:
    gates = Gates.from_rules({"": entry(gate="g"), "g": entry()})
    assert gates.names() == {"g"}
    assert gates.decide(None, default=7) == Decision(None, None, 7, Reason.ERROR)  # type: ignore[arg-type]


def test_a_context_that_is_set_for_a_block_ends_with_it() -> None:
    gates = only(percent=100)
    with using({"userId": "u"}):
        assert gates.decide("g").reason is Reason.ENROLLED
        with using({}):
            assert gates.decide("g").reason is Reason.NO_UNIT
        assert gates.decide("g").reason is Reason.ENROLLED
    assert gates.decide("g").reason is Reason.NO_UNIT


def test_a_block_with_a_context_may_be_left_elsewhere() -> None:
    block = using({"userId": "u"})
    copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert only(percent=100).decide("g").reason is Reason.NO_UNIT


def test_a_gate_that_cannot_be_compiled_serves_control_and_costs_nobody_a_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rampgate.evaluate._compile_rule", lambda *_, **__: 1 / 0)
    gates = only()
    for ask in (gates.decide, gates.peek):
        assert ask("g", {"userId": "u"}, default=7)[1:4] == ("control", False, Reason.ERROR)
    assert "gate g cannot be compiled: ZeroDivisionError" in caplog.text
