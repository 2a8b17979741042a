"""rampgate.exposure, rampgate.measure and the Prometheus integration, read through prometheus_client's own exposition."""

import asyncio
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from rampgate import Decision, Gates, Reason
from rampgate.exposure import KNOWN_OUTCOMES, KNOWN_STRANGERS, Observer
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.snapshot import Loaded
from rampgate.sources.memory import MemorySource
from tests.sdk.entries import entry

ARM_ONLY = {"percent": 100, "variants": [{"name": "control", "value": 0, "weight": 0}, {"name": "treatment", "value": 1, "weight": 1}]}


class Measured:
    """Gates over rules that can be replaced, with metrics of their own registry."""

    def __init__(self, **changes: Any) -> None:
        self.registry = CollectorRegistry()
        self.source = MemorySource({"g": entry(**changes)})
        self.gates = Gates(self.source, metrics=PrometheusMetrics(self.registry, buckets=(0.1, 0.3)))

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def first(self, kind: str, variant: str) -> float | None:
        return self(f"rampgate_first_{kind}_total", gate="g", variant=variant)

    def requests(self, variant: str) -> tuple[float | None, ...]:
        return tuple(self("rampgate_requests_total", gate="g", variant=variant, outcome=outcome) for outcome in ("ok", "error"))


@pytest.fixture
def measured() -> Iterator[Measured]:
    with (made := Measured(**ARM_ONLY)).gates:
        yield made


def test_the_series_of_every_arm_and_the_baseline_exist_before_anybody_is_exposed(measured: Measured) -> None:
    for variant in ("control", "treatment", "baseline"):
        reason = "NOT_ENROLLED" if variant == "baseline" else "ENROLLED"
        assert measured("rampgate_exposures_total", gate="g", variant=variant, reason=reason) == 0
        assert (measured.first("exposures", variant), measured.first("errors", variant), measured.requests(variant)) == (0, 0, (0, 0))
        assert measured("rampgate_request_duration_seconds_count", gate="g", variant=variant) == 0


def test_the_names_and_types_of_all_metrics_are_the_fixed_ones(measured: Measured) -> None:
    types = {tuple(line.split()[2:]) for line in generate_latest(measured.registry).decode().splitlines() if line.startswith("# TYPE")}
    assert {each for each in types if not each[0].endswith("_created")} == {
        ("rampgate_exposures_total", "counter"),
        ("rampgate_first_exposures_total", "counter"),
        ("rampgate_first_errors_total", "counter"),
        ("rampgate_outcome_events_total", "counter"),
        ("rampgate_outcome_value_total", "counter"),
        ("rampgate_dropped_exposures_total", "counter"),
        ("rampgate_processes", "gauge"),
        ("rampgate_requests_total", "counter"),
        ("rampgate_request_duration_seconds", "histogram"),
        ("rampgate_rules_generation", "gauge"),
        ("rampgate_rules_age_seconds", "gauge"),
    }


@pytest.mark.parametrize(
    ("changes", "context", "label", "reason"),
    [
        (ARM_ONLY, {"userId": "u"}, "treatment", "ENROLLED"),
        ({"percent": 0}, {"userId": "u"}, "baseline", "NOT_ENROLLED"),
        ({"overrides": [{"variant": "treatment", "units": ["u"]}]}, {"userId": "u"}, "override", "OVERRIDE"),
        ({"eligibility": [{"attribute": "country", "in": []}]}, {"userId": "u"}, "ineligible", "NOT_ELIGIBLE"),
        ({"ship": "treatment"}, {"userId": "u"}, "none", "SHIPPED"),
        ({"serve": "ROLLED_BACK"}, {"userId": "u"}, "none", "ROLLED_BACK"),
        ({"format": 2}, {"userId": "u"}, "none", "ERROR"),
        ({}, {}, "none", "NO_UNIT"),
    ],
)
def test_every_answer_is_counted_under_its_label_and_only_draws_as_first_exposures(
    changes: dict[str, Any], context: dict[str, str], label: str, reason: str
) -> None:
    measured = Measured(**changes)
    for _ in range(3):
        measured.gates.decide("g", context)
    assert measured("rampgate_exposures_total", gate="g", variant=label, reason=reason) == 3
    assert measured.first("exposures", label) == (1 if reason in ("ENROLLED", "NOT_ENROLLED") else None)


