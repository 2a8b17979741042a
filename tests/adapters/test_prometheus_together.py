"""adapters/prometheus_together: who is asked for together with whom, who waits, and what a failure does."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Hashable, Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from rampgate_operator.adapters import prometheus_presets, prometheus_together
from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.core.looks import Answer, Exposed, Failed, FailureReason, Increases, Kind, LookRequest, Metric, NoData
from rampgate_operator.settings import SourceSettings
from tests.adapters.asking import ANY_TIME, Open
from tests.adapters.faulty import Faulty

MINUTE = timedelta(minutes=1)


def of_gate(gate: str, *, tenant: str = "shop", source: str = "main", **options: object) -> LookRequest:
    labels = options.pop("labels", ())
    metric = Metric(name="rampgate_requests_total", gate=gate, labels=labels)
    windows = {"at": ANY_TIME, "since": ANY_TIME - MINUTE, **options}
    return LookRequest(key=gate, source=source, metric=metric, tenant=tenant, kind=Kind.INCREASES, **windows)


def sent(faulty: Faulty) -> list[str]:
    """The queries that came, short ones that is: they are in the URL."""
    return [parse_qs(urlsplit(head.split()[1]).query)[b"query"][0].decode() for head in faulty.requests]


def reasons(answers: list[Answer]) -> list[FailureReason]:
    assert all(isinstance(answer, Failed) for answer in answers)
    return [answer.reason for answer in answers if isinstance(answer, Failed)]


async def one(client: Prometheus, asked: LookRequest) -> Answer:
    return (await client.answer([asked]))[asked.key]


async def test_those_who_ask_within_a_moment_are_asked_for_together(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("fine"))
    await asyncio.gather(*(one(client, of_gate(gate, tenant=tenant)) for gate, tenant in (("x", "shop"), ("y", "bank"), ("x", "shop"))))
    assert sent(faulty) == ['rampgate_requests_total{namespace=~"bank|shop",gate=~"x|y"}[6m]']


async def test_windows_that_are_far_apart_are_asked_for_apart(faulty: Faulty, connect: Open) -> None:
    client, yesterday = connect(faulty.url("fine")), ANY_TIME - timedelta(days=1)
    late, early = of_gate("x"), of_gate("y", at=yesterday, since=yesterday - MINUTE)
    await client.answer([late, early])
    assert sorted(sent(faulty)) == [f'rampgate_requests_total{{namespace=~"shop",gate=~"{gate}"}}[6m]' for gate in "xy"]


async def test_buckets_are_asked_for_apart_and_by_their_bounds(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("fine"))
    await client.answer([of_gate("x"), of_gate("y", labels=(("le", "0.5"),))])
    assert sorted("le=~" in query for query in sent(faulty)) == [False, True]


async def test_a_failed_query_is_the_failure_of_all_it_was_for(faulty: Faulty, connect: Open) -> None:
    found = await connect(faulty.url("unauthorized")).answer([of_gate("x"), of_gate("y")])
    assert found["x"] == found["y"]
    assert reasons([*found.values()]) == [FailureReason.UNAUTHORIZED] * 2
    assert len(faulty.requests) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("matrix-of-nonsense", FailureReason.NOT_PROMETHEUS),
        ("labels-of-nonsense", FailureReason.NOT_PROMETHEUS),
        ("huge-time", FailureReason.NOT_PROMETHEUS),
        ("fine", FailureReason.NOT_PROMETHEUS),
        ("silent", FailureReason.TIMEOUT),
        ("dripping-body", FailureReason.TIMEOUT),
        ("closed", FailureReason.UNREACHABLE),
    ],
)
async def test_a_fault_is_a_failure(faulty: Faulty, connect: Open, fault: str, reason: FailureReason) -> None:
    patience = {"timeout": timedelta(milliseconds=300)} if reason is FailureReason.TIMEOUT else {}
    assert reasons([await one(connect(faulty.url(fault), **patience), of_gate("x"))]) == [reason]
    assert gc.isenabled()


async def test_a_gate_whose_answer_is_too_large_fails_once_it_is_alone(faulty: Faulty, connect: Open) -> None:
    found = await connect(faulty.url("endless")).answer([of_gate("x"), of_gate("y"), of_gate("z")])
    assert reasons([*found.values()]) == [FailureReason.TOO_LARGE] * 3
    assert sent(faulty)[0].endswith('gate=~"x|y|z"}[6m]')
    assert len(faulty.requests) == 5  # all, one, the other two, and each of these


# One tenant's data, and the others.

NOTHING = NoData("No series of the counter has a sample in the window.")


def of_tenants(*tenants: str) -> list[LookRequest]:
    return [replace(of_gate("x", tenant=tenant), key=tenant) for tenant in tenants]


def failed(found: Mapping[Hashable, Answer]) -> dict[Hashable, FailureReason]:
    """Who got none; all others got what there is."""
    assert all(answer == NOTHING for answer in found.values() if not isinstance(answer, Failed))
    return {key: answer.reason for key, answer in found.items() if isinstance(answer, Failed)}


async def test_a_native_histogram_by_a_counters_name_fails_its_own_gate_alone(faulty: Faulty, connect: Open) -> None:
    found = await connect(faulty.url("one-histogram")).answer(of_tenants("shop", "evil"))
    assert found["shop"] == Increases(({"on": 8.0},))
    assert reasons([found["evil"]]) == [FailureReason.NOT_A_NUMBER]


async def test_a_number_that_no_sum_can_hold_costs_no_other_tenant_its_answer(faulty: Faulty, connect: Open) -> None:
    """It is a tenant's to export, and what a decision weighs by must be a number all the same."""
    faulty.instead = {b"rampgate_processes": "endless-processes"}
    metric, window = Metric(name="rampgate_first_exposures_total", gate="x"), {"at": ANY_TIME, "since": ANY_TIME - MINUTE}
    asked = [LookRequest(key=each, source="main", metric=metric, tenant=each, kind=Kind.EXPOSURES, **window) for each in ("shop", "evil")]
    found = await connect(faulty.url("exposures")).answer(asked)
    assert found == {"shop": Exposed(({"on": 2.0},), (False,), 2.0), "evil": Exposed(({"on": 4.0},), (False,), 2e6)}


