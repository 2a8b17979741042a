"""Collects the questions to one source about the SDK's own metrics, and asks for many gates at once.

Knows who waits, for how long, and in which order gates are taken. Must not know what a question is about, beyond its gate, its windows and
whether it has a bound of a histogram, whose series are selected apart.

Questions that come within a moment of each other go together, and so do those that wait while all slots are busy. One query is one turn in
the line for a slot, as a tenant's single question is. It takes gates from the tenants in turn, so a tenant with a few gates is in the next
query, however many another one has.

One tenant's data must not cost the others their answers. Where it may be to blame, a failed query is asked again in parts: in halves of the
tenants, then of the gates.
- An answer that is too large is parted down to a single gate: it alone fails.
- A query that takes too long, or meets something that cannot be executed, is parted once. More would be an avalanche for a source that is
  in trouble with everything, and nobody waits that long. The tenants of a half that fails as well are asked for one by one from then on.
Such gates and tenants go apart: in a turn of their own, and few at once, until they are answered with time to spare.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeAlias

from rampgate_operator.adapters.prometheus_generations import ask_generations
from rampgate_operator.adapters.prometheus_http import Call, SourceError
from rampgate_operator.adapters.prometheus_presets import ask_together
from rampgate_operator.adapters.prometheus_slots import Slots
from rampgate_operator.core.looks import Answer, FailureReason, Kind, LookRequest, Metric
from rampgate_operator.core.promql import QueryError
from rampgate_operator.core.promql_gates import BOUND
from rampgate_operator.fair import FairSlots

MOMENT = 0.25
"""Seconds that the first question waits for others: little beside the ten that counts lie in the past, yet enough for all the questions of
an Experiment, and for those of many whose looks are due together, as after a restart."""

MOST_GATES = 100
"""Of one query. Ten pods of each make some 10 MB of it, which keep the event loop waiting for a tenth of a second while they are read."""

_AT_ONCE = 4
"""Queries: each may hold a large body, and one thread at a time reads them. It also leaves slots to questions that are asked alone."""

_APART_AT_ONCE = 2
"""Queries for one tenant each. It bounds what a source in trouble gets, for then everybody's come to be apart."""

_MOST_APART = 1000
"""Gates and tenants that are remembered to go apart, the deleted ones among them: of more the oldest are forgotten, and found out again."""

_ROUNDS = 3
"""Timeouts that a common query may take: of samples, of processes or last values, and one to spare for what is rare."""

_NEAR = timedelta(minutes=10)
"""Windows that begin, and end, in the same stretch of this length are asked for together: a query covers all from the first to the last."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALL_TENANTS = ""
_Gate: TypeAlias = tuple[str, str]
"""Namespace, name."""

_Apart: TypeAlias = tuple[str, str | None]
"""What goes apart: a tenant's gate, or all its gates."""

_Kind: TypeAlias = tuple[bool, bool, int, int, _Apart | None]
"""What goes together: generations or counters, with a bound or without, where windows begin and end, and what goes apart."""

