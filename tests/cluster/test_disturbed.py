"""What happens to a cluster on any day: the operator is rolled, the kubelet restarts, pods end and come."""

import pytest

from tools.pods.place import until
from tools.pods.release import NAMESPACE, OPERATOR, Release
from tools.pods.shop import Shop

pytestmark = pytest.mark.timeout(400)
LONG = {"steps": [{"percent": 50, "hold": "10m"}, {"percent": 100, "hold": "10m"}], "confirm": {"pods": "100%", "timeout": "2m"}}
SOON = 20
"""Seconds in which pods that are told obey for sure; by themselves, kubelets refresh a mount after 33 to 72."""
STEP = ("phase", "attempt", "step", "percent", "stepStartedAt")


def settled(shop: Shop) -> dict[str, object]:
    """Ramp to 50 %, and give what nothing of this day may change."""
    shop.apply(ramp=LONG)
    shop.wait_for(percent=50, waitingFor="Hold")
    return place_of(shop)


def place_of(shop: Shop) -> dict[str, object]:
    status = shop.status()
    return {**{field: status[field] for field in STEP}, "generation": status["rules"]["generation"]}


def test_a_rolling_update_of_the_operator_in_the_middle_of_a_step_changes_nothing_of_the_ramp(release: Release, shop: Shop) -> None:
    before, leader = settled(shop), release.leader()
    release.place.kubectl("rollout", "restart", OPERATOR, f"--namespace={NAMESPACE}")
    release.place.kubectl("rollout", "status", OPERATOR, f"--namespace={NAMESPACE}", "--timeout=120s", timeout=130)
    until(lambda: release.leader() not in {"", leader}, "another replica leads")
    shop.patch(paused=True)
    shop.wait_for(waitingFor="Paused")
    assert place_of(shop) == before


def test_the_leader_that_is_killed_is_succeeded_and_a_kill_meanwhile_is_carried_out(release: Release, shop: Shop) -> None:
    settled(shop)
    leader = release.leader()
    release.place.kubectl("delete", "pod", leader, f"--namespace={NAMESPACE}", "--grace-period=0", "--force")
    shop.patch(killed=True)
    until(lambda: release.leader() not in {"", leader}, "another replica leads", seconds=60)
    until(lambda: shop.reasons() == {"KILLED"}, "every pod has everybody on control", seconds=SOON)


def test_pods_that_come_serve_what_the_others_serve(shop: Shop) -> None:
    settled(shop)
    known = shop.decisions()
    gone = next(iter(known))
    shop.kubectl("delete", "pod", gone, "--grace-period=1")
    shop.kubectl("rollout", "status", "deployment/shop", "--timeout=120s", timeout=130)
    until(lambda: len(shop.pods()) == 3, "three pods again")
    now = shop.decisions()
    assert gone not in now
    assert {frozenset(decision.items()) for decision in now.values()} == {frozenset(decision.items()) for decision in known.values()}


def test_a_container_whose_process_dies_serves_the_rules_again_without_the_operator(release: Release, shop: Shop) -> None:
    settled(shop)
    [pod, *_] = shop.pods()
    release.place.kubectl("scale", OPERATOR, f"--namespace={NAMESPACE}", "--replicas=0")
    try:
        shop.kubectl("exec", pod, "--", "python", "-c", "import os; os.kill(1, 15)")
        state = "jsonpath={.status.containerStatuses[0].restartCount}{.status.containerStatuses[0].ready}"
        until(lambda: shop.kubectl("get", "pod", pod, "-o", state) == "1true", "the container runs again")
        assert {decision["generation"] for decision in shop.decisions().values()} == {shop.status()["rules"]["generation"]}
    finally:
        release.place.kubectl("scale", OPERATOR, f"--namespace={NAMESPACE}", "--replicas=2")
        release.place.kubectl("rollout", "status", OPERATOR, f"--namespace={NAMESPACE}", "--timeout=120s", timeout=130)


def test_a_restart_of_the_kubelet_keeps_pods_and_what_they_serve_and_a_kill_is_heard_after_it(release: Release, shop: Shop) -> None:
    if release.place.node is None:
        pytest.skip("the kubelet of a cluster that was there before is not ours to restart")
    settled(shop)
    known = shop.decisions()
    release.place.node.restart_kubelet()
    assert shop.decisions() == known
    shop.patch(killed=True)
    until(lambda: shop.reasons() == {"KILLED"}, "every pod has everybody on control", seconds=SOON)
