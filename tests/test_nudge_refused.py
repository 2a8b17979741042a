"""nudge: what comes of pods and rights that are refused, of errors, and of pods that answer slowly; in memory."""

import asyncio
import logging
from datetime import timedelta
from functools import partial

import pytest

from rampgate_operator import nudge
from rampgate_operator.core.observation import NudgeRefused
from rampgate_operator.fair import Patience
from rampgate_operator.ports import ClusterError, ForbiddenError, Key
from tests.nudging import OTHERS, RULES, Desk, hasty_desk, until


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return hasty_desk(monkeypatch)


async def test_what_failed_is_tried_again_and_those_that_were_told_are_left_alone(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.add_pods(2)
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
    with caplog.at_level(logging.WARNING):
        async with desk.at_work():
            version = desk.kill()
            await until(lambda: desk.cluster.rounds() == 2)
            desk.cluster.refusals.clear()
            await until(lambda: desk.cluster.told() == {version})
    assert "not all of its pods were told: the API server answered 500" in caplog.text
    assert desk.nudges.refused(RULES) is None


async def test_an_api_server_that_wants_to_be_left_alone_is(desk: Desk) -> None:
    desk.add_pods(100)
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 429", retry_after=30)
    async with desk.at_work():
        desk.kill()
        await until(lambda: (desk.count("nudges_total", outcome="error") or 0) > 0)
        patches = len(desk.cluster.asked) - 1
        assert patches <= 2 * nudge.AT_ONCE[nudge.Urgency.NOW]
        await asyncio.sleep(0.1)  # many times the first retry
    assert len(desk.cluster.asked) == patches + 1


async def test_a_pod_that_vanished_is_no_error(desk: Desk) -> None:
    desk.add_pods(3)
    desk.cluster.open.clear()
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.under_way == 3)
        del desk.cluster.pods[Key("shop", "feature-gates-1")]
        desk.cluster.open.set()
        await until(lambda: desk.count("nudges_total", outcome="ok") == 1)
    assert desk.cluster.told() == {version}
    assert desk.count("nudge_patches_total", outcome="gone") == 1


@pytest.mark.parametrize("verb", ["list", "patch"])
async def test_a_missing_right_is_told_once_and_all_is_well_once_it_is_granted(
    desk: Desk, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk.add_pods(50)
    desk.cluster.refusals[verb] = ForbiddenError("the API server answered 403")
    with caplog.at_level(logging.WARNING):
        async with desk.at_work():
            version = desk.kill()
            await until(lambda: desk.cluster.rounds() >= 4)
            assert desk.nudges.refused(RULES) == NudgeRefused(config_map="feature-gates", verb=verb)
            assert len(desk.cluster.asked) < 4 * 20, "not every pod is tried each time"
            desk.cluster.refusals.clear()
            await until(lambda: desk.cluster.told() == {version})
            await until(lambda: desk.nudges.refused(RULES) is None)
    assert len(caplog.records) == 1
    assert await desk.queue.take() == Key("shop", "gate")
    assert (desk.count("nudges_total", outcome="forbidden") or 0) >= 3


async def test_pods_that_admission_refuses_keep_no_other_waiting(desk: Desk) -> None:
    """However many they are, and though they come first."""
    desk.add_pods(60)
    refused = [f"feature-gates-{number}" for number in range(2 * nudge.AT_ONCE[nudge.Urgency.NOW])]
    desk.cluster.denied.update(refused)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.are_told(60 - len(refused), version))
        await until(lambda: (desk.count("nudges_total", outcome="forbidden") or 0) > 2)
    assert [key.name for key, (_, told) in desk.cluster.pods.items() if not told] == refused
    assert desk.nudges.refused(RULES) is None


