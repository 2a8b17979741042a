"""After a rollback or a kill nothing raises exposure but a higher attempt, which begins at 0 %: each temptation a test, on real parts."""

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import EXPERIMENT, Operator, Team, stays, wait_until
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

SECONDS = 1.5  # a look, and ten times what a wrong step would need
HOLD = 2.0
APPROVAL = {"ramp": {"steps": [{"percent": 10, "hold": f"{HOLD:g}s"}, {"percent": 100, "hold": "1h", "approval": True}]}}
APPROVED = {"approved": {"attempt": 1, "upTo": 100}}
"""A step that waits for consent, which is given once something else holds it: however slow a machine is, it does not step before."""
FAST = {"ramp": {"steps": [{"percent": 50, "hold": "300ms"}, {"percent": 100, "hold": "1h"}]}}
Tempt = Callable[[Team, Operator, str], None]


def restart(team: Team, operator: Operator, name: str) -> None:
    operator.kill()
    operator.start()


def wipe_status(team: Team, operator: Operator, name: str) -> None:
    team.patch_status(None, name)


def wipe_status_while_down(team: Team, operator: Operator, name: str) -> None:
    operator.kill()
    team.patch_status(None, name)
    operator.start()


def create_again(team: Team, operator: Operator, name: str) -> None:
    team.delete(name)
    team.apply(name, changes=FAST)


def create_again_while_down(team: Team, operator: Operator, name: str) -> None:
    operator.kill()
    create_again(team, operator, name)
    operator.start()


def delete_rules(team: Team, operator: Operator, name: str) -> None:
    team.delete_rules()
    wait_until(lambda: team.entry(name) is not None, "the ConfigMap is back with its gate")


TEMPTATIONS: dict[str, Tempt] = {
    "another owner": lambda team, _, name: team.patch({"owner": "somebody else"}, name),
    "another guardrail": lambda team, _, name: team.patch({"guardrails": [{**EXPERIMENT["spec"]["guardrails"][0], "max": 100}]}, name),
    "no guardrail": lambda team, _, name: team.patch({"guardrails": None}, name),
    "other steps": lambda team, _, name: team.patch({"ramp": {"steps": [{"percent": 100, "hold": "0s"}]}}, name),
    "the same file again": lambda team, _, name: team.apply(name, changes=FAST),
    "killed taken away": lambda team, _, name: team.patch({"killed": None}, name),
    "killed set to false": lambda team, _, name: team.patch({"killed": False}, name),
    "the same attempt": lambda team, _, name: team.patch({"attempt": 2}, name),
    "a lower attempt": lambda team, _, name: team.patch({"attempt": 1}, name),
    "ship of the ended attempt": lambda team, _, name: team.patch({"ship": {"attempt": 2, "variant": "treatment"}}, name),
    "the operator killed and started": restart,
    "the ConfigMap deleted": delete_rules,
    "the entry edited": lambda team, _, name: team.patch_rules({f"{name}.json": "{}"}),
    "the status wiped": wipe_status,
    "the status wiped while the operator is down": wipe_status_while_down,
    "deleted and created again": create_again,
    "deleted and created again while the operator is down": create_again_while_down,
}


@pytest.fixture(scope="module")
def ended(
    cluster: Cluster, prometheus: Prometheus, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Team, Operator]]:
    """One namespace with a rolled-back and a killed Experiment for every temptation, all of attempt 2, and everything healthy again."""
    namespace = f"latched-{secrets.token_hex(3)}"  # a process may come back to this file
    kubectl("create", "namespace", namespace)
    team = Team(cluster, namespace)
    log = tmp_path_factory.mktemp("latched") / "operator.log"
    with Operator(cluster, prometheus, namespace, log=log) as operator, Exporter(prometheus, job=namespace, namespace=namespace) as shop:
        shop.set("shop_errors", 0.0)
        rolled_back, killed = ([f"{ending}-{index}" for index in range(len(TEMPTATIONS))] for ending in ("rolled-back", "killed"))
        for name in (*rolled_back, *killed):
            team.apply(name, changes=FAST | {"attempt": 2})
        for name in (*rolled_back, *killed):
            team.wait_for(name, percent=100)
        for name in killed:
            team.patch({"killed": True}, name)
        for name in killed:
            team.wait_for(name, phase="Killed", percent=0)
        shop.set("shop_errors", 0.9)
        for name in rolled_back:
            team.wait_for(name, phase="RolledBack", percent=0)
        shop.set("shop_errors", 0.0)
        yield team, operator


@pytest.mark.parametrize("temptation", TEMPTATIONS)
def test_neither_a_rollback_nor_a_kill_is_undone_by(temptation: str, ended: tuple[Team, Operator]) -> None:
    team, operator = ended
    index = list(TEMPTATIONS).index(temptation)
    rolled_back, killed = f"rolled-back-{index}", f"killed-{index}"
    wait_until(lambda: team.exposure(rolled_back) == team.exposure(killed) == 0, "both entries say 0 %")

    for name in (rolled_back, killed):
        TEMPTATIONS[temptation](team, operator, name)

    stays(lambda: team.exposure(rolled_back) == 0 and team.exposure(killed) == 0, "exposure is 0", seconds=SECONDS)
    team.wait_for(rolled_back, phase="RolledBack", percent=0)
    team.wait_for(killed, phase="Killed", percent=0)