def test_a_percentage_that_comes_back_counts_its_units_anew_and_a_broken_glass_forgets_nobody() -> None:
    entries = {percent: {"g": entry(**{**ARM_ONLY, "percent": percent})} for percent in (100, 90)}
    with (measured := Measured(**ARM_ONLY)).gates as gates:
        counted = []
        for percent, kill in ((100, ""), (100, "g"), (100, ""), (90, ""), (100, "")):
            measured.source.replace(entries[percent], kill=kill)
            gates.decide("g", {"userId": "u"})
            counted.append(measured.first("exposures", "treatment"))
    assert counted == [1, 1, 1, 2, 3]


def test_a_unit_is_a_first_exposure_again_at_another_percentage_and_in_another_attempt(measured: Measured) -> None:
    measured.gates.decide("g", {"userId": "u"})
    for changes in (
        {"percent": 90},
        {"percent": 90},
        {"percent": 100, "attempt": 2},
        {"percent": 100, "attempt": 2, "generation": 1795600009},
    ):
        measured.source.replace({"g": entry(**{**ARM_ONLY, **changes})})
        for unit in ("u", "u"):
            measured.gates.decide("g", {"userId": unit})
    counted = (measured.first("exposures", "treatment") or 0) + (measured.first("exposures", "baseline") or 0)
    assert counted == 3


def test_a_request_is_counted_with_its_outcome_and_duration(measured: Measured) -> None:
    with measured.gates.measure("g", {"userId": "u"}) as decision:
        assert (decision.variant, decision.value, decision.reason) == ("treatment", 1, Reason.ENROLLED)
    assert measured.requests("treatment") == (1, 0)
    assert measured("rampgate_request_duration_seconds_bucket", gate="g", variant="treatment", le="+Inf") == 1
    assert measured("rampgate_request_duration_seconds_bucket", gate="g", variant="treatment", le="0.3") is not None


def test_a_measurement_has_all_that_its_decision_has(measured: Measured) -> None:
    with measured.gates.measure("g", {"userId": "u"}) as measurement:
        shown = {name: getattr(measurement, name) for name in (*Decision._fields, "is_drawn")}
    assert shown == {**measurement.decision._asdict(), "is_drawn": True}


def by_exception(measured: Measured, unit: str) -> None:
    with pytest.raises(ZeroDivisionError), measured.gates.measure("g", {"userId": unit}):
        _ = 1 / 0


def by_saying_so(measured: Measured, unit: str) -> None:
    with measured.gates.measure("g", {"userId": unit}) as decision:
        decision.fail()


def by_status(measured: Measured, unit: str) -> None:
    with measured.gates.measure("g", {"userId": unit}) as decision:
        decision.status(HTTPStatus.SERVICE_UNAVAILABLE)
        decision.status(200)


@pytest.mark.parametrize("fail", [by_exception, by_saying_so, by_status])
def test_an_error_is_counted_per_request_and_once_per_unit(measured: Measured, fail: Callable[[Measured, str], None]) -> None:
    for unit in ("u", "v", "u"):
        fail(measured, unit)
    assert measured.requests("treatment") == (0, 3)
    assert measured.first("errors", "treatment") == 2
    assert measured.first("exposures", "treatment") == 2


@pytest.mark.parametrize(("code", "counted"), [(200, (1, 0)), (404, (1, 0)), (499, (1, 0)), (500, (0, 1)), (599, (0, 1)), ("x", (1, 0))])
def test_a_status_of_500_or_more_is_an_error(measured: Measured, code: Any, counted: tuple[int, int]) -> None:
    with measured.gates.measure("g", {"userId": "u"}) as decision:
        decision.status(code)
    assert measured.requests("treatment") == counted


async def test_a_measured_block_may_await(measured: Measured) -> None:
    async def answer() -> str:
        return "answer"

    with measured.gates.measure("g", {"userId": "u"}):
        assert await answer() == "answer"
    async with measured.gates.measure("g", {"userId": "u"}) as decision:
        assert (decision.variant, await answer()) == ("treatment", "answer")
    assert measured.requests("treatment") == (2, 0)


async def test_an_asynchronous_block_fails_like_any_other(measured: Measured) -> None:
    with pytest.raises(ZeroDivisionError):
        async with measured.gates.measure("g", {"userId": "u"}):
            _ = 1 / 0
    assert (measured.requests("treatment"), measured.first("errors", "treatment")) == ((0, 1), 1)


