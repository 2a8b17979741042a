"""Collects the questions to one source about the SDK's own metrics, and asks for many gates at once.

Knows who waits, for how long, and in which order gates are taken. Must not know what a question is about, beyond its gate, its windows and
whether it has a bound of a histogram, whose series are selected apart.

Questions that come within a moment of each other go together, and so do those that wait while all slots are busy. One query is one turn in
the line for a slot, as a tenant's single question is. It takes gates from the tenants in turn, so a tenant with a few gates is in the next
query, however many another one has. An answer that is too large is asked for again in halves, down to a single gate: it alone fails, and is
asked for alone from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias

from rampgate_operator.adapters.prometheus_http import Call, SourceError
from rampgate_operator.adapters.prometheus_presets import ask_together
from rampgate_operator.adapters.prometheus_slots import Slots
from rampgate_operator.core.looks import Answer, Failed, FailureReason, LookRequest, Metric
from rampgate_operator.core.promql import QueryError
from rampgate_operator.core.promql_gates import BOUND

MOMENT = 0.25
"""Seconds that the first question waits for others: little beside the ten that counts lie in the past, yet enough for all the questions of
an Experiment, and for those of many whose looks are due together, as after a restart."""

MOST_GATES = 100
"""Of one query. Ten pods of each make some 10 MB of it, which keep the event loop waiting for a tenth of a second while they are read."""

_AT_ONCE = 4
"""Queries: each may hold a large body, and one thread at a time reads them. It also leaves slots to questions that are asked alone."""

_ROUNDS = 3
"""Timeouts that a common query may take: of samples, of processes or last values, and one to spare for what is rare."""

_NEAR = timedelta(minutes=10)
"""Windows that begin, and end, in the same stretch of this length are asked for together: a query covers all from the first to the last."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALL_TENANTS = ""
_Gate: TypeAlias = tuple[str, str]
"""Namespace, name."""

_Kind: TypeAlias = tuple[bool, int, int, _Gate | None]
"""What goes together: with a bound or without, where windows begin and end, and which gate where one goes alone."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A question, and who waits for its answer."""

    question: LookRequest
    metric: Metric
    answer: asyncio.Future[Answer]
    patience: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    batch: _Batch | None = None

    @property
    def gate(self) -> _Gate:
        return self.question.tenant, self.metric.gate


@dataclass(eq=False, slots=True)
class _Batch:
    """What is asked together, by a task."""

    waiting: Sequence[_Waiting]
    task: asyncio.Task[None]

    def left(self) -> None:
        """End it when nobody waits any more."""
        if not self.task.done() and all(one.answer.done() for one in self.waiting):
            self.task.cancel()

    def ended(self, _: object) -> None:
        """Let a fault of ours reach those who wait."""
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            for one in _still(self.waiting):
                one.answer.set_exception(error)


class _Line:
    """Who waits for a query of one kind: tenants in the order of their turn, and each one's gates."""

    def __init__(self) -> None:
        self._tenants: dict[str, dict[str, list[_Waiting]]] = {}

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def join(self, one: _Waiting) -> None:
        tenant, gate = one.gate
        self._tenants.setdefault(tenant, {}).setdefault(gate, []).append(one)

    def take(self, most: int) -> list[_Waiting]:
        """Take some gates, one of each tenant in turn, with all who still wait for them."""
        taken: list[_Waiting] = []
        while self._tenants and most:
            tenant, gates = next(iter(self._tenants.items()))
            del self._tenants[tenant]
            waiting = _still(gates.pop(next(iter(gates))))
            if gates:
                self._tenants[tenant] = gates  # at the end of the round
            if waiting:
                taken += waiting
                most -= 1
        return taken