@pytest.mark.parametrize("ending", ["rollback", "kill"])
def test_a_higher_attempt_begins_at_0_percent(ending: str, team: Team, shop: Exporter) -> None:
    team.apply(changes=FAST)
    team.wait_for(percent=100)
    if ending == "kill":
        team.patch({"killed": True})
    else:
        shop.set("shop_errors", 0.9)
    wait_until(lambda: team.status()["phase"] in {"Killed", "RolledBack"}, "the attempt has ended")
    shop.set("shop_errors", 0.0)
    team.apply(changes=FAST | {"attempt": 2})
    team.patch({"killed": None})
    status = team.wait_for(attempt=2, percent=100)
    begun = next(index for index, row in enumerate(status["history"]) if row["reason"] == "AttemptStarted")
    assert [(row["to"], row["percent"]) for row in status["history"][begun:]] == [("Pending", 0), ("Ramping", 50), ("Ramping", 100)]
    assert "latch" not in status


def test_a_higher_attempt_waits_while_killed_is_set(team: Team, shop: Exporter) -> None:
    team.apply(changes=FAST)
    team.wait_for(percent=100)
    team.patch({"killed": True})
    team.wait_for(phase="Killed")
    wait_until(lambda: team.exposure() == 0, "pods are told")
    team.patch({"attempt": 2})
    stays(lambda: team.exposure() == 0 and team.status()["phase"] == "Killed", "it stays killed", seconds=SECONDS)
    team.patch({"killed": None})
    team.wait_for(attempt=2, percent=100)


def test_an_attempt_raised_too_little_is_told_the_number_it_needs(team: Team, shop: Exporter) -> None:
    team.apply(changes=FAST | {"attempt": 5})
    team.wait_for(percent=100)
    team.patch({"killed": True})
    team.wait_for(phase="Killed")
    team.patch({"killed": None, "attempt": 3})

    def told() -> bool:
        valid = next(condition for condition in team.status()["conditions"] if condition["type"] == "Valid")
        return valid["reason"] == "AttemptTooLow" and "Set it to 6" in valid["message"]

    wait_until(told, "the condition names the number", team.status)
    assert team.exposure() == 0


def test_a_foreign_config_map_stops_the_ramp_and_is_left_alone(team: Team, shop: Exporter) -> None:
    team.create_config_map({"mine": "yes"})
    team.apply(changes=FAST)
    status = team.wait_for(phase="Pending", waitingFor="Rules")
    rendered = next(condition for condition in status["conditions"] if condition["type"] == "RulesRendered")
    assert (rendered["status"], rendered["reason"]) == ("False", "ForeignConfigMap")
    stays(lambda: team.status()["percent"] == 0 and team.rules() == {"mine": "yes"}, "nothing moves", seconds=SECONDS)
    team.delete_rules()
    team.wait_for(percent=100)


def test_a_config_map_replaced_by_a_foreign_one_lets_no_ramp_go_on_unseen(team: Team, shop: Exporter) -> None:
    team.apply(changes=APPROVAL)
    team.wait_for(percent=10, waitingFor="Approval")
    team.patch_rules({"format": "something else"})
    team.wait_for(waitingFor="Rules")
    team.patch(APPROVED)
    stays(lambda: team.status()["percent"] == 10, "it stays at 10 %", seconds=HOLD + SECONDS)


def test_break_glass_holds_the_ramp_and_its_end_starts_the_clock_again(team: Team, shop: Exporter) -> None:
    team.apply(changes=APPROVAL)
    team.wait_for(percent=10, waitingFor="Approval")
    team.patch_rules({"kill": "other-gate, new-checkout"})
    team.wait_for(waitingFor="BreakGlass")
    team.patch(APPROVED)
    stays(lambda: team.status()["percent"] == 10, "it stays at 10 %", seconds=HOLD + SECONDS)
    ended = time.time()
    team.patch_rules({"kill": None})
    ten, hundred = team.wait_for(percent=100)["history"]
    assert ten["percent"] == 10
    assert datetime.fromisoformat(hundred["at"]).timestamp() - ended >= HOLD


def test_a_unit_swapped_by_raising_and_lowering_the_attempt_while_nobody_watched_is_refused(
    team: Team, operator: Operator, shop: Exporter
) -> None:
    team.apply(changes=FAST)
    team.wait_for(percent=100)
    operator.kill()
    team.patch({"attempt": 2, "unit": "sessionId"})
    team.patch({"attempt": 1})
    operator.start()
    team.wait_for(waitingFor="Invalid", percent=100)
    assert (team.entry() or {})["unit"] == "targetingKey"