@pytest.mark.parametrize("ended", [asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit])
def test_a_request_that_somebody_else_ended_is_no_error(measured: Measured, ended: type[BaseException]) -> None:
    with pytest.raises(ended), measured.gates.measure("g", {"userId": "u"}):
        raise ended
    assert (measured.requests("treatment"), measured.first("errors", "treatment")) == ((1, 0), 0)
    assert measured("rampgate_request_duration_seconds_count", gate="g", variant="treatment") == 1


async def test_a_task_whose_client_hung_up_is_no_error_but_a_timeout_within_the_block_is_one(measured: Measured) -> None:
    async def serve(seconds: float) -> None:
        async with measured.gates.measure("g", {"userId": "u"}), asyncio.timeout(seconds):
            await asyncio.Event().wait()

    task = asyncio.create_task(serve(60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert measured.requests("treatment") == (1, 0)
    with pytest.raises(TimeoutError):
        await serve(0)
    assert measured.requests("treatment") == (1, 1)


def outcomes(measured: Measured, outcome: str, gate: str = "g", variant: str = "treatment") -> tuple[float | None, float | None]:
    labels = {"gate": gate, "variant": variant, "outcome": outcome}
    return measured("rampgate_outcome_events_total", **labels), measured("rampgate_outcome_value_total", **labels)


def test_outcomes_are_counted_and_their_values_added_up(measured: Measured) -> None:
    with measured.gates.measure("g", {"userId": "u"}) as decision:
        decision.record("order", 19.5)
        decision.record("order", Decimal("0.5"))
        decision.record("click")
        decision.record("nothing", 0)
    assert [outcomes(measured, name) for name in ("order", "click", "nothing")] == [(2, 20), (1, 1), (1, 0)]


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 10**400, "1", None, []], ids=lambda value: repr(value)[:9])
def test_a_value_that_cannot_be_added_up_is_not_recorded_and_said(measured: Measured, value: Any, caplog: pytest.LogCaptureFixture) -> None:
    with measured.gates.measure("g", {"userId": "u"}) as decision:
        decision.record("order", value)
    assert outcomes(measured, "order") == (None, None)
    assert "'order' was not recorded" in caplog.text


class Hostile(str):
    """A text with code of its own, which fails."""

    def __hash__(self) -> int:
        raise RuntimeError("no")


def test_names_of_outcomes_and_of_gates_do_not_become_series_without_end(measured: Measured) -> None:
    with measured.gates.measure("g", {"userId": "u"}) as decision:
        for number in range(KNOWN_OUTCOMES):
            decision.record(f"outcome-{number}")
        for name in ("one more", "\ud800", "", 5, None, Hostile("outcome-x")):
            decision.record(name)  # type: ignore[arg-type]
        decision.record("outcome-0")
    assert (outcomes(measured, "outcome-0")[0], outcomes(measured, "_other")[0]) == (2, 6)
    for number in range(KNOWN_STRANGERS + 1):
        with measured.gates.measure(f"stranger-{number}") as decision:
            decision.record("outcome-0")
    assert outcomes(measured, "outcome-0", gate="_other", variant="none")[0] == 1


def test_errors_outside_a_draw_are_no_first_errors() -> None:
    measured = Measured(ship="treatment")
    by_exception(measured, "u")
    assert (measured.requests("none"), measured.first("errors", "none")) == ((None, 1), None)


def test_the_generation_is_that_of_the_rules_in_force(measured: Measured) -> None:
    assert measured("rampgate_rules_generation", gate="g") == 1795600000
    measured.source.replace({"g": entry(generation=1795600001), "h": entry(gate="h")})
    assert measured("rampgate_rules_generation", gate="g") == 1795600001
    measured.source.replace({"h": entry(gate="h")})
    assert (measured("rampgate_rules_generation", gate="g"), measured("rampgate_rules_generation", gate="h")) == (None, 1795600000)


def test_processes_and_age_are_reported(measured: Measured) -> None:
    assert measured("rampgate_processes") == 1
    age = measured("rampgate_rules_age_seconds")
    assert age is not None
    assert age <= measured.gates.age_seconds()


