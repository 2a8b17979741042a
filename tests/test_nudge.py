"""nudge: who is told, how often and in which order, in memory."""

import asyncio
import json
from datetime import timedelta

import pytest

from rampgate_operator import nudge
from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY
from rampgate_operator.ports import ClusterError, Key, Pod
from tests.core.story import NOON
from tests.nudging import FLAGD, OTHERS, RULES, Desk, hasty_desk, line, until


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return hasty_desk(monkeypatch)


async def test_every_pod_is_told_of_a_kill_with_one_list_and_one_patch_each(desk: Desk) -> None:
    desk.add_pods(5)
    desk.add_pods(2, OTHERS)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.count("nudges_total", outcome="ok") == 1)
    assert desk.cluster.told() == {version}
    assert (desk.cluster.rounds(), len(desk.cluster.asked)) == (1, 6)
    assert desk.cluster.told(OTHERS) == {""}
    assert desk.count("nudge_patches_total", outcome="ok") == 5
    assert desk.count("nudge_seconds_count") == 1


async def test_a_pod_that_knows_is_not_told_again(desk: Desk) -> None:
    desk.add_pods(2)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.told() == {version})
        desk.cluster.pods[Key("shop", "late")] = (RULES.name, "nonsense")
        body = desk.cluster.config_maps[RULES]
        desk.nudges.tell(RULES, {"metadata": {}, "data": {FORMAT_KEY: FORMAT, "gate.json": line("gate")}}, body)
        await until(lambda: desk.cluster.told() == {version})
    assert desk.cluster.asked.count(("feature-gates-0", version)) == 1


async def test_what_only_rises_tells_nobody(desk: Desk) -> None:
    desk.add_pods(1)
    async with desk.at_work():
        desk.write(gate={"percent": 1})
        await until(lambda: not desk.nudges._wanted)
        desk.write(gate={"percent": 10})
        assert not desk.nudges._wanted
        version = desk.lower()
        await until(lambda: desk.cluster.told() == {version})


async def test_a_step_that_waits_for_pods_is_told(desk: Desk) -> None:
    desk.add_pods(1)
    spec = {"ramp": {"steps": [], "confirm": {"pods": "95%"}}}
    desk.experiments.see(desk.cluster.apply(Key("shop", "gate"), spec))
    async with desk.at_work():
        desk.write(gate={"percent": 1})
        version = desk.write(gate={"percent": 10})
        await until(lambda: desk.cluster.told() == {version})


async def test_a_newer_version_takes_the_place_of_the_one_under_way(desk: Desk) -> None:
    desk.add_pods(40)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower(percent=10)
        await until(lambda: desk.cluster.under_way > 0)
        for percent in range(9, 1, -1):
            version = desk.lower(percent=percent)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})
        await until(lambda: desk.cluster.rounds() == 2)
    assert len(desk.cluster.asked) <= 2 + 40 + nudge.AT_ONCE[nudge.Urgency.SOON], "only those that were under way are told twice"


async def test_many_changes_at_once_make_few_rounds(desk: Desk) -> None:
    desk.add_pods(3)
    async with desk.at_work():
        gates = {f"gate-{number}": {"percent": 10} for number in range(50)}
        desk.write(**gates)
        began = asyncio.get_running_loop().time()
        for gate in gates:
            gates[gate] = {"percent": 0, "serve": "ROLLED_BACK", "latch": "Guardrail"}
            version = desk.write(**gates)
            await asyncio.sleep(0)
        await until(lambda: desk.cluster.told() == {version})
    assert desk.cluster.rounds() <= 2 + (asyncio.get_running_loop().time() - began) / nudge.APART


async def test_another_config_maps_kill_waits_for_no_crowd_and_requests_are_bounded(desk: Desk) -> None:
    desk.add_pods(200)
    desk.add_pods(3, OTHERS)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower()
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        version = desk.kill(OTHERS)
        await until(lambda: sum(pod.startswith("others") for pod, _ in desk.cluster.asked) == 3)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told(OTHERS) == {version})
        await until(lambda: "" not in desk.cluster.told())
    assert desk.cluster.most_under_way <= sum(nudge.AT_ONCE.values())


