"""First exposures, with a real Prometheus that scrapes pods: as drawn they change nothing, else they hold the ramp for the attempt."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, meanwhile, stays, wait_until

GATE = "new-checkout"
TICK = 0.1
UNITS = 100_000
"""Per tick."""
RAMP = {"steps": [{"percent": 10, "hold": "1s"}, {"percent": 50, "hold": "1h", "approval": True}]}


@contextmanager
def pods(team: Team, shop: Exporter, *, kept: float = 1.0, processes: int = 1, generation: int = 0) -> Iterator[None]:
    """Count units by the rules that are served, each in every process, and only a part of treatment's; `generation` is what pods tell."""
    counted = dict.fromkeys(("control", "treatment", "baseline"), 0.0)

    def serve() -> None:
        entry, percent = team.entry() or {}, team.exposure()
        seen = {"control": percent / 200, "treatment": kept * percent / 200, "baseline": 1 - percent / 100}
        with shop.at_once():
            for arm, share in seen.items():
                counted[arm] += UNITS * processes * share
                shop.set("rampgate_first_exposures_total", counted[arm], gate=GATE, variant=arm)
            shop.set("rampgate_rules_generation", generation or entry.get("generation", 0), gate=GATE)
            shop.set("rampgate_processes", processes)

    with meanwhile(serve, every=TICK):
        yield


def results(team: Team) -> dict[str, Any]:
    """The condition ResultsValid."""
    return next((each for each in team.status().get("conditions", ()) if each["type"] == "ResultsValid"), {})


def test_exposures_as_drawn_go_through_the_ramp_and_are_said_to_be_so(team: Team, shop: Exporter) -> None:
    with pods(team, shop):
        team.apply(changes={"ramp": RAMP, "approved": {"attempt": 1, "upTo": 50}})
        team.wait_for(percent=50)
        wait_until(lambda: results(team).get("status") == "True", "results are valid", team.status)
    (ratio,) = team.status()["sampleRatios"]
    assert abs(ratio["exposures"] / ratio["due"] - 1) < 0.01


def test_lost_exposures_hold_the_ramp_for_the_attempt_whatever_becomes_of_the_operator(
    operator: Operator, team: Team, shop: Exporter
) -> None:
    with pods(team, shop, kept=0.7):
        team.apply(changes={"ramp": RAMP})
        status = team.wait_for(percent=10, waitingFor="SampleRatio")
        wait_until(lambda: "SampleRatio" in team.events(), "an Event says so", team.events)  # which a killed operator may not get to
        operator.kill()
        operator.start()
        team.patch({"approved": {"attempt": 1, "upTo": 50}})
        stays(lambda: team.status()["percent"] == 10, "it holds", seconds=3)
        team.wait_for(percent=10, waitingFor="SampleRatio")  # after a restart it may wait for a fresh reading first
    assert team.status()["sampleRatios"] == status["sampleRatios"]
    assert results(team)["status"] == "False"
    assert "treatment has 3.5" in results(team)["message"]
    team.patch({"attempt": 2, "approved": {"attempt": 2, "upTo": 50}})
    with pods(team, shop):
        assert team.wait_for(attempt=2, percent=50)["waitingFor"] != "SampleRatio"


def test_a_new_counter_in_every_process_weighs_as_one(team: Team, shop: Exporter) -> None:
    with pods(team, shop, processes=4):
        team.apply(changes={"ramp": RAMP})
        wait_until(lambda: bool(team.status().get("sampleRatios")), "exposures are compared", team.status)
    (ratio,), exposures = team.status()["sampleRatios"], team.status()["exposures"]
    treatment = next(each["count"] for each in exposures["variants"] if each["variant"] == "treatment")
    assert ratio["exposures"] <= treatment / 4


def test_pods_that_run_other_rules_are_no_evidence(team: Team, shop: Exporter) -> None:
    with pods(team, shop, kept=0.1, generation=1):
        team.apply(changes={"ramp": {"steps": [{"percent": 10, "hold": "1s", "minExposures": 100_000}, {"percent": 50, "hold": "1h"}]}})
        status = team.wait_for(percent=50)
    assert "sampleRatios" not in status or not status["sampleRatios"]


def test_an_application_without_the_metrics_of_the_sdk_waits_for_nothing(team: Team, shop: Exporter) -> None:
    team.apply(changes={"ramp": {"steps": [{"percent": 10, "hold": "1s"}, {"percent": 50, "hold": "1h"}]}})
    team.wait_for(percent=50)
    assert (results(team)["status"], results(team)["reason"]) == ("Unknown", "NotCounted")
