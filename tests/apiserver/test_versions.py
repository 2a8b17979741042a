"""Accepted specs, kept on the real API server: a restart with a spec that cannot be run changes neither what is served nor guarded."""

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Operator, Team, wait_until
from tests.conftest import Kubectl

BROKEN = {"guardrails": [{"name": "errors", "query": "sum(rate(", "max": 1}]}


def test_after_a_restart_the_last_accepted_spec_is_served_and_guarded_while_a_newer_one_cannot_be_run(
    team: Team, shop: Exporter, operator: Operator
) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    operator.stop()
    team.patch(BROKEN)
    operator.start()
    team.wait_for(waitingFor="Invalid", percent=50)
    team.delete_rules()
    wait_until(lambda: team.exposure() == 50, "the accepted spec is rendered again")
    shop.set("shop_errors", 0.9)
    status = team.wait_for(phase="RolledBack")
    assert status["latch"]["guardrail"] == "errors"
    wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "pods are told")


def test_a_status_that_was_lost_with_a_spec_that_cannot_be_run_is_rebuilt_and_guarded(
    team: Team, shop: Exporter, operator: Operator
) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    operator.kill()
    team.patch(BROKEN)
    team.patch_status(None)
    operator.start()
    team.wait_for(waitingFor="Invalid", percent=50, step=2)
    shop.set("shop_errors", 0.9)
    team.wait_for(phase="RolledBack")


def test_a_person_sees_what_ran_when(team: Team, shop: Exporter, kubectl: Kubectl) -> None:
    for attempt in range(1, 13):
        team.apply(changes={"attempt": attempt, "paused": True})
        team.wait_for(attempt=attempt, observedGeneration=attempt)
    team.apply(changes={"attempt": 12, "killed": True, "owner": "others"})
    team.wait_for(phase="Killed")
    printed = kubectl("get", "controllerrevisions", "-n", team.namespace, "--sort-by=.revision", "--no-headers").stdout
    rows = [line.split() for line in printed.splitlines()]
    assert [row[2] for row in rows] == [str(number) for number in range(3, 13)]
    assert {row[1] for row in rows} == {"experiment.rampgate.dev/new-checkout"}
    kept = kubectl("get", "controllerrevision", rows[-1][0], "-n", team.namespace, "-o", "jsonpath={.data.attempt} {.data.owner}").stdout
    assert kept == "12 payments"
    [label] = kubectl(
        "get", "controllerrevision", rows[-1][0], "-n", team.namespace, "-o", "jsonpath={.metadata.labels['rampgate\\.dev/spec']}"
    ).stdout.split()
    assert label == team.status()["specDigest"]


def test_a_spec_that_comes_back_is_the_newest_version_again(team: Team, shop: Exporter, kubectl: Kubectl) -> None:
    for generation, owner in enumerate(("payments", "others", "payments"), 1):
        team.apply(changes={"owner": owner, "paused": True})
        team.wait_for(observedGeneration=generation)
    printed = kubectl("get", "controllerrevisions", "-n", team.namespace, "--sort-by=.revision", "-o", "jsonpath={.items[*].data.owner}")
    assert printed.stdout.split() == ["payments", "others", "payments"]
