"""The ConfigMap with the rules on its bad days: full, deleted, taken by somebody else. What cannot be served is not claimed to be."""

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl
from tests.harddays.day import HELD, Recovery, hard_day, holds, is_told, percents

ROOM = 900 * 1024
QA = [f"qa-{number:050}" for number in range(60)]  # far more than a killed neighbour leaves
WITH_OVERRIDES = {**HELD, "overrides": [{"variant": "treatment", "units": QA}]}


@hard_day(
    fault="the ConfigMap almost full",
    expected="a gate that does not fit is not ramped and says why; its neighbours go on, and a kill always fits",
)
def test_a_config_map_that_is_full_stops_who_does_not_fit_and_nobody_else(
    team: Team, shop: Exporter, recovery: Recovery, kubectl: Kubectl
) -> None:
    team.apply("neighbour", changes=HELD)
    team.wait_for_step(10, "neighbour")
    used = sum(len(key) + len(value) for key, value in (team.rules() or {}).items())
    team.patch_rules({"ballast": "x" * (ROOM - used - 500)})
    team.wait_for("neighbour", percent=50)
    wait_until(lambda: team.exposure("neighbour") == 50, "the neighbour goes on")
    team.apply(changes=WITH_OVERRIDES)
    team.wait_for(waitingFor="Rules", percent=0)
    is_told(kubectl, team, "ConfigMapFull", "would pass 921600 bytes: the entry stays as it was", "Use another configMapName")
    team.patch({"killed": True}, "neighbour")
    wait_until(lambda: (team.entry("neighbour") or {}).get("serve") == "KILLED", "a kill fits")
    assert team.entry() is None
    assert team.status()["percent"] == 0
    team.patch_rules({"ballast": None})
    with recovery:
        wait_until(lambda: team.exposure() >= 10, "it is served")
    team.wait_for(percent=50)
    assert percents(team) == [10, 50]


@hard_day(
    fault="the ConfigMap deleted in the middle of a ramp",
    expected="it comes back with all its gates in one write, at the percentage that was served, and no step is skipped",
)
def test_a_config_map_that_is_deleted_comes_back_with_all_its_gates_and_raises_none(team: Team, shop: Exporter, recovery: Recovery) -> None:
    for name in ("one", "two"):
        team.apply(name, changes={"ramp": {"steps": [{"percent": 10, "hold": "3s"}, {"percent": 50, "hold": "1h"}]}})
    for name in ("one", "two"):
        wait_until(lambda name=name: team.exposure(name) >= 10, "10 % is served")
    team.delete_rules()
    with recovery:
        wait_until(lambda: team.rules() is not None, "it is back")
    assert {"one.json", "two.json"} <= (team.rules() or {}).keys()
    assert team.exposure("one") in {10, 50}
    for name in ("one", "two"):
        team.wait_for(name, percent=50)
        assert percents(team, name) == [10, 50]


@hard_day(
    fault="the ConfigMap replaced by a foreign one under the same name",
    expected="it is not touched, no ramp goes on, and the condition says whose it is; ramps go on when it is gone",
)
def test_a_foreign_config_map_in_the_place_of_ours_is_left_alone_and_no_ramp_goes_on(
    team: Team, shop: Exporter, operator: Operator, recovery: Recovery, kubectl: Kubectl
) -> None:
    team.apply(changes={"ramp": {"steps": [{"percent": 10, "hold": "1s"}, {"percent": 50, "hold": "1h", "approval": True}]}})
    team.wait_for(percent=10, waitingFor="Approval")
    operator.kill()
    team.delete_rules()
    team.create_config_map({"mine": "yes"})
    operator.start()
    team.wait_for(waitingFor="Rules", percent=10)
    is_told(kubectl, team, "ForeignConfigMap", "exists and is not Rampgate's", "put the key format back; if not, delete it")
    team.patch({"approved": {"attempt": 1, "upTo": 50}})
    holds(lambda: team.rules() == {"mine": "yes"} and team.status()["percent"] == 10, "nothing moves", seconds=4.0)
    team.delete_rules()
    with recovery:
        wait_until(lambda: team.exposure() >= 10, "it is served again")
    team.wait_for(percent=50)
    assert percents(team) == [10, 50]