async def test_a_native_histogram_among_last_values_is_no_count(faulty: Faulty, connect: Open) -> None:
    faulty.instead = {b"last_over_time": "last-histogram"}
    found = await connect(faulty.url("without-base")).answer(of_tenants("shop", "evil"))
    assert found == {"shop": Increases(({"on": 7.0},)), "evil": NOTHING}


async def test_a_gate_for_which_the_source_would_load_too_many_samples_fails_alone(faulty: Faulty, connect: Open) -> None:
    faulty.instead = {b"huge": "too-many-samples"}
    gates = [of_gate(gate, tenant="evil") for gate in ("a", "b", "huge")]
    found = await connect(faulty.url("no-series")).answer([*gates, *of_tenants("shop", "bank")])
    assert failed(found) == {"huge": FailureReason.TOO_LARGE}


@pytest.mark.parametrize(("fault", "reason"), [("gave-up", FailureReason.TIMEOUT), ("execution", FailureReason.REFUSED)])
async def test_a_tenant_that_fails_queries_is_asked_for_apart(faulty: Faulty, connect: Open, fault: str, reason: FailureReason) -> None:
    faulty.instead = {b"evil": fault}
    client, asked = connect(faulty.url("no-series")), of_tenants("shop", "bank", "cafe", "evil")
    looks = []
    for _ in range(3):
        faulty.requests.clear()
        looks.append((failed(await client.answer(asked)), len(faulty.requests)))
    assert looks == [
        ({"cafe": reason, "evil": reason}, 3),  # all, and two halves
        ({"evil": reason}, 3),  # those of the good half, and each of the others
        ({"evil": reason}, 2),
    ]


async def test_a_tenant_that_is_answered_again_is_asked_for_with_the_others(faulty: Faulty, connect: Open) -> None:
    faulty.instead = {b"evil": "execution"}
    client, asked = connect(faulty.url("no-series")), of_tenants("shop", "evil")
    await client.answer(asked)
    faulty.instead = {}
    assert failed(await client.answer(asked)) == {}
    faulty.requests.clear()
    assert failed(await client.answer(asked)) == {}
    assert len(faulty.requests) == 1