async def test_what_admission_refuses_of_all_pods_is_said_in_its_words_and_only_looked_for_once_kubelets_have_refreshed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk.add_pods(100)
    desk.cluster.denied.update(key.name for key in desk.cluster.pods)
    with caplog.at_level(logging.WARNING):
        async with desk.at_work():
            desk.kill()
            await until(lambda: desk.nudges.refused(RULES) is not None)
            assert len(desk.cluster.asked) == 1 + 100, "each is tried while it matters"
            refused = desk.nudges.refused(RULES)
            assert refused == NudgeRefused(config_map="feature-gates", verb="patch")
            assert refused.why == "policy says no to feature-gates-0"
            monkeypatch.setattr(nudge, "LATELY", timedelta())
            rounds = desk.cluster.rounds()
            await until(lambda: desk.cluster.rounds() > rounds + 1)
            asked, rounds = len(desk.cluster.asked), desk.cluster.rounds()
            await until(lambda: desk.cluster.rounds() == rounds + 3)
            assert len(desk.cluster.asked) - asked < 4 * 20
            assert desk.nudges.refused(RULES) is refused
            desk.cluster.denied.clear()
            await until(lambda: desk.nudges.refused(RULES) is None and "" not in desk.cluster.told())
    (line,) = caplog.messages
    assert line.endswith("may not patch pods in this namespace: policy says no to feature-gates-0")


async def test_a_pod_that_answers_slowly_keeps_no_other_from_the_next_kill_and_is_told_after_it(desk: Desk) -> None:
    desk.add_pods(20)
    slow = "feature-gates-3"
    desk.cluster.slow.add(slow)
    desk.cluster.open.clear()
    async with desk.at_work():
        first = desk.kill()
        await until(lambda: "" in desk.cluster.told() and len(desk.cluster.told()) == 2)
        for number in range(5):
            version = desk.write(gate={"percent": 0, "serve": "KILLED", "latch": "Kill"}, **{f"other-{number}": {"serve": "KILLED"}})
            await until(partial(desk.cluster.are_told, 19, version))
        assert desk.cluster.under_way == 1, "however many rounds come by, it takes one slot"
        assert [told for pod, told in desk.cluster.asked if pod == slow] == [first]
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})
        await until(lambda: not desk.nudges._wanted)
        assert not desk.nudges._patching
    assert [told for pod, told in desk.cluster.asked if pod == slow] == [first, version]


async def test_a_slow_pod_that_is_not_told_is_seen_to_by_the_round_after(desk: Desk) -> None:
    desk.add_pods(2)
    desk.cluster.slow.add("feature-gates-0")
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.cluster.under_way == 1 and len(desk.cluster.told()) == 2)
        version = desk.write(gate={"percent": 0, "serve": "KILLED"}, other={"serve": "KILLED"})
        await until(lambda: version in desk.cluster.told())
        desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
        desk.cluster.open.set()
        await until(lambda: desk.cluster.under_way == 0 and len(desk.cluster.asked) > 5)
        desk.cluster.refusals.clear()
        await until(lambda: desk.cluster.told() == {version})
        await until(lambda: not desk.nudges._wanted)


async def test_a_kill_waits_for_no_slot_of_the_less_urgent_though_its_round_did(desk: Desk) -> None:
    desk.add_pods(3)
    desk.add_pods(10, OTHERS)
    desk.write(gate={"percent": 50})
    desk.write(OTHERS, gate={"percent": 50})
    desk.cluster.slow.update(key.name for key in desk.cluster.pods if key.name.startswith("others"))
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower(OTHERS)
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        desk.lower()
        await until(lambda: str(RULES) in desk.nudges._slots[nudge.Urgency.SOON]._waiting)
        version = desk.write(gate={"percent": 0, "serve": "KILLED", "latch": "Kill"})
        await until(lambda: desk.cluster.told() == {version})
        assert desk.cluster.told(OTHERS) == {""}