def test_gates_that_nobody_declared_do_not_become_series_without_end(measured: Measured) -> None:
    for number in range(KNOWN_STRANGERS + 5):
        measured.gates.decide(f"stranger-{number}")
    measured.gates.decide([])  # type: ignore[arg-type]
    assert measured("rampgate_exposures_total", gate="stranger-0", variant="none", reason="UNKNOWN_GATE") == 1
    assert measured("rampgate_exposures_total", gate="_other", variant="none", reason="UNKNOWN_GATE") == 5
    assert measured("rampgate_exposures_total", gate="_other", variant="none", reason="ERROR") == 1


def test_no_name_that_a_stranger_chose_is_longer_than_an_experiments_can_be(measured: Measured) -> None:
    for length in (253, 254, 60_000):
        with measured.gates.measure("s" * length) as decision:
            decision.record("o" * length)
    assert outcomes(measured, "o" * 253, gate="s" * 253, variant="none")[0] == 1
    assert outcomes(measured, "_other", gate="_other", variant="none")[0] == 2
    assert len(max(generate_latest(measured.registry).split(b"\n"), key=len)) < 1_000


def test_a_gate_that_cannot_be_written_breaks_no_scrape() -> None:
    registry = CollectorRegistry()
    gates = Gates.from_rules({"g": entry()}, metrics=PrometheusMetrics(registry))
    gates.decide("\ud800")
    assert b'gate="_other"' in generate_latest(registry)


def test_an_observer_that_comes_later_hears_the_rules_in_force() -> None:
    registry = CollectorRegistry()
    gates = Gates.from_rules({"g": entry()})
    gates.observe(PrometheusMetrics(registry))
    assert registry.get_sample_value("rampgate_rules_generation", {"gate": "g"}) == 1795600000


class Curious(Observer):
    """An observer during whose first word of rules newer ones come."""

    def __init__(self, source: MemorySource) -> None:
        self.heard: list[int] = []
        self._source = source

    def rules_changed(self, gates: Mapping[str, Loaded]) -> None:
        self.heard.append(gates["g"].generation)
        if len(self.heard) == 1:
            self._source.replace({"g": entry(generation=1795600001)})


def test_rules_that_come_while_an_observer_is_added_reach_it(measured: Measured) -> None:
    curious = Curious(measured.source)
    measured.gates.observe(curious)
    assert curious.heard == [1795600000, 1795600001]


class Broken:
    """An observer with nothing but faults."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("sink is broken")


def test_a_broken_observer_harms_neither_the_request_nor_its_neighbour(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    gates = Gates.from_rules({"g": entry(**ARM_ONLY)}, metrics=Broken())
    gates.observe(PrometheusMetrics(registry))
    for _ in range(3):
        with gates.measure("g", {"userId": "u"}) as decision:
            assert decision.variant == "treatment"
    assert registry.get_sample_value("rampgate_requests_total", {"gate": "g", "variant": "treatment", "outcome": "ok"}) == 3
    assert len([record for record in caplog.records if "sink is broken" in record.getMessage()]) == 1


class Forgetful(Observer):
    """A sink of the application's that does not always remember all that it dropped."""

    count = 5

    def dropped(self) -> Mapping[str, int]:
        return {"warehouse": self.count}


def test_a_sink_that_forgets_what_it_dropped_breaks_no_scrape(measured: Measured) -> None:
    measured.gates.observe(forgetful := Forgetful())
    for forgetful.count in (5, 0, 6):
        generate_latest(measured.registry)
    assert measured("rampgate_dropped_exposures_total", sink="warehouse") == 6


def test_threads_agree_on_who_was_first(measured: Measured) -> None:
    def evaluate() -> None:
        for number in range(500):
            measured.gates.decide("g", {"userId": f"u{number}"})

    threads = [threading.Thread(target=evaluate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert measured.first("exposures", "treatment") == 500
    assert measured("rampgate_exposures_total", gate="g", variant="treatment", reason="ENROLLED") == 2_000


def test_no_evaluation_waits_for_a_scrape(measured: Measured) -> None:
    metrics, done = measured.gates._in_force.audience.observers[0], threading.Event()
    assert isinstance(metrics, PrometheusMetrics)

    def evaluate() -> None:
        measured.gates.decide("g", {"userId": "new"})
        done.set()

    with metrics._reading:  # as long as a scrape takes
        thread = threading.Thread(target=evaluate)
        thread.start()
        assert done.wait(20)
    thread.join()
    assert measured.first("exposures", "treatment") == 1
