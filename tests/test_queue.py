"""queue: each key once, by deadline, urgent ones first, one worker per key. The loop's clock is turned by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from rampgate_operator.queue import MOST_OUTDATED, Queue

Taking = Callable[[], "list[str | None]"]


class Clock:
    """The event loop's clock, which stands still until it is turned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.seconds)

    async def turn(self, seconds: float) -> None:
        self.seconds += seconds
        await settle()


async def settle() -> None:
    """Let everything run that can; timers of the past fire in the loop's next rounds."""
    for _ in range(5):
        await asyncio.sleep(0)


async def take_all(queue: Queue[str]) -> list[str | None]:
    """Take what is ready now, and give it back."""
    taken: list[str | None] = []
    while True:
        task = asyncio.create_task(queue.take())
        await settle()
        if not task.done():
            task.cancel()
            return taken
        key = task.result()
        taken.append(key)
        if key is None:
            return taken
        queue.finish(key)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clock]:
    yield Clock(monkeypatch)
    monkeypatch.undo()


@pytest.fixture
def queue() -> Queue[str]:
    return Queue()


async def test_keys_come_in_the_order_of_their_arrival(clock: Clock, queue: Queue[str]) -> None:
    for key in "bac":
        queue.add(key)
    assert await take_all(queue) == ["b", "a", "c"]


async def test_a_key_that_is_added_twice_comes_once(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a")
    queue.add("a", delay=5)
    queue.add("a")
    assert len(queue) == 1
    assert await take_all(queue) == ["a"]
    assert len(queue) == 0
    await clock.turn(10)
    assert await take_all(queue) == []


async def test_a_delayed_key_comes_when_it_is_due(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a", delay=10)
    assert await take_all(queue) == []
    await clock.turn(9)
    assert await take_all(queue) == []
    await clock.turn(1)
    assert await take_all(queue) == ["a"]


async def test_a_waiting_worker_is_woken_by_the_deadline(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a", delay=10)
    task = asyncio.create_task(queue.take())
    await clock.turn(9)
    assert not task.done()
    await clock.turn(1)
    assert await asyncio.wait_for(task, 1) == "a"


async def test_a_waiting_worker_is_woken_by_a_key(clock: Clock, queue: Queue[str]) -> None:
    task = asyncio.create_task(queue.take())
    await settle()
    queue.add("a")
    assert await asyncio.wait_for(task, 1) == "a"


async def test_the_earlier_deadline_stays(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a", delay=5)
    queue.add("a", delay=50)
    await clock.turn(5)
    assert await take_all(queue) == ["a"]
    queue.add("b", delay=50)
    queue.add("b", delay=5)
    await clock.turn(5)
    assert await take_all(queue) == ["b"]
    await clock.turn(100)
    assert await take_all(queue) == []


async def test_a_negative_delay_is_now(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a", delay=-5)
    queue.add("b")
    assert await take_all(queue) == ["a", "b"]


async def test_urgent_keys_go_first(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("c", urgent=True)
    assert await take_all(queue) == ["c", "a", "b"]


async def test_a_key_that_waits_may_become_urgent_and_stays_so(clock: Clock, queue: Queue[str]) -> None:
    for key in "abc":
        queue.add(key)
    queue.add("c", urgent=True)
    queue.add("c")
    assert await take_all(queue) == ["c", "a", "b"]


async def test_a_key_that_becomes_urgent_after_it_was_ready_jumps_the_lane(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("c")
    first = await queue.take()  # everything due is ready now
    queue.add("c", urgent=True)
    assert (first, await queue.take(), await queue.take()) == ("a", "c", "b")


async def test_a_key_at_work_is_handed_out_again_only_afterwards(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    queue.add("b")
    assert await take_all(queue) == ["b"]
    queue.finish("a")
    assert await take_all(queue) == ["a"]


async def test_a_worker_that_waits_for_a_key_at_work_is_woken_when_it_is_given_back(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    task = asyncio.create_task(queue.take())
    await settle()
    assert not task.done()
    queue.finish("a")
    assert await asyncio.wait_for(task, 1) == "a"


async def test_two_workers_share_the_keys(clock: Clock, queue: Queue[str]) -> None:
    first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
    await settle()
    queue.add("a")
    queue.add("b")
    assert {await asyncio.wait_for(first, 1), await asyncio.wait_for(second, 1)} == {"a", "b"}


async def test_a_closed_queue_hands_out_nothing_more(clock: Clock, queue: Queue[str]) -> None:
    waiting = asyncio.create_task(queue.take())
    await settle()
    queue.close()
    queue.add("a")
    assert await asyncio.wait_for(waiting, 1) is None
    assert await queue.take() is None


async def test_a_key_that_is_asked_for_again_and_again_long_before_its_deadline_leaves_nothing_behind(
    clock: Clock, queue: Queue[str]
) -> None:
    queue.add("b", delay=50)
    for _ in range(1000):
        queue.add("a", delay=1_000_000)
        queue.add("a")
        assert await take_all(queue) == ["a"]
    assert len(queue._by_deadline) <= 2 * len(queue) + MOST_OUTDATED
    await clock.turn(50)
    assert await take_all(queue) == ["b"]


async def test_a_worker_for_urgent_keys_takes_no_other(clock: Clock, queue: Queue[str]) -> None:
    queue.add("a")
    taking = asyncio.create_task(queue.take(urgent_only=True))
    await settle()
    assert not taking.done()
    queue.add("b", urgent=True)
    assert await asyncio.wait_for(taking, 1) == "b"
    assert await take_all(queue) == ["a"]


async def test_a_tenant_with_many_keys_keeps_another_waiting_for_one_of_them(clock: Clock) -> None:
    queue: Queue[str] = Queue(lambda key: key[0])
    for key in ("a1", "a2", "a3", "b1", "b2", "c1"):
        queue.add(key)
    queue.add("a4", urgent=True)
    assert await take_all(queue) == ["a4", "a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_tenant_whose_keys_are_all_in_hand_does_not_stop_the_round(clock: Clock) -> None:
    queue: Queue[str] = Queue(lambda key: key[0])
    queue.add("a1")
    assert await queue.take() == "a1"
    for key in ("a1", "b1"):
        queue.add(key)
    assert await queue.take() == "b1"
    queue.finish("a1")
    assert await queue.take() == "a1"
