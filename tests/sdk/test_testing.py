"""rampgate.testing: by its own means, and by a pytest that uses its fixture, also in several processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext

import rampgate
from rampgate import Gates, Reason
from rampgate.integrations.openfeature import RampgateProvider
from rampgate.testing import ForcedGates, Outcome, forced
from tests.sdk.entries import entry

QA = {"percent": 0, "overrides": [{"variant": "treatment", "units": ["qa"]}]}
UNIT = {"userId": "u"}


@pytest.fixture
def gates() -> Gates:
    """An application's gates."""
    return Gates.from_rules({"g": entry(**QA)})


def test_a_variant_is_forced_until_the_block_ends(gates: Gates) -> None:
    with forced(gates, {"g": "treatment"}):
        assert (gates.variant("g", UNIT, default="none"), gates.value("g", UNIT, default=None)) == ("treatment", True)
        assert gates.peek("g", UNIT).variant == "treatment"
    assert (gates.variant("g", UNIT, default="none"), gates.value("g", UNIT, default=None)) == ("control", False)


def test_all_is_as_before_also_after_a_failure(gates: Gates) -> None:
    with pytest.raises(ZeroDivisionError), forced(gates, {"g": "treatment"}):
        _ = 1 / 0
    assert gates.variant("g", UNIT, default="none") == "control"
    assert not {"decide", "value", "peek"} & vars(gates).keys()
    assert gates._in_force.audience.observers == ()


def test_what_is_forced_can_change_and_end_within_the_block(gates: Gates) -> None:
    with forced(gates) as seen:
        for variant in ("treatment", "control", None):
            seen.force("g", variant)
            gates.variant("g", {"userId": "qa"}, default="none")
    assert seen.served("g") == ["treatment", "control", "treatment"]


def test_a_variant_that_the_rules_do_not_know_is_refused(gates: Gates) -> None:
    with pytest.raises(ValueError, match="g has no variant 'treatmnt', only control, treatment"), forced(gates, {"g": "treatmnt"}):
        pass
    assert gates.variant("g", UNIT, default="none") == "control"


@pytest.mark.parametrize(
    "ask",
    [
        lambda gates: gates.variant("g", UNIT, default="none"),
        lambda gates: gates.value("g", UNIT, default=None),
        lambda gates: gates.decide("g", UNIT),
        lambda gates: gates.measure("g", UNIT),
    ],
    ids=["variant", "value", "decide", "measure"],
)
def test_every_way_to_ask_is_an_exposure(gates: Gates, ask: Callable[[Gates], Any]) -> None:
    with forced(gates, {"g": "treatment"}) as seen:
        ask(gates)
    ask(gates)
    assert [(each.gate, each.variant, each.reason) for each in seen.exposures] == [("g", "treatment", Reason.OVERRIDE)]


def test_what_is_not_forced_is_seen_too(gates: Gates) -> None:
    with forced(gates) as seen:
        gates.variant("g", UNIT, default="none")
        gates.variant("other", UNIT, default="none")
        gates.peek("g", UNIT)
    assert [(each.gate, each.variant, each.reason) for each in seen.exposures] == [
        ("g", "control", Reason.NOT_ENROLLED),
        ("other", None, Reason.UNKNOWN_GATE),
    ]


def test_measured_requests_and_outcomes_are_seen(gates: Gates) -> None:
    with forced(gates, {"g": "treatment"}) as seen:
        with gates.measure("g", UNIT) as decision:
            decision.record("order", 19.5)
        with gates.measure("g", UNIT) as decision:
            decision.status(503)
    assert [(each.gate, each.variant, each.failed) for each in seen.requests] == [("g", "treatment", False), ("g", "treatment", True)]
    assert seen.outcomes == [Outcome("g", "treatment", "order", 19.5)]


def test_without_gates_there_are_new_ones_without_rules() -> None:
    with forced(variants={"g": "treatment"}) as seen:
        assert seen.gates.variant("g", default="control") == "treatment"
        assert seen.gates.value("g", default=7) == 7
        assert seen.gates.variant("other", default="control") == "control"


def test_without_rules_a_value_can_be_forced_with_its_variant() -> None:
    gates = ForcedGates()
    with gates.seen.watching():
        gates.force("g", "treatment", value={"colour": "red"})
        assert gates.value("g", default=None) == gates.peek("g").value == {"colour": "red"}
        gates.force("g", "treatment")
        assert gates.value("g", default=7) == 7


def test_blocks_may_be_nested(gates: Gates) -> None:
    with forced(gates, {"g": "control"}) as outer, forced(gates, {"g": "treatment"}) as inner:
        assert gates.variant("g", UNIT, default="none") == "treatment"
    assert outer.served("g") == inner.served("g") == ["treatment"]
    assert gates.variant("g", UNIT, default="none") == "control"


def test_a_gate_that_the_rules_do_not_know_is_refused(gates: Gates) -> None:
    with pytest.raises(ValueError, match="the rules have no gate 'gg', only g"), forced(gates, {"gg": "treatment"}):
        pass


def test_the_environments_overrides_hold_where_a_test_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPGATE_OVERRIDE_H", "b")
    with forced(variants={"g": "a"}) as seen:
        assert [seen.gates.variant(gate, default="none") for gate in ("g", "h")] == ["a", "b"]


def test_who_asks_by_way_of_openfeature_is_served_what_is_forced(gates: Gates) -> None:
    with forced(gates, {"g": "treatment"}) as seen:
        details = RampgateProvider(gates).resolve_boolean_details("g", False, EvaluationContext(attributes=UNIT))
    assert (details.value, details.variant, seen.served("g")) == (True, "treatment", ["treatment"])


TESTS = """
import pytest
from rampgate import Gates

def page(gates: Gates) -> str:
    with gates.measure("new-checkout", {"userId": "user-1"}) as decision:
        decision.record("view")
        return "one page" if decision.variant == "treatment" else "three pages"

@pytest.mark.parametrize(("variant", "shown"), [("treatment", "one page"), ("control", "three pages"), (None, "three pages")] * 3)
def test_a_page(rampgate_gates, variant, shown):
    rampgate_gates.force("new-checkout", variant)
    assert page(rampgate_gates) == shown
    assert rampgate_gates.seen.served("new-checkout") == [variant]
    assert [each.failed for each in rampgate_gates.seen.requests] == [False]
    assert [each.outcome for each in rampgate_gates.seen.outcomes] == ["view"]

def test_nothing_is_left_of_other_tests(rampgate_gates):
    assert page(rampgate_gates) == "three pages"
    assert len(rampgate_gates.seen.exposures) == 1
"""


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one process", "two processes"])
def test_the_fixture_works_in_a_project_that_names_the_plugin(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["rampgate.testing"]\n')
    (tmp_path / "test_page.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio", *options, str(tmp_path)]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**outside, "PYTHONPATH": str(Path(rampgate.__file__).parents[1])}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path, env=environment)
    assert "10 passed" in ran.stdout, ran.stdout + ran.stderr


def test_without_pytest_blocks_work_all_the_same() -> None:
    script = "import sys; sys.modules['pytest'] = None; from rampgate.testing import forced\nwith forced(variants={'g': 'b'}) as seen: "
    script += "print(seen.gates.variant('g', default='a'))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.stdout, ran.stderr) == ("b\n", "")
