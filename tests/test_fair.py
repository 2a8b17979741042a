"""fair: slots go round among the tenants that wait."""

import asyncio

import pytest

from rampgate_operator.fair import FairSlots, Patience


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Tenants that wait for slots, and the order in which they got one."""

    def __init__(self, slots: FairSlots) -> None:
        self._slots = slots
        self.got: list[str] = []

    def join(self, tenant: str, times: int = 1) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._wait(tenant)) for _ in range(times)]

    async def _wait(self, tenant: str) -> None:
        await self._slots.acquire(tenant)
        self.got.append(tenant)


async def test_free_slots_are_taken_without_waiting() -> None:
    slots = FairSlots(2)
    crowd = Crowd(slots)
    crowd.join("a", 3)
    await settle()
    assert crowd.got == ["a", "a"]


async def test_tenants_that_wait_take_turns_however_many_one_of_them_asked_for() -> None:
    slots = FairSlots(1)
    crowd = Crowd(slots)
    crowd.join("greedy", 5)
    await settle()
    crowd.join("b", 2)
    crowd.join("c")
    await settle()
    for _ in range(7):
        slots.release()
        await settle()
    assert crowd.got == ["greedy", "greedy", "b", "c", "greedy", "b", "greedy", "greedy"]


async def test_a_tenant_that_is_dismissed_waits_no_more_and_takes_no_slot() -> None:
    slots = FairSlots(1)
    assert await slots.acquire("a")
    waiting = [asyncio.create_task(slots.acquire(tenant)) for tenant in "bbc"]
    await settle()
    slots.dismiss("b")
    await settle()
    assert [each.done() and each.result() for each in waiting] == [False, False, False]
    assert [each.done() for each in waiting] == [True, True, False]
    slots.release()
    assert await waiting[2]


async def test_whoever_gave_up_is_passed_over_and_loses_no_slot() -> None:
    slots = FairSlots(1)
    crowd = Crowd(slots)
    crowd.join("a")
    await settle()
    [leaving] = crowd.join("b")
    crowd.join("c")
    await settle()
    leaving.cancel()
    slots.release()
    await settle()
    assert crowd.got == ["a", "c"]
    slots.release()
    crowd.join("d")
    await settle()
    assert crowd.got == ["a", "c", "d"]


async def test_a_slot_given_at_the_moment_of_giving_up_goes_on() -> None:
    slots = FairSlots(1)
    crowd = Crowd(slots)
    crowd.join("a")
    await settle()
    [leaving] = crowd.join("b")
    crowd.join("c")
    await settle()
    slots.release()
    leaving.cancel()
    await settle()
    assert crowd.got == ["a", "c"]
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_slot_is_given_back_once_by_who_is_quick() -> None:
    slots, patience = FairSlots(1), Patience(seconds=60, most=1)
    for _ in range(3):
        assert await slots.acquire("a")
        give_back = patience.lend(slots)
        give_back()
        give_back()
    crowd = Crowd(slots)
    crowd.join("b", 2)
    await settle()
    assert crowd.got == ["b"]


async def test_who_is_slow_keeps_nobody_waiting_but_only_so_many_at_once() -> None:
    slots, patience = FairSlots(1), Patience(seconds=0, most=1)
    crowd = Crowd(slots)
    assert await slots.acquire("slow")
    give_back = patience.lend(slots)
    await asyncio.sleep(0.01)
    assert await slots.acquire("as slow")
    give_back_too = patience.lend(slots)
    crowd.join("next")
    await asyncio.sleep(0.01)
    assert crowd.got == [], "one is waited for already"
    give_back()
    give_back_too()
    await settle()
    assert crowd.got == ["next"]
