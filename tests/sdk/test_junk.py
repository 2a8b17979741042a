"""What somebody wrote by hand for one gate costs no other gate anything: neither its answer, nor its metrics, nor the log."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from rampgate import Gates, Reason
from rampgate.errors import UnusableEntryError
from rampgate.exposure import Observer
from rampgate.integrations.ofrep import ofrep_app
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.rules import parse_entry, render_entry
from tests.sdk.entries import entry
from tests.sdk.ofrep_server import FLAGS

T = TypeVar("T")
CONTEXT = {"userId": "u"}
GOOD = entry(percent=100)


def nested(levels: int) -> str:
    """The entry of gate `deep`, which serves a list within so many lists."""
    line = render_entry(entry(gate="deep", percent=0, control={"name": "control", "value": "here"}))
    return line.replace('"here"', "[" * levels + "]" * levels)


def deepest() -> str:
    """One that nests about as deep as can be read, where few calls are under way."""
    for levels in range(sys.getrecursionlimit(), 0, -10):
        try:
            parse_entry(nested(levels))
        except UnusableEntryError:
            continue
        return nested(levels - 30)
    raise AssertionError


def within(calls: int, ask: Callable[[], T]) -> T:
    """Ask from within so many calls, as a framework does."""
    return within(calls - 1, ask) if calls else ask()


@pytest.fixture
def gates() -> Gates:
    return Gates.from_rules({"deep": deepest(), "g": GOOD})


def measured(gates: Gates) -> Reason:
    with gates.measure("deep", CONTEXT) as decision:
        return decision.reason


@pytest.mark.parametrize(
    "ask",
    [
        lambda gates: gates.decide("deep", CONTEXT, default=7).reason,
        lambda gates: gates.peek("deep", CONTEXT, default=7).reason,
        lambda gates: gates.value("deep", CONTEXT, default=7) and Reason.ERROR,
        measured,
    ],
    ids=["decide", "peek", "value", "measure"],
)
def test_what_can_be_read_only_where_few_calls_are_under_way_costs_no_request(ask: Callable[[Gates], Reason], gates: Gates) -> None:
    assert within(100, lambda: ask(gates)) in Reason
    assert within(100, lambda: gates.decide("g", CONTEXT).reason) is Reason.ENROLLED


def test_who_observes_from_within_many_calls_hears_of_all_other_gates(gates: Gates) -> None:
    for gate in ("deep", "g"):
        gates.decide(gate, CONTEXT)
    registry = CollectorRegistry()
    within(100, lambda: gates.observe(PrometheusMetrics(registry)))
    gates.decide("g", CONTEXT)
    arms = [registry.get_sample_value("rampgate_first_exposures_total", {"gate": "g", "variant": arm}) for arm in ("control", "treatment")]
    assert sorted(arms, key=str) == [0, 1]


@pytest.mark.parametrize("path", ["/deep", ""])
def test_a_value_that_nests_too_deep_to_be_written_costs_no_answer(path: str, gates: Gates) -> None:
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps({"context": CONTEXT}).encode()}

    async def send(message: Any) -> None:
        said.append(message)

    for ask in (gates.decide, gates.peek):  # so that it has been read by now
        ask("deep", CONTEXT)
    scope = {"type": "http", "method": "POST", "path": FLAGS + path, "headers": []}
    within(100, lambda: asyncio.run(ofrep_app(gates)(scope, receive, send)))
    answer = json.loads(said[1]["body"])
    assert said[0]["status"] in (200, 400)
    assert path or [flag["key"] for flag in answer["flags"]] == ["deep", "g"]


def test_a_generation_that_no_float_holds_keeps_no_other_gate_from_its_series() -> None:
    registry = CollectorRegistry()
    metrics: Observer = PrometheusMetrics(registry)
    Gates.from_rules({"big": entry(gate="big", generation=10**400), "g": GOOD}, metrics=metrics)
    assert registry.get_sample_value("rampgate_rules_generation", {"gate": "g"}) == GOOD["generation"]
    assert registry.get_sample_value("rampgate_first_exposures_total", {"gate": "g", "variant": "treatment"}) == 0


def test_a_file_whose_name_cannot_be_written_breaks_no_scrape(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("rampgate.dev/1")
    (tmp_path / "g.json").write_text(render_entry(GOOD))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json")).write_text("{}")
    registry = CollectorRegistry()
    metrics: Observer = PrometheusMetrics(registry)
    with Gates.from_directory(tmp_path, wait=20, metrics=metrics) as gates:
        assert gates.names() == {"g"}
        assert b'rampgate_rules_generation{gate="g"}' in generate_latest(registry)


@pytest.mark.parametrize("name", ["x" * 1_000_000, "\x1b[2J\n"], ids=["a mebibyte", "control characters"])
def test_what_is_wrong_with_an_entry_is_a_line_in_the_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    variants = [*GOOD["variants"], {"name": name, "value": True, "weight": 1}]
    Gates.from_rules({"g": entry(variants=variants, ship="nobody's"), "h": entry(gate=name)})
    (message,) = caplog.messages
    assert len(message) < 1000
    assert message.isprintable()
    assert all(gate in message for gate in ("gate g: ", "gate h: "))
