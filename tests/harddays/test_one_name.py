"""One name, several lives: what an earlier Experiment of that name had reached is never given to the next one."""

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl
from tests.harddays.day import HELD, Recovery, hard_day, holds, is_told, percents

SHIP = {"ship": {"attempt": 1, "variant": "treatment"}}


@hard_day(
    fault="created, updated, deleted and created again under one name",
    expected="the new one begins at 0 % and holds each step; no SDK sees a lower generation than before",
)
def test_an_experiment_that_is_created_again_does_not_begin_where_the_old_one_was(
    team: Team, shop: Exporter, recovery: Recovery, kubectl: Kubectl
) -> None:
    team.apply(changes=HELD)
    team.patch({"owner": "others"})
    team.wait_for(percent=50)
    wait_until(lambda: team.exposure() == 50, "50 % is served")
    old = team.entry() or {}
    assert "finalizers" not in team.experiment()["metadata"]
    team.delete()
    wait_until(lambda: team.entry() is None, "its gate is gone")
    team.apply(changes={**HELD, "approved": None, "paused": True})
    status = team.wait_for(phase="Pending", percent=0, waitingFor="Paused")
    assert [row["percent"] for row in status.get("history", ())] == []
    is_told(kubectl, team, "spec.paused is set: it stays at 0 %")
    with recovery:
        team.patch({"paused": False})
        team.wait_for_step(10)
    team.wait_for(percent=50)
    assert percents(team) == [10, 50]
    wait_until(lambda: team.exposure() == 50, "50 % is served again")
    assert (team.entry() or {})["generation"] > old["generation"]


@hard_day(
    fault="deleted and created again so fast that the operator sees the new one only",
    expected="the new one is not served what the old one had reached, nor told what the old one did",
)
def test_an_experiment_that_is_created_again_while_nobody_watched_is_not_taken_for_the_old_one(
    team: Team, shop: Exporter, operator: Operator, recovery: Recovery
) -> None:
    team.apply(changes=HELD)
    team.wait_for(percent=50)
    uid = team.experiment()["metadata"]["uid"]
    wait_until(lambda: team.exposure() == 50, "50 % is served")
    operator.kill()
    team.delete()
    team.apply(changes={**HELD, "salt": "another-draw"})
    assert team.experiment()["metadata"]["uid"] != uid
    with recovery:
        operator.start()
        team.wait_for_step(10)
    team.wait_for(percent=50)
    assert [row["percent"] for row in team.status()["history"] if row["to"] == "Ramping" and row["from"] != row["to"]] == [10]


@hard_day(
    fault="a shipped Experiment pruned, and applied again",
    expected="the feature is neither turned off by the one nor ramped again from 0 % by the other",
)
def test_pruning_a_shipped_experiment_does_not_turn_the_feature_off(team: Team, shop: Exporter, recovery: Recovery) -> None:
    team.apply(changes=HELD)
    team.wait_for_step(10)
    team.patch(SHIP)
    team.wait_for(phase="Shipped")
    wait_until(lambda: (team.entry() or {}).get("ship") == "treatment", "it is shipped to pods")
    team.delete()
    holds(lambda: (team.entry() or {}).get("ship") == "treatment", "the feature stays on", seconds=1.5)
    with recovery:
        team.apply(changes={**HELD, **SHIP})
        team.wait_for(phase="Shipped", percent=100)
    holds(lambda: (team.entry() or {}).get("ship") == "treatment", "the feature stays on", seconds=1.0)


@hard_day(
    fault="a rolled-back Experiment pruned, and applied again",
    expected="it stays on control, and says which attempt is needed",
)
def test_pruning_a_rolled_back_experiment_does_not_bring_back_what_was_rolled_back(
    team: Team, shop: Exporter, recovery: Recovery, kubectl: Kubectl
) -> None:
    team.apply(changes=HELD)
    team.wait_for(percent=50)
    shop.set("shop_errors", 0.9)
    team.wait_for(phase="RolledBack")
    wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "pods are told")
    shop.set("shop_errors", 0.0)
    team.delete()
    holds(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "pods are on control", seconds=1.5)
    with recovery:
        team.apply(changes=HELD)
        team.wait_for(phase="RolledBack", percent=0)
    is_told(kubectl, team, "Attempt 1 was ended", "set spec.attempt to 2 or higher")
    holds(lambda: team.exposure() == 0, "pods are on control", seconds=1.5)
