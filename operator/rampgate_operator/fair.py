"""Slots that tenants take in turn: who asks much waits for himself, and keeps nobody else waiting for more than one turn.

Knows names and their order of waiting. Must not know what a slot is for. For one event loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class FairSlots:
    """A semaphore whose free slots go round among the tenants that wait."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: dict[str, deque[asyncio.Future[bool]]] = {}  # in the order of their turn

    async def acquire(self, tenant: str) -> bool:
        """Wait for a slot; within a tenant first come, first served. False, and no slot, when the tenant is dismissed meanwhile."""
        if self._free and not self._waiting:
            self._free -= 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():  # it was given a slot at the very moment that it gave up
                self.release()
            raise

    def dismiss(self, tenant: str) -> None:
        """Let all of a tenant's that wait do so no more: they have something better to wait for."""
        for turn in self._waiting.pop(tenant, ()):
            if not turn.done():
                turn.set_result(False)

    def release(self) -> None:
        """Give a slot back: to the next tenant's first that still waits."""
        while self._waiting:
            tenant, line = next(iter(self._waiting.items()))
            del self._waiting[tenant]
            turn = line.popleft()
            if line:
                self._waiting[tenant] = line  # at the end of the round
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1


class Patience:
    """Lends slots for some seconds: who takes longer goes on without one, and keeps nobody waiting. At most `most` do so at once."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds, self._left = seconds, most

    def lend(self, slots: FairSlots) -> Callable[..., None]:
        """Take charge of a slot that was acquired; give what is to be called when it is needed no more, with any arguments."""
        is_back = is_slow = False

        def outlast() -> None:
            nonlocal is_slow
            if self._left:
                self._left -= 1
                is_slow = True
                slots.release()

        def give_back(*_: object) -> None:
            """Give the slot back, or make room for another who is slow; only the first time does anything."""
            nonlocal is_back
            timer.cancel()
            if is_back:
                return
            is_back = True
            if is_slow:
                self._left += 1
            else:
                slots.release()

        timer = asyncio.get_running_loop().call_later(self._seconds, outlast)
        return give_back
