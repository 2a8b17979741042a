"""health: what is stuck is told, and what is only busy is not. The loop's clock is turned by hand."""

import asyncio
from typing import Any

import pytest

from rampgate_operator.health import LONGEST_SILENCE, LONGEST_WAIT, LONGEST_WORK, Health, WatchProbe
from rampgate_operator.ports import Key
from rampgate_operator.queue import Queue

A, B = Key("shop", "a"), Key("shop", "b")


class Parts:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.seconds)
        self.queue, self.watch = Queue[Key](), WatchProbe()
        self._health = Health(self.queue, self.watch)

    @property
    def troubles(self) -> list[str]:
        return self._health.troubles()


@pytest.fixture
async def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    return Parts(monkeypatch)


def body(version: int, kind: str = "spec", namespace: str = "shop") -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "a", "resourceVersion": str(version)}, kind: {}}


async def test_an_operator_with_nothing_to_do_is_healthy(parts: Parts) -> None:
    parts.queue.add(A, delay=1e6)
    parts.seconds += 1e5
    assert parts.troubles == []


async def test_keys_that_are_due_and_of_which_none_is_finished_are_a_trouble(parts: Parts) -> None:
    parts.queue.add(A)
    parts.queue.add(B)
    parts.seconds += LONGEST_WAIT
    assert parts.troubles == []
    parts.seconds += 1
    assert parts.troubles == [f"keys are due, and none was finished for {LONGEST_WAIT + 1:.0f} s"]


async def test_a_long_line_that_moves_is_no_trouble(parts: Parts) -> None:
    parts.queue.add(A)
    parts.queue.add(B)
    for _ in range(5):
        parts.seconds += LONGEST_WAIT - 1
        assert parts.troubles == []
        key = await parts.queue.take()
        assert key is not None
        parts.queue.finish(key)
        parts.queue.add(key)


async def test_a_key_that_is_worked_on_for_ever_is_a_trouble(parts: Parts) -> None:
    parts.queue.add(A)
    assert await parts.queue.take() == A
    parts.seconds += LONGEST_WORK + 1
    assert parts.troubles == [f"a key has been worked on for {LONGEST_WORK + 1:.0f} s"]
    parts.queue.finish(A)
    assert parts.troubles == []


async def test_a_watch_that_does_not_tell_what_is_there_is_a_trouble(parts: Parts) -> None:
    parts.watch.told(body(7))
    parts.watch.expect(body(8))
    parts.seconds += LONGEST_SILENCE + 1
    parts.watch.expect(body(9))
    assert parts.troubles == [f"the watch of experiments in shop is {LONGEST_SILENCE + 1:.0f} s behind"]
    parts.watch.told(body(8))
    assert parts.troubles == []


@pytest.mark.parametrize(
    "told",
    [body(9), body(8)],
    ids=["a later change, also of another object", "the very one"],
)
async def test_the_watch_has_told_with(told: dict[str, Any], parts: Parts) -> None:
    parts.watch.expect(body(8))
    parts.watch.told(told)
    parts.seconds += 1e6
    assert parts.troubles == []


@pytest.mark.parametrize(
    "told",
    [body(7), body(9, kind="data"), body(9, namespace="search")],
    ids=["an earlier one", "one of another kind", "one of another namespace"],
)
async def test_the_watch_has_not_told_with(told: dict[str, Any], parts: Parts) -> None:
    parts.watch.expect(body(8))
    parts.watch.told(told)
    parts.seconds += LONGEST_SILENCE + 1
    assert parts.troubles


async def test_what_was_told_before_is_not_expected(parts: Parts) -> None:
    parts.watch.told(body(8))
    parts.watch.expect(body(8))
    parts.seconds += 1e6
    assert parts.troubles == []


async def test_what_was_deleted_before_the_watch_began_is_not_waited_for_after_the_next_list(parts: Parts) -> None:
    parts.watch.listed([body(8)], None)
    parts.watch.listed([], None)
    parts.seconds += 1e6
    assert parts.troubles == []


async def test_a_list_forgives_no_other_namespace_and_nothing_that_is_still_there(parts: Parts) -> None:
    parts.watch.listed([body(8), body(9, namespace="search")], None)
    parts.watch.listed([body(8)], "shop")
    parts.seconds += LONGEST_SILENCE + 1
    assert len(parts.troubles) == 2