class Together:
    """The common queries of one source. For one event loop."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._lines: dict[_Kind, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._large: set[_Gate] = set()

    async def answer(self, question: LookRequest, metric: Metric) -> Answer:
        """Answer a question that has this metric, together with others."""
        one = _Waiting(question, metric, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(self._slots.patience) as one.patience:
                self._join(one)
                return await one.answer
        except TimeoutError:
            return self._slots.busy if one.batch is None else self._slots.too_slow
        finally:
            one.answer.cancel()
            if one.batch is not None:
                one.batch.left()

    def _join(self, one: _Waiting) -> None:
        kind = self._kind(one)
        if kind not in self._lines:
            self._lines[kind] = _Line()
            self._begin(self._run(kind, moment=MOMENT))
        self._lines[kind].join(one)

    def _kind(self, one: _Waiting) -> _Kind:
        edges, has_bound = one.question.edges, any(name == BOUND for name, _ in one.metric.labels)
        return has_bound, (edges[0] - _EPOCH) // _NEAR, (edges[-1] - _EPOCH) // _NEAR, one.gate if one.gate in self._large else None

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self._tasks.discard)

    async def _run(self, kind: _Kind, *, moment: float = 0.0) -> None:
        """Wait for a slot, then take from the line what one query takes; what remains is for the next slot."""
        await asyncio.sleep(moment)
        async with self._few:
            await self._slots.acquire(_ALL_TENANTS)
            line = self._lines[kind]
            taken = line.take(MOST_GATES)
            if line:
                self._begin(self._run(kind))
            else:
                del self._lines[kind]
            if not taken:
                self._slots.release()
                return
            self._set_out(taken)
            found = await self._ask(taken)
        await self._tell(taken, found)

    def _set_out(self, taken: Sequence[_Waiting]) -> None:
        """From now on it is this task that they wait for."""
        task = asyncio.current_task()
        assert task is not None, "this runs in a task"
        batch = _Batch(taken, task)
        task.add_done_callback(batch.ended)
        until = asyncio.get_running_loop().time() + self._slots.longest(_ROUNDS)
        for one in taken:
            one.batch = batch
            one.patience.reschedule(until)

    async def _ask(self, waiting: Sequence[_Waiting]) -> Mapping[LookRequest, Answer] | Failed:
        """Use the slot that was taken."""
        questions = tuple(dict.fromkeys(one.question for one in waiting))
        try:
            return await self._slots.work(partial(_found, questions), rounds=_ROUNDS)
        except TimeoutError:
            return self._slots.too_slow

    async def _tell(self, waiting: Sequence[_Waiting], found: Mapping[LookRequest, Answer] | Failed) -> None:
        """Hand the answers out; one that is too large is asked for again in halves, as long as there are two gates."""
        gates = {one.gate for one in waiting}
        is_too_large = isinstance(found, Failed) and found.reason is FailureReason.TOO_LARGE
        if is_too_large and len(gates) > 1:
            await asyncio.gather(*map(self._ask_again, _halves(waiting)))
            return
        (self._large.update if is_too_large else self._large.difference_update)(gates)
        for one in _still(waiting):
            one.answer.set_result(found if isinstance(found, Failed) else found[one.question])

    async def _ask_again(self, waiting: Sequence[_Waiting]) -> None:
        async with self._few:
            await self._slots.acquire(_ALL_TENANTS)
            if not (still := _still(waiting)):
                self._slots.release()
                return
            found = await self._ask(still)
        await self._tell(still, found)


def _still(waiting: Sequence[_Waiting]) -> list[_Waiting]:
    return [one for one in waiting if not one.answer.done()]


def _found(questions: Sequence[LookRequest], call: Call) -> Mapping[LookRequest, Answer] | Failed:
    try:
        return ask_together(questions, call)
    except SourceError as error:
        return error.failed
    except QueryError as error:
        return Failed(FailureReason.REFUSED, str(error))


def _halves(waiting: Sequence[_Waiting]) -> tuple[Sequence[_Waiting], Sequence[_Waiting]]:
    """Part the gates, of which there are two at least."""
    gates = list(dict.fromkeys(one.gate for one in waiting))
    first = set(gates[: len(gates) // 2])
    return [one for one in waiting if one.gate in first], [one for one in waiting if one.gate not in first]