_Found: TypeAlias = Mapping[LookRequest, Answer] | SourceError


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
        self._common, self._single = FairSlots(_AT_ONCE), FairSlots(_APART_AT_ONCE)
        self._lines: dict[_Kind, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._apart: dict[_Apart, None] = {}

    async def answer(self, question: LookRequest, metric: Metric) -> Answer:
        """Answer a question that has this metric, together with others."""
        one = _Waiting(question, metric, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(self._slots.patience) as one.patience:
                kind = self._join(one)
                return await one.answer
        except TimeoutError:
            if one.batch is not None:
                return self._slots.too_slow
            return self._slots.busy_apart if kind[-1] else self._slots.busy
        finally:
            one.answer.cancel()
            if one.batch is not None:
                one.batch.left()

    def _join(self, one: _Waiting) -> _Kind:
        kind = self._kind(one)
        if kind not in self._lines:
            self._lines[kind] = _Line()
            self._begin(self._run(kind, moment=MOMENT))
        self._lines[kind].join(one)
        return kind

    def _kind(self, one: _Waiting) -> _Kind:
        tells_generations = one.question.kind is Kind.GENERATIONS
        edges, has_bound = one.question.edges or (one.question.at,), any(name == BOUND for name, _ in one.metric.labels)
        apart = next((each for each in (one.gate, (one.question.tenant, None)) if each in self._apart), None)
        return tells_generations, has_bound, (edges[0] - _EPOCH) // _NEAR, (edges[-1] - _EPOCH) // _NEAR, apart

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self._tasks.discard)

    async def _run(self, kind: _Kind, *, moment: float = 0.0) -> None:
        """Wait for a slot, then take from the line what one query takes; what remains is for the next slot."""
        await asyncio.sleep(moment)
        apart = kind[-1]
        async with self._slot(apart[0] if apart else None):
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
            began = asyncio.get_running_loop().time()
            found = await self._ask(taken)
        if apart and not isinstance(found, SourceError) and asyncio.get_running_loop().time() - began < self._slots.longest(1) / 4:
            self._apart.pop(apart, None)
        await self._tell(taken, found)

    @asynccontextmanager
    async def _slot(self, tenant: str | None) -> AsyncIterator[None]:
        """Take a slot, which is given back by its use: for many tenants, or in the turn of one."""
        places, turn = (self._common, _ALL_TENANTS) if tenant is None else (self._single, tenant)
        await places.acquire(turn)
        try:
            await self._slots.acquire(turn)
            yield
        finally:
            places.release()

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

    async def _ask(self, waiting: Sequence[_Waiting]) -> _Found:
        """Use the slot that was taken."""
        questions = tuple(dict.fromkeys(one.question for one in waiting))
        try:
            return await self._slots.work(partial(_found, questions), rounds=_ROUNDS)
        except TimeoutError:
            late = self._slots.too_slow
            return SourceError(late.reason, late.message)

    async def _tell(self, waiting: Sequence[_Waiting], found: _Found, *, is_part: bool = False) -> None:
        """Hand the answers out, or ask again in halves."""
        if isinstance(found, SourceError) and found.is_by_data:
            gates, tenants = {one.gate for one in waiting}, {one.question.tenant for one in waiting}
            is_too_large = found.failed.reason is FailureReason.TOO_LARGE
            may_part = len(gates) > 1 if is_too_large else len(tenants) > 1 and not is_part
            if may_part:
                await asyncio.gather(*map(self._ask_again, _halves(waiting)))
                return
            self._go_apart(gates if len(gates) == 1 else {(tenant, None) for tenant in tenants})
        for one in _still(waiting):
            one.answer.set_result(found.failed if isinstance(found, SourceError) else found[one.question])

    def _go_apart(self, found: Collection[_Apart]) -> None:
        self._apart |= dict.fromkeys(found)
        for oldest in tuple(self._apart)[:-_MOST_APART]:
            del self._apart[oldest]

    async def _ask_again(self, waiting: Sequence[_Waiting]) -> None:
        tenants = {one.question.tenant for one in waiting}
        async with self._slot(tenants.pop() if len(tenants) == 1 else None):
            if not (still := _still(waiting)):
                self._slots.release()
                return
            found = await self._ask(still)
        await self._tell(still, found, is_part=True)


def _still(waiting: Sequence[_Waiting]) -> list[_Waiting]:
    return [one for one in waiting if not one.answer.done()]


def _found(questions: Sequence[LookRequest], call: Call) -> _Found:
    try:
        ask = ask_generations if questions[0].kind is Kind.GENERATIONS else ask_together
        return ask(questions, call)
    except SourceError as error:
        return error
    except QueryError as error:
        return SourceError(FailureReason.REFUSED, str(error))


def _halves(waiting: Sequence[_Waiting]) -> tuple[Sequence[_Waiting], Sequence[_Waiting]]:
    """Part the tenants; where there is one, its gates. There are two of the one or the other at least."""
    whose: list[Hashable] = [one.question.tenant for one in waiting]
    if len(set(whose)) == 1:
        whose = [one.gate for one in waiting]
    parties = list(dict.fromkeys(whose))
    first = set(parties[: len(parties) // 2])
    halves = [[one for one, party in zip(waiting, whose, strict=True) if (party in first) is is_first] for is_first in (True, False)]
    return halves[0], halves[1]