async def test_a_crowd_of_slow_pods_keeps_no_other_config_maps_kill_waiting_and_stays_bounded(desk: Desk) -> None:
    most_slow = 15
    desk.nudges._patience = Patience(seconds=0.02, most=most_slow)
    at_once = nudge.AT_ONCE[nudge.Urgency.NOW]
    desk.add_pods(at_once)
    desk.cluster.slow.update(key.name for key in desk.cluster.pods)
    desk.cluster.open.clear()
    async with desk.at_work():
        crowd = desk.kill()
        await until(lambda: desk.cluster.under_way == at_once)
        desk.add_pods(2, OTHERS)
        version = desk.kill(OTHERS)
        await until(lambda: desk.cluster.told(OTHERS) == {version})
        assert desk.cluster.told() == {""}
        for number in range(100):
            desk.cluster.pods[Key("shop", f"more-{number}")] = (RULES.name, "")
            desk.cluster.slow.add(f"more-{number}")
        crowd = desk.write(gate={"serve": "KILLED"}, other={"serve": "KILLED"})
        await until(lambda: desk.cluster.under_way == at_once + most_slow)
        await asyncio.sleep(0.1)  # several times as long as a slot is kept
        assert desk.cluster.most_under_way == at_once + most_slow
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {crowd})
        await until(lambda: not desk.nudges._wanted)
    assert desk.nudges._slots[nudge.Urgency.NOW]._free == at_once


async def test_what_failed_is_tried_again_while_another_pod_answers_slowly(desk: Desk) -> None:
    desk.add_pods(3)
    desk.cluster.slow.add("feature-gates-0")
    desk.cluster.open.clear()
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: len(desk.cluster.asked) >= 1 + 3)
        desk.cluster.refusals.clear()
        await until(lambda: desk.cluster.are_told(2, version))
        assert desk.cluster.under_way == 1
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})
        await until(lambda: not desk.nudges._wanted)


async def test_a_right_that_is_given_back_is_noticed_beside_a_pod_that_may_not_be_touched(desk: Desk) -> None:
    desk.add_pods(4)
    desk.cluster.refusals["patch"] = ForbiddenError("the API server answered 403")
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.nudges.refused(RULES) is not None)
        del desk.cluster.refusals["patch"]
        desk.cluster.denied.add("feature-gates-0")
        await until(lambda: desk.nudges.refused(RULES) is None)
        rounds = desk.cluster.rounds()
        await until(lambda: desk.cluster.rounds() > rounds)
        assert desk.nudges.refused(RULES) is None


async def test_of_a_config_map_that_is_gone_nothing_is_kept(desk: Desk) -> None:
    desk.add_pods(5)
    desk.cluster.refusals["patch"] = ForbiddenError("the API server answered 403")
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.nudges.refused(RULES) is not None)
        desk.rules.take_out(RULES)
        assert desk.nudges.refused(RULES) is None
        rounds = desk.cluster.rounds()
        await asyncio.sleep(0.1)  # several times as long as until a right is looked for again
        assert desk.cluster.rounds() == rounds
    assert not desk.nudges._wanted
    assert not desk.nudges._began


@pytest.mark.parametrize("verb", ["list", "patch"])
async def test_a_config_map_may_go_while_its_pods_are_told(desk: Desk, verb: str) -> None:
    desk.add_pods(40)
    desk.cluster.refusals[verb] = ForbiddenError("the API server answered 403")
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.cluster.under_way > 0 or desk.nudges.refused(RULES) is not None)
        desk.rules.take_out(RULES)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.under_way == 0)
        assert desk.nudges.refused(RULES) is None
        desk.cluster.refusals.clear()
        version = desk.kill()
        await until(lambda: desk.cluster.told() == {version})