async def test_two_kills_take_turns(desk: Desk) -> None:
    desk.add_pods(200)
    desk.add_pods(5, OTHERS)
    async with desk.at_work():
        desk.cluster.open.clear()
        crowd = desk.kill()
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.NOW])
        desk.kill(OTHERS)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {crowd})
    asked = [pod for pod, _ in desk.cluster.asked if pod != "list"]
    last_of_the_few = max(index for index, pod in enumerate(asked) if pod.startswith("others"))
    assert last_of_the_few < 60, "five pods are told long before the last of two hundred"


async def test_a_kill_on_the_way_of_an_edit_goes_before_all_that_is_not_urgent(desk: Desk) -> None:
    desk.add_pods(30)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.lower()
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        version = desk.write(gate={"percent": 0, "serve": "KILLED", "latch": "Kill"})
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})
    assert desk.cluster.most_under_way > nudge.AT_ONCE[nudge.Urgency.SOON]


async def test_a_kill_under_way_stays_urgent_when_something_else_is_edited(desk: Desk) -> None:
    desk.add_pods(40)
    killed, at_once = {"percent": 0, "serve": "KILLED", "latch": "Kill"}, nudge.AT_ONCE[nudge.Urgency.NOW]
    desk.write(gate={"percent": 50}, other={"percent": 50})
    desk.cluster.open.clear()
    async with desk.at_work():
        desk.write(gate=killed, other={"percent": 50})
        await until(lambda: desk.cluster.under_way == at_once)
        version = desk.write(gate=killed, other={"percent": 10})
        desk.cluster.open.set()
        desk.cluster.open.clear()  # those that were under way are through, and the next ones wait
        await until(lambda: desk.cluster.under_way == at_once and len(desk.cluster.asked) > 2 * at_once)
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told() == {version})


async def test_after_a_restart_what_was_written_lately_is_told_again_and_nothing_else(desk: Desk) -> None:
    desk.add_pods(1)
    desk.add_pods(1, OTHERS)
    for config_map, age in ((RULES, timedelta(seconds=80)), (OTHERS, timedelta(minutes=5))):
        body = desk.cluster.put_config_map(config_map, {FORMAT_KEY: FORMAT, "gate.json": line("gate", serve="KILLED")})
        fields = [{"manager": "rampgate", "time": (NOON - age).isoformat()}]
        desk.rules.take_in({**body, "metadata": {**body["metadata"], "managedFields": fields}})
    async with desk.at_work():
        await until(lambda: "" not in desk.cluster.told())
        await until(lambda: desk.cluster.rounds(OTHERS) == 1)
    assert desk.cluster.rounds() == 1
    assert desk.cluster.told(OTHERS) == {""}, "only the right to list them is looked for"


@pytest.mark.parametrize(("serve", "urgency"), [("KILLED", nudge.Urgency.NOW), ("", nudge.Urgency.SOON)])
async def test_an_end_that_was_written_just_before_a_restart_is_as_urgent_as_it_was(desk: Desk, serve: str, urgency: nudge.Urgency) -> None:
    entry = line("gate", serve=serve) if serve else line("gate")
    body = desk.cluster.put_config_map(RULES, {FORMAT_KEY: FORMAT, "gate.json": entry})
    fields = [{"manager": "rampgate", "time": NOON.isoformat()}]
    desk.rules.take_in({**body, "metadata": {**body["metadata"], "managedFields": fields}})
    assert desk.nudges._wanted[RULES].urgency is urgency


async def test_a_pod_that_cannot_be_told_is_given_up_once_kubelets_have_refreshed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add_pods(1)
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.cluster.rounds() > 1)
        monkeypatch.setattr(nudge, "LATELY", timedelta())
        await until(lambda: not desk.nudges._wanted)
        rounds = desk.cluster.rounds()
        await asyncio.sleep(0.1)
    assert desk.cluster.rounds() == rounds


async def test_a_change_that_is_told_while_one_is_given_up_is_a_round_of_its_own(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "LATELY", timedelta(seconds=0.05))
    desk.add_pods(5)
    desk.write(gate={"percent": 50})
    desk.cluster.open.clear()
    desk.cluster.refusals["patch"] = ClusterError("the API server answered 500")
    async with desk.at_work():
        desk.lower(percent=10)
        await until(lambda: desk.cluster.under_way > 0)
        desk.lower(percent=5)
        await asyncio.sleep(0.1)  # longer than is worth it
        desk.cluster.open.set()
        await until(lambda: not desk.nudges._wanted)
        desk.cluster.refusals.clear()
        version = desk.lower(percent=1)
        await until(lambda: desk.cluster.told() == {version})


