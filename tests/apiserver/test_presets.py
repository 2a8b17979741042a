"""Guardrails that need no PromQL, with a real Prometheus that scrapes what the SDK counts: each form finds its kind of harm and says it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Team, meanwhile, wait_until

GATE = "new-checkout"
TICK, PER_TICK, UNITS = 0.05, 20, 2000
RAMP = {"steps": [{"percent": 1, "hold": "2s"}, {"percent": 10, "hold": "2s"}, {"percent": 50, "hold": "1h"}]}
ARMS = ("control", "baseline", "treatment")
BOUNDS = (0.1, 0.25, 0.5, 1.0)
DURATIONS = "rampgate_request_duration_seconds"


class Requests:
    """A process that serves every arm: of treatment's requests so many in a hundred fail, and so many take half a second."""

    def __init__(self, team: Team, shop: Exporter, *, failing: float, slow: float) -> None:
        self._team, self._shop, self._shares = team, shop, {"treatment": (failing, slow)}
        self.served, self._exposed = dict.fromkeys(ARMS, 0), dict.fromkeys(ARMS, 0.0)

    def serve(self) -> None:
        entry, percent = self._team.entry() or {}, self._team.exposure()
        with self._shop.at_once():
            self._count(entry.get("generation", 0), percent)

    def _count(self, generation: int, percent: float) -> None:
        drawn = {"control": percent / 200, "treatment": percent / 200, "baseline": 1 - percent / 100}
        self._shop.set("rampgate_rules_generation", generation, gate=GATE)
        for arm in ARMS:
            self._exposed[arm] += UNITS * drawn[arm]
            self.served[arm] += PER_TICK
            served, (failing, slow) = self.served[arm], self._shares.get(arm, (0.02, 0.02))
            failed, late = int(served * failing), int(served * slow)
            self._shop.set("rampgate_first_exposures_total", self._exposed[arm], gate=GATE, variant=arm)
            self._shop.set("rampgate_first_errors_total", self._exposed[arm] * failing, gate=GATE, variant=arm)
            self._shop.set("rampgate_requests_total", failed, gate=GATE, variant=arm, outcome="error")
            self._shop.set("rampgate_requests_total", served - failed, gate=GATE, variant=arm, outcome="ok")
            self._shop.set(f"{DURATIONS}_count", served, gate=GATE, variant=arm)
            for bound in (*BOUNDS, float("inf")):
                within = served if bound >= 0.5 else served - late if bound >= 0.1 else 0
                self._shop.set(f"{DURATIONS}_bucket", within, gate=GATE, variant=arm, le="+Inf" if bound == float("inf") else str(bound))


@contextmanager
def requests(team: Team, shop: Exporter, *, failing: float = 0.02, slow: float = 0.02) -> Iterator[Requests]:
    """Serve in the background."""
    serving = Requests(team, shop, failing=failing, slow=slow)
    with meanwhile(serving.serve, every=TICK):
        yield serving


FORMS: list[tuple[str, dict[str, Any], dict[str, float], str]] = [
    ("units that fail", {"errorRate": {}, "maxIncrease": "10%"}, {"failing": 0.2}, "units failed against"),
    ("requests that fail", {"errorRate": {"per": "Request"}, "maxIncrease": "10%"}, {"failing": 0.2}, "requests failed against"),
    (
        "more than the limit fail",
        {"errorRate": {"per": "Request"}, "max": 0.1},
        {"failing": 0.2},
        "requests failed against a limit of 10 %",
    ),
    ("slow requests", {"slowerThan": "250ms", "maxIncrease": "10%"}, {"slow": 0.2}, "requests slower than 250ms against"),
    ("latency", {"latency": {"buckets": ["100ms", "250ms", "1s"]}, "maxIncrease": "10%"}, {"slow": 0.2}, "on average of 3 bounds e = "),
]


@pytest.mark.parametrize(("form", "harm", "sentence"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
def test_each_form_finds_its_harm_and_says_what_it_found(
    team: Team, shop: Exporter, form: dict[str, Any], harm: dict[str, float], sentence: str
) -> None:
    with requests(team, shop, **harm):
        team.apply(changes={"guardrails": [{"name": "guard", **form}], "ramp": RAMP})
        status = team.wait_for(phase="RolledBack")
    (guardrail,) = status["guardrails"]
    assert guardrail["verdict"] == "Breach"
    assert sentence in guardrail["message"]
    assert guardrail["message"] in status["latch"]["message"]


def test_what_is_within_its_limits_goes_up_and_says_what_is_missing_to_a_decision(team: Team, shop: Exporter) -> None:
    guardrails = [{"name": f"guard-{number}", **form} for number, (_, form, _, _) in enumerate(FORMS)]
    with requests(team, shop):
        team.apply(changes={"guardrails": guardrails, "ramp": RAMP})
        status = team.wait_for(percent=50)
    assert {guardrail["verdict"] for guardrail in status["guardrails"]} <= {"Inconclusive", "Pass"}
    relative = status["guardrails"][1]
    assert relative["interval"]["low"] < 1 < relative["interval"]["high"]
    assert relative["verdict"] == "Pass" or relative["samplesToDecision"] > 0


def test_a_bound_that_is_no_bucket_leads_to_no_step_and_names_the_nearest(team: Team, shop: Exporter) -> None:
    with requests(team, shop) as serving:
        wait_until(lambda: serving.served["control"] > 1000, "the shop has been scraped for a while")
        team.apply(changes={"guardrails": [{"name": "slow", "slowerThan": "300ms", "maxIncrease": "20%"}], "ramp": RAMP})
        wait_until(lambda: "the nearest are 0.25 s and 0.5 s" in str(team.status().get("guardrails")), "it says so", team.status)
        assert team.status()["waitingFor"] == "Metrics"
        assert team.status()["percent"] <= 1  # what nobody had counted yet was no reason not to begin
        team.patch({"guardrails": [{"name": "slow", "slowerThan": "250ms", "maxIncrease": "20%"}]})
        team.wait_for_step(10)
