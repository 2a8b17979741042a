"""rampgate.forced: what the environment forces, and that it does so nowhere but in development."""

from collections.abc import Callable
from typing import Any

import pytest

from rampgate import Decision, Gates, Reason
from rampgate.forced import Forced
from rampgate.sources.memory import MemorySource
from tests.sdk.entries import entry

FORCED = "RAMPGATE_OVERRIDE_NEW_CHECKOUT"
GATE = "new-checkout"


@pytest.fixture
def force(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Gates]:
    """Make gates in an environment that forces a variant."""

    def make(variant: str = "treatment", *, kill: str = "", stage: str = "", name: str = FORCED, **changes: Any) -> Gates:
        monkeypatch.setenv(name, variant)
        monkeypatch.setenv("RAMPGATE_ENV", stage)
        return Gates.from_rules({GATE: entry(gate=GATE, **changes)}, kill=kill)

    return make


@pytest.mark.parametrize(
    ("sentence", "changes", "context"),
    [
        ("a unit that is not enrolled", {"percent": 0}, {"userId": "u"}),
        ("a unit that is not eligible", {"eligibility": [{"attribute": "country", "in": []}]}, {"userId": "u"}),
        ("a unit that is overridden", {"overrides": [{"variant": "control", "units": ["u"]}]}, {"userId": "u"}),
        ("no unit", {}, {}),
        ("no context", {}, None),
        ("a context that is no mapping", {}, 5),
        ("a shipped gate", {"ship": "control"}, {"userId": "u"}),
        ("a killed gate", {"kill": GATE}, {"userId": "u"}),
        ("everything killed", {"kill": "*"}, {"userId": "u"}),
    ],
)
def test_what_is_forced_wins_over_all_that_the_rules_say(
    force: Callable[..., Gates], sentence: str, changes: dict[str, Any], context: Any
) -> None:
    decision = force(**changes).decide(GATE, context)
    assert decision[:4] == (GATE, "treatment", True, Reason.OVERRIDE)
    assert (decision.label, decision.is_drawn, decision.generation) == ("override", False, 1795600000)


@pytest.mark.parametrize("gate", ["new-checkout", "new.checkout", "new_checkout"])
def test_the_variable_is_the_gates_name_in_capitals_with_underscores(force: Callable[..., Gates], gate: str) -> None:
    assert force().variant(gate, default="none") == "treatment"


def test_a_gate_that_no_rules_know_serves_the_callers_value_under_the_forced_name(force: Callable[..., Gates]) -> None:
    gates = force("anything", name="RAMPGATE_OVERRIDE_UNKNOWN")
    assert gates.decide("unknown", default=7) == Decision("unknown", "anything", 7, Reason.OVERRIDE, label="override")
    assert gates.variant("unknown", default="control") == "anything"
    assert gates.peek("unknown", default=7).variant == "anything"


@pytest.mark.parametrize(
    ("changes", "known"),
    [({}, "control, treatment"), ({"serve": "ROLLED_BACK", "variants": ...}, "control")],
    ids=["ramping", "rolled back"],
)
def test_a_variant_that_the_rules_do_not_know_is_ignored_and_said_once(
    force: Callable[..., Gates], caplog: pytest.LogCaptureFixture, changes: dict[str, Any], known: str
) -> None:
    gates = force("treatmnt", **changes)
    for _ in range(3):
        assert gates.decide(GATE, {"userId": "u"}).reason is not Reason.OVERRIDE
        gates.peek(GATE, {"userId": "u"})
    said = [each.getMessage() for each in caplog.records if "'treatmnt'" in each.getMessage()]
    assert said == [f"RAMPGATE_OVERRIDE_*: {GATE} is served by its rules: they know no variant 'treatmnt', only {known}"]


def test_a_variant_that_appears_in_the_rules_later_is_forced_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORCED, "treatment")
    source = MemorySource({GATE: entry(gate=GATE, variants=[{"name": "control", "value": False, "weight": 1}])})
    gates = Gates(source)
    assert gates.decide(GATE, {"userId": "u"}).reason is not Reason.OVERRIDE
    source.replace({GATE: entry(gate=GATE)})
    assert gates.variant(GATE, {"userId": "u"}, default="none") == "treatment"


@pytest.mark.parametrize("stage", ["production", "Production", " PRODUCTION "])
def test_in_production_it_is_refused_and_loudly(force: Callable[..., Gates], caplog: pytest.LogCaptureFixture, stage: str) -> None:
    gates = force(stage=stage, percent=0)
    assert gates.decide(GATE, {"userId": "u"}).reason is Reason.NOT_ENROLLED
    (said,) = [each for each in caplog.records if "REFUSED" in each.getMessage()]
    assert (said.levelname, FORCED in said.getMessage()) == ("WARNING", True)


@pytest.mark.parametrize("stage", ["", "development", "staging"])
def test_elsewhere_it_is_obeyed_and_said_once(force: Callable[..., Gates], caplog: pytest.LogCaptureFixture, stage: str) -> None:
    gates = force(stage=stage)
    for _ in range(3):
        assert gates.variant(GATE, default="none") == "treatment"
    assert [FORCED in each.getMessage() for each in caplog.records] == [True]


def test_an_environment_without_overrides_forces_nothing_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    for environment in ({}, {"RAMPGATE_ENV": "production"}, {FORCED: ""}):
        assert Forced(environment).variant(GATE) == ""
    assert caplog.records == []


def test_what_is_forced_is_measured_under_its_label(force: Callable[..., Gates]) -> None:
    with force().measure(GATE, {"userId": "u"}) as decision:
        assert (decision.variant, decision.label) == ("treatment", "override")


def test_a_name_that_no_gate_of_the_rules_has_is_said_once(force: Callable[..., Gates], caplog: pytest.LogCaptureFixture) -> None:
    force(name="RAMPGATE_OVERRIDE_NEW_CHEKOUT")
    said = [
        record.getMessage()
        for record in caplog.records
        if "NEW_CHEKOUT is for no gate of the rules, which have new-checkout" in record.getMessage()
    ]
    assert len(said) == 1