async def test_a_source_that_is_too_slow_for_everything_gets_no_avalanche(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("silent"), timeout=timedelta(milliseconds=300))
    asked = [of_gate(f"gate-{number}", tenant=f"tenant-{number % 4}") for number in range(40)]
    assert set(failed(await client.answer(asked)).values()) == {FailureReason.TIMEOUT}
    await arrived(faulty, 3)
    faulty.requests.clear()
    await client.answer(asked)
    await arrived(faulty, 4)


async def arrived(faulty: Faulty, count: int) -> None:
    """See that so many queries came, and no more; one that was given up may still be on its way to the server's thread."""
    for _ in range(count):
        await faulty.arrived()
    assert len(faulty.requests) == count


async def held(faulty: Faulty, count: int) -> None:
    deadline = time.monotonic() + 20
    while faulty.held < count:
        assert time.monotonic() < deadline, f"{faulty.held} are held"
        await asyncio.sleep(0.01)


async def test_gates_known_to_be_large_keep_no_other_tenant_waiting(faulty: Faulty, connect: Open) -> None:
    faulty.instead = {b"evil": "too-many-samples"}
    client, large = connect(faulty.url("no-series")), [of_gate(f"gate-{number}", tenant="evil") for number in range(12)]
    await client.answer(large)
    faulty.instead = {b"evil": "held"}
    waiting = asyncio.ensure_future(client.answer(large))
    await held(faulty, 2)
    async with asyncio.timeout(10):
        assert await one(client, of_gate("x")) == NOTHING
    faulty.release.set()
    await waiting
    assert faulty.most_held == 2


async def test_who_gets_no_turn_among_large_gates_is_told_so(faulty: Faulty, connect: Open) -> None:
    faulty.instead = {b"evil": "too-many-samples"}
    # the first answers must come in time, on a machine that stands still in between too
    client = connect(faulty.url("no-series"), timeout=timedelta(seconds=1))
    large = [of_gate(f"gate-{number}", tenant="evil") for number in range(4)]
    await client.answer(large)
    faulty.instead = {b"evil": "dripping-body"}
    found = [answer for answer in (await client.answer(large)).values() if isinstance(answer, Failed)]
    assert [answer.reason for answer in found] == [FailureReason.TIMEOUT] * 2 + [FailureReason.THROTTLED] * 2
    assert "no turn came in time" in found[-1].message


async def test_two_tenants_large_gates_are_asked_for_in_turn(faulty: Faulty, connect: Open) -> None:
    faulty.instead = {b"query": "too-many-samples"}
    client = connect(faulty.url("no-series"))
    few, many = of_gate("only", tenant="few"), [of_gate(f"gate-{number}", tenant="many") for number in range(8)]
    await client.answer([few, *many])
    faulty.instead = {b"query": "held"}
    faulty.requests.clear()
    waiting = asyncio.ensure_future(client.answer([*many, few]))
    await held(faulty, 2)
    faulty.release.set()
    await waiting
    assert any("only" in query for query in sent(faulty)[:6])  # of nine; who is not asked in turn comes last


async def test_splitting_one_tenants_gates_keeps_no_other_waiting(faulty: Faulty, connect: Open) -> None:
    several = b"%7C"
    faulty.instead = {several: "too-many-samples", b"evil": "held"}
    client = connect(faulty.url("no-series"))
    waiting = asyncio.ensure_future(client.answer([of_gate(f"gate-{number}", tenant="evil") for number in range(12)]))
    await held(faulty, 2)
    async with asyncio.timeout(10):
        assert await one(client, of_gate("x")) == NOTHING
    faulty.release.set()
    await waiting


# Who waits.


async def test_who_waits_for_a_slot_is_asked_for_with_all_who_wait(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("held"), max_concurrent=1)
    first = asyncio.ensure_future(one(client, of_gate("first")))
    await faulty.arrived()
    waiting = [asyncio.ensure_future(one(client, of_gate("second")))]
    await asyncio.sleep(2 * prometheus_together.MOMENT)  # it had its moment; what it waits for now is the slot
    waiting.append(asyncio.ensure_future(one(client, of_gate("third"))))
    await asyncio.sleep(0)
    faulty.release.set()
    await asyncio.gather(first, *waiting)
    assert [query.partition("gate=~")[2] for query in sent(faulty)] == ['"first"}[6m]', '"second|third"}[6m]']