async def test_who_reads_flagds_document_is_told_of_each_one_and_of_a_kill_at_once(desk: Desk) -> None:
    """Documents follow the rules, and one that was written before a kill may arrive after it."""
    desk.add_pods(30, FLAGD)
    desk.project(percent=1)
    async with desk.at_work():
        desk.cluster.open.clear()
        desk.kill()
        desk.project(percent=10)
        await until(lambda: desk.cluster.under_way == nudge.AT_ONCE[nudge.Urgency.SOON])
        version = desk.project(serve="KILLED")
        desk.cluster.open.set()
        await until(lambda: desk.cluster.told(FLAGD) == {version})
    assert desk.cluster.most_under_way > nudge.AT_ONCE[nudge.Urgency.SOON]


async def test_a_name_that_is_too_long_for_a_label_is_asked_of_nobody(desk: Desk) -> None:
    """What flagd reads beside a ConfigMap of 58 characters or more: no pod can carry its name."""
    long = Key("shop", "g" * 58 + "-flagd")
    async with desk.at_work():
        for serve in ("", "KILLED"):
            flags = {"gate": {"metadata": {"serve": serve} if serve else {}}}
            data = {FORMAT_KEY: FLAGD_FORMAT, FLAGD_KEY: json.dumps({"flags": flags})}
            desk.rules.take_in(desk.cluster.put_config_map(long, data))
        assert not desk.nudges._wanted


async def test_a_bug_in_a_round_ends_nothing(desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add_pods(1)
    honest = desk.cluster.list_pods

    async def broken(_config_map: Key) -> list[Pod]:
        monkeypatch.setattr(desk.cluster, "list_pods", honest)
        raise KeyError("metadata")

    monkeypatch.setattr(desk.cluster, "list_pods", broken)
    async with desk.at_work():
        version = desk.kill()
        await until(lambda: desk.cluster.told() == {version})
    assert "this is a bug in the operator" in caplog.text


async def test_a_bug_as_a_round_ends_ends_nothing(desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time that pods are told, after they were not allowed to be, Experiments are queued: as good a place for a bug as any."""
    desk.add_pods(1)
    honest = desk.nudges._accept

    def broken(_config_map: Key) -> None:
        monkeypatch.setattr(desk.nudges, "_accept", honest)
        raise KeyError("metadata")

    monkeypatch.setattr(desk.nudges, "_accept", broken)
    async with desk.at_work():
        desk.kill()
        await until(lambda: not desk.nudges._wanted)
    assert "this is a bug in the operator" in caplog.text


async def test_a_bug_with_a_pod_keeps_no_slot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not those of pods that nobody has begun to tell."""
    desk.add_pods(40)

    async def broken(_pod: Key, _version: str) -> bool:
        raise KeyError("metadata")

    monkeypatch.setattr(desk.cluster, "nudge_pod", broken)
    async with desk.at_work():
        desk.kill()
        await until(lambda: desk.cluster.rounds() >= 3)
    assert desk.nudges._slots[nudge.Urgency.NOW]._free == nudge.AT_ONCE[nudge.Urgency.NOW]


async def test_a_config_map_that_goes_and_comes_back_as_a_round_begins_is_told_by_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add_pods(2)
    begin, written = desk.nudges._try, list[str]()

    async def begin_late(*arguments: object) -> None:
        if not written:
            desk.rules.take_out(RULES)
            written.append(desk.kill())
        await begin(*arguments)  # type: ignore[arg-type]  # as they are

    monkeypatch.setattr(desk.nudges, "_try", begin_late)
    async with desk.at_work():
        desk.kill()
        await until(lambda: bool(written) and desk.cluster.told() == {str(written[0])} and not desk.nudges._wanted)


async def test_pods_are_told_nothing_of_somebody_elses_config_map_that_has_our_label(desk: Desk) -> None:
    body = desk.cluster.put_config_map(RULES, {"theirs": "anything"})
    written = {"managedFields": [{"time": desk.time.isoformat()}]}
    desk.rules.take_in({**body, "metadata": {**body["metadata"], **written}})
    assert not desk.nudges._wanted
