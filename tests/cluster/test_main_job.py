"""What Rampgate is for, with real pods: a ramp that pods follow, a breach that puts everybody back, and what a person can say."""

import pytest

from tools.pods.place import until
from tools.pods.shop import Shop

pytestmark = pytest.mark.timeout(400)
SOON = 20
"""Seconds in which pods that are told obey for sure; by themselves, kubelets refresh a mount after 33 to 72."""
USERS = [f"user-{number}" for number in range(20)]
HALF = {"steps": [{"percent": 50, "hold": "10m"}], "confirm": {"pods": "100%", "timeout": "2m"}}
"""Confirmed, so that the pods are told of the step at once."""


def reasons(shop: Shop) -> set[str]:
    return {reason for user in USERS for reason in shop.reasons(user)}


def test_a_ramp_goes_up_and_a_broken_treatment_is_rolled_back_in_every_pod(shop: Shop) -> None:
    shop.apply(ramp={**HALF, "steps": [{"percent": 10, "hold": "5s"}, *HALF["steps"]]})
    shop.wait_for(percent=50)
    until(lambda: reasons(shop) == {"ENROLLED", "NOT_ENROLLED"}, "the pods know of the ramp")
    shop.break_treatment(0.5)
    status = shop.wait_for(phase="RolledBack")
    assert status["latch"]["guardrail"] == "errors"
    until(lambda: reasons(shop) == {"ROLLED_BACK"}, "every pod has everybody on control")


def test_a_kill_reaches_every_pod_and_only_a_higher_attempt_begins_again(shop: Shop) -> None:
    shop.apply(ramp=HALF)
    shop.wait_for(percent=50)
    shop.patch(killed=True)
    until(lambda: reasons(shop) == {"KILLED"}, "every pod has everybody on control", seconds=SOON)
    shop.patch(killed=None)
    shop.apply(ramp=HALF)
    assert shop.wait_for(observedGeneration=shop.experiment()["metadata"]["generation"])["phase"] == "Killed"
    shop.patch(attempt=2)
    assert shop.wait_for(percent=50)["attempt"] == 2
    until(lambda: reasons(shop) == {"ENROLLED", "NOT_ENROLLED"}, "the pods know of the new attempt")


def test_a_paused_ramp_stays_where_it_is_and_a_shipped_one_serves_everybody(shop: Shop) -> None:
    shop.apply(ramp={**HALF, "steps": [{"percent": 50, "hold": "5s"}, {"percent": 100, "hold": "10m"}]}, paused=True, guardrails=None)
    shop.wait_for(waitingFor="Paused", step=-1)
    shop.patch(paused=False)
    shop.wait_for(percent=100)
    shop.patch(ship={"attempt": 1, "variant": "treatment"})
    shop.wait_for(phase="Shipped")
    until(lambda: reasons(shop) == {"SHIPPED"}, "every pod serves the treatment to everybody")
    assert all(decision["value"] is True for decision in shop.decisions().values())


def test_break_glass_reaches_every_pod_without_the_operators_word(shop: Shop) -> None:
    shop.apply(ramp=HALF)
    shop.wait_for(percent=50)
    shop.kubectl("patch", "configmap", "feature-gates", "--type=merge", '--patch={"data":{"kill":"*"}}')
    until(lambda: reasons(shop) == {"KILLED"}, "every pod has everybody on control", seconds=SOON)
    assert shop.wait_for(waitingFor="BreakGlass")["percent"] == 50