async def test_a_tenant_with_few_gates_is_in_the_next_query(faulty: Faulty, connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_together, "MOST_GATES", 2)
    client = connect(faulty.url("fine"), max_concurrent=1)
    many = [of_gate(f"gate-{number}", tenant="many") for number in range(7)]
    await client.answer([*many, of_gate("only", tenant="few")])
    assert sent(faulty)[0] == 'rampgate_requests_total{namespace=~"few|many",gate=~"gate-0|only"}[6m]'
    assert len(faulty.requests) == 4


async def test_a_question_alone_has_its_turn_between_common_ones(faulty: Faulty, connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_together, "MOST_GATES", 1)
    client = connect(faulty.url("held"), max_concurrent=1)
    together = [asyncio.ensure_future(one(client, of_gate(f"gate-{number}"))) for number in range(4)]
    await faulty.arrived()
    alone = asyncio.ensure_future(one(client, LookRequest(key="alone", source="main", query="1", at=ANY_TIME, tenant="shop")))
    await asyncio.sleep(0)
    faulty.release.set()
    await asyncio.gather(alone, *together)
    assert sent(faulty).index("1") <= 2


async def test_common_queries_leave_slots_to_others(faulty: Faulty, connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_together, "MOST_GATES", 1)
    client = connect(faulty.url("held"), max_concurrent=8)
    together = [asyncio.ensure_future(one(client, of_gate(f"gate-{number}"))) for number in range(8)]
    for _ in range(4):
        await faulty.arrived()
    alone = asyncio.ensure_future(one(client, LookRequest(key="alone", source="main", query="1", at=ANY_TIME)))
    await faulty.arrived()
    assert sent(faulty)[-1] == "1"
    faulty.release.set()
    await asyncio.gather(alone, *together)


async def test_a_source_that_hangs_keeps_no_other_waiting(faulty: Faulty) -> None:
    # the second one must come while the first is waited for, on a machine that stands still in between too
    hung = SourceSettings(url=faulty.url("dripping-head"), max_concurrent=1, timeout=timedelta(seconds=1))
    client = Prometheus({"hung": hung, "well": SourceSettings(url=faulty.url("unavailable"), max_concurrent=1)})
    first = asyncio.ensure_future(one(client, of_gate("first", source="hung")))
    await faulty.arrived()
    second = asyncio.ensure_future(one(client, of_gate("second", source="hung")))
    assert reasons([await one(client, of_gate("x", source="well"))]) == [FailureReason.SERVER_ERROR]
    assert reasons([await first, await second]) == [FailureReason.TIMEOUT, FailureReason.THROTTLED]
    client.close()


async def test_a_query_for_which_nobody_waits_any_more_gives_its_slot_back(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("dripping-body"), max_concurrent=1, timeout=timedelta(seconds=60))
    waiting = [asyncio.ensure_future(one(client, of_gate(gate))) for gate in ("x", "y")]
    await faulty.arrived()
    for each in waiting:
        each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await each
    again = asyncio.ensure_future(one(client, of_gate("z")))
    await faulty.arrived()
    again.cancel()


async def test_who_goes_leaves_the_others_their_answer(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("held"))
    gone, staying = (asyncio.ensure_future(one(client, of_gate(gate))) for gate in ("x", "y"))
    await faulty.arrived()
    gone.cancel()
    await asyncio.sleep(0)
    faulty.release.set()
    assert reasons([await staying]) == [FailureReason.NOT_PROMETHEUS]


async def test_who_goes_before_the_query_is_not_in_it(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("fine"))
    gone, staying = (asyncio.ensure_future(one(client, of_gate(gate))) for gate in ("x", "y"))
    await asyncio.sleep(0)
    gone.cancel()
    await staying
    assert [query.partition("gate=~")[2] for query in sent(faulty)] == ['"y"}[6m]']


async def test_a_fault_of_our_own_reaches_those_who_wait(faulty: Faulty, connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(prometheus_presets, "samples_of", broken)
    with pytest.raises(ZeroDivisionError):
        await one(connect(faulty.url("fine")), of_gate("x"))