async def test_after_a_restart_a_right_that_is_missing_is_known_without_a_change(desk: Desk) -> None:
    desk.add_pods(1)
    desk.cluster.refusals["list"] = ForbiddenError("the API server answered 403")
    async with desk.at_work():
        desk.write(gate={"percent": 10})
        await until(lambda: desk.nudges.refused(RULES) == NudgeRefused(config_map="feature-gates", verb="list"))
        desk.cluster.refusals.clear()
        await until(lambda: desk.nudges.refused(RULES) is None)
    assert desk.cluster.told() == {""}
    assert desk.count("nudge_seconds_count") == 0


FORBIDDEN_BEFORE = {"conditions": [{"type": "PodsNudged", "status": "False", "reason": "NudgeForbidden"}]}


@pytest.mark.parametrize("is_granted", [True, False], ids=["granted meanwhile", "still missing"])
async def test_after_a_restart_a_right_that_was_missing_is_asked_for_at_once_and_unknown_until_then(desk: Desk, is_granted: bool) -> None:
    """Also where nothing has changed for long."""
    desk.add_pods(1)
    desk.experiments.see({**desk.cluster.apply(Key("shop", "gate"), {}), "status": FORBIDDEN_BEFORE})
    desk.write(gate={"percent": 10})
    assert await desk.queue.take() == Key("shop", "gate")
    desk.queue.finish(Key("shop", "gate"))
    if not is_granted:
        desk.cluster.refusals["patch"] = ForbiddenError("the API server answered 403")
    assert not desk.nudges.is_known(RULES)
    async with desk.at_work():
        await until(lambda: desk.nudges.is_known(RULES))
        assert (desk.nudges.refused(RULES) is None) == is_granted
        assert await desk.queue.take() == Key("shop", "gate"), "its condition may change"


async def test_after_a_restart_nobody_is_queued_again_who_was_never_refused(desk: Desk) -> None:
    desk.add_pods(1)
    desk.experiments.see(desk.cluster.apply(Key("shop", "gate"), {}))
    desk.write(gate={"percent": 10})
    assert await desk.queue.take() == Key("shop", "gate")
    desk.queue.finish(Key("shop", "gate"))
    async with desk.at_work():
        await until(lambda: desk.nudges.is_known(RULES))
    assert len(desk.queue) == 0
    assert desk.cluster.told() == {""}


async def test_after_a_restart_in_a_long_outage_it_is_found_out_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a condition that a right is missing would stay for ever, since nobody asked again."""
    monkeypatch.setattr(nudge, "LATELY", timedelta())
    desk.add_pods(1)
    desk.experiments.see({**desk.cluster.apply(Key("shop", "gate"), {}), "status": FORBIDDEN_BEFORE})
    desk.cluster.refusals["list"] = ClusterError("the API server answered 500")
    desk.write(gate={"percent": 10})
    async with desk.at_work():
        await until(lambda: desk.cluster.rounds() == 2)
        desk.cluster.refusals.clear()
        await until(lambda: desk.nudges.is_known(RULES))
    assert desk.nudges.refused(RULES) is None


async def test_after_a_restart_a_pod_that_may_not_be_touched_is_given_up_in_time_where_others_were_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add_pods(2)
    version = desk.write(gate={"percent": 10})
    desk.cluster.pods[Key("shop", "feature-gates-0")] = (RULES.name, version)
    desk.cluster.denied = {"feature-gates-1"}
    desk.experiments.see({**desk.cluster.apply(Key("shop", "gate"), {}), "status": FORBIDDEN_BEFORE})
    desk.nudges.tell(RULES, None, desk.cluster.config_maps[RULES])
    monkeypatch.setattr(nudge, "LATELY", timedelta())
    async with desk.at_work():
        await until(lambda: not desk.nudges._wanted)
    assert desk.nudges.is_known(RULES)


async def test_what_is_no_config_map_with_rules_is_known_to_be_told_nothing(desk: Desk) -> None:
    assert desk.nudges.is_known(RULES)
    desk.write(gate={"percent": 10})
    assert not desk.nudges.is_known(RULES)
    desk.rules.take_out(RULES)
    assert desk.nudges.is_known(RULES)
