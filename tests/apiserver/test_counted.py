"""Guardrails on counters, with a real Prometheus that scrapes a shop: a regression is rolled back with its sentence, equal arms are not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, meanwhile, stays, wait_until

GATE = "new-checkout"
COUNTED = {
    "name": "orders",
    "counters": {
        "events": 'orders_failed_total{gate="$gate",variant="$variant"}',
        "total": 'orders_total{gate="$gate",variant="$variant"}',
    },
    "maxIncrease": "5%",
}
TICK = 0.05
PER_TICK = 10
RAMP = {"steps": [{"percent": 1, "hold": "2s"}, {"percent": 10, "hold": "2s"}, {"percent": 50, "hold": "1h"}]}


class Orders:
    """A process that serves orders of every arm, of which one in `failing[arm]` fails."""

    def __init__(self, shop: Exporter, failing: Mapping[str, int], gate: str) -> None:
        self._shop, self._gate, self.failing = shop, gate, dict(failing)
        self.counts = {arm: [0, 0] for arm in failing}

    def serve(self) -> None:
        with self._shop.at_once():
            for arm, one_in in self.failing.items():
                counts = self.counts[arm]
                for _ in range(PER_TICK):
                    counts[0] += 1
                    counts[1] += counts[0] % one_in == 0
                self._shop.set("orders_total", counts[0], gate=self._gate, variant=arm)
                if counts[1]:  # until the first failure there is no such series
                    self._shop.set("orders_failed_total", counts[1], gate=self._gate, variant=arm)


@contextmanager
def orders(shop: Exporter, *, gate: str = GATE, **failing: int) -> Iterator[Orders]:
    """Serve orders in the background."""
    serving = Orders(shop, failing, gate)
    with meanwhile(serving.serve, every=TICK):
        yield serving


def test_a_regression_is_rolled_back_with_its_sentence(team: Team, shop: Exporter) -> None:
    with orders(shop, control=20, baseline=20, treatment=5):
        team.apply(changes={"guardrails": [COUNTED], "ramp": RAMP})
        status = team.wait_for(phase="RolledBack")
    (guardrail,) = status["guardrails"]
    assert status["latch"]["guardrail"] == "orders"
    assert guardrail["verdict"] == "Breach"
    assert guardrail["message"] in status["latch"]["message"]
    assert "treatment 2" in guardrail["message"]
    assert " ≥ 20, look " in guardrail["message"]
    assert guardrail["ratio"] == pytest.approx(4, rel=0.5)
    wait_until(lambda: "GuardrailBreached" in team.events(), "an Event says so", team.events)


def test_equal_arms_go_through_the_ramp(team: Team, shop: Exporter) -> None:
    with orders(shop, control=10, baseline=10, treatment=10):
        team.apply(changes={"guardrails": [COUNTED], "ramp": RAMP})
        status = team.wait_for(percent=50)
    (guardrail,) = status["guardrails"]
    assert guardrail["verdict"] == "Inconclusive"
    (evidence,) = guardrail["evidence"]
    assert evidence["treatment"] == "treatment"
    assert len(evidence["steps"]) >= 2  # one step's evidence adds to the other's


def test_counters_that_are_not_there_hold_the_second_step_and_say_so(team: Team, shop: Exporter) -> None:
    with orders(shop, control=10, baseline=10):
        team.apply(changes={"guardrails": [COUNTED], "ramp": RAMP})
        team.wait_for_step(1)
        wait_until(lambda: "total has no sample of treatment" in str(team.status()["guardrails"]), "it says so", team.status)
        stays(lambda: team.status()["percent"] == 1, "it does not step when its hold of 2 s is over", seconds=3)
        team.wait_for(waitingFor="Metrics")


def test_what_was_counted_before_a_crash_is_not_counted_again(operator: Operator, team: Team, shop: Exporter) -> None:
    with orders(shop, control=10, baseline=10, treatment=10) as served:
        team.apply(changes={"guardrails": [COUNTED], "ramp": RAMP})
        before = team.wait_for(percent=50)["guardrails"][0]["evidence"][0]
        operator.kill()
        operator.start()
        served.failing["treatment"] = 2
        status = team.wait_for(phase="RolledBack")
    evidence = status["guardrails"][0]["evidence"][0]
    assert evidence["looks"] > before["looks"]
    assert status["guardrails"][0]["samples"] <= served.counts["treatment"][0]


def test_a_counter_that_is_no_selector_is_refused_with_its_field(team: Team) -> None:
    counters = {**COUNTED["counters"], "total": 'sum(orders_total{variant="$variant"})'}  # type: ignore[dict-item]  # it is a mapping
    team.apply(changes={"guardrails": [{**COUNTED, "counters": counters}]})
    wait_until(lambda: bool(team.status().get("conditions")), "it is judged")
    valid = next(condition for condition in team.status()["conditions"] if condition["type"] == "Valid")
    assert "spec.guardrails[0].counters.total: A counter must be one selector" in valid["message"]
