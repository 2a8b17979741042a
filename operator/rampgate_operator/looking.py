"""The questions that are under way: when each Experiment asks Prometheus, and the answers that wait for its next decision.

Knows what was asked when. Losing it costs a look, never a decision. What is asked, and what an answer means, is the core's.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from rampgate_operator.core.decide import Decision
from rampgate_operator.core.grid import next_of_grid
from rampgate_operator.core.guardrails import any_breach
from rampgate_operator.core.observation import Look, PodsLook, Reading
from rampgate_operator.core.questions import Questions, ask, ask_of_pods, read_answers
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Status
from rampgate_operator.core.waiting import Situation
from rampgate_operator.ports import Key, Metrics
from rampgate_operator.queue import Queue

GATHERING = 0.05
"""Seconds that a reading without a breach waits for its Experiment's others, so that they make one decision."""
MOST_ANSWERS = 1000
"""Readings that wait for a decision that can be carried out; under an endless storm of edits none may be for long."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PODS = "pods"


@dataclass(kw_only=True)
class _Asked:
    """When an Experiment asked last: of its guardrails, and of its pods."""

    uid: str
    guardrails: datetime | None = None
    pods: datetime | None = None


class Looking:
    """Asks, and keeps what was answered; for one event loop. `decided` gives the status by which a breach is told from none."""

    def __init__(self, metrics: Metrics, queue: Queue[Key], *, decided: Callable[[Key], Status | None]) -> None:
        self._metrics, self._queue, self._decided = metrics, queue, decided
        self._answers: dict[Key, list[Reading]] = {}
        self._asked: dict[Key, _Asked] = {}
        self._under_way: dict[tuple[Key, str], asyncio.Task[None]] = {}

    def answers(self, key: Key) -> tuple[Reading, ...]:
        """Give the answers that have come in; of too many the last ones."""
        waiting = self._answers.get(key, [])
        del waiting[:-MOST_ANSWERS]
        return tuple(waiting)

    def took_in(self, key: Key, count: int) -> None:
        """Note that the first of them were part of a decision that was carried out."""
        del self._answers.get(key, [])[:count]

    def forget_answers(self, key: Key) -> None:
        """Forget what has come in; it is asked for again."""
        self._answers.pop(key, None)

    def forget(self, key: Key) -> None:
        """Forget an Experiment."""
        self._answers.pop(key, None)
        self._asked.pop(key, None)

    def has_breach(self, key: Key, spec: Spec) -> bool:
        """Tell whether one of the answers is a breach."""
        looks = [answer for answer in self._answers.get(key, ()) if isinstance(answer, Look)]
        return any_breach(spec, looks, self._decided(key))

    def ask(self, key: Key, situation: Situation, decision: Decision) -> None:
        """Ask what is due; the answers bring the key back, and so does the next time that something is due."""
        asked, uid = self._asked.get(key), situation.experiment.uid
        if asked is None or asked.uid != uid:
            asked = self._asked[key] = _Asked(uid=uid)
        if decision.look_every is not None and decision.look_from is not None:
            asked.guardrails, is_due = self._turn(key, asked.guardrails, situation.now, decision.look_from, decision.look_every)
            for name, questions in ask(situation, self._metrics.lookbacks()).apart().items() if is_due else ():
                self._begin(key, name, partial(self._look, key, questions, situation.spec))
        if decision.look_at_pods_every is not None:  # on a grid that all share, so that one query answers all
            asked.pods, is_due = self._turn(key, asked.pods, situation.now, _EPOCH, decision.look_at_pods_every)
            if is_due:
                self._begin(key, _PODS, partial(self._look_at_pods, key, situation))

    async def close(self) -> None:
        """Stop waiting for answers."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _turn(self, key: Key, asked_at: datetime | None, now: datetime, origin: datetime, every: timedelta) -> tuple[datetime | None, bool]:
        """Tell whether it is due, and when it was asked last; have the key come up when it is due next."""
        due = now if asked_at is None or asked_at > now else next_of_grid(asked_at, origin=origin, interval=every)
        is_due = due <= now
        following = next_of_grid(now, origin=origin, interval=every) if is_due else due
        self._queue.add(key, delay=(following - now).total_seconds())
        return (now if is_due else asked_at), is_due

    def _begin(self, key: Key, name: str, look: Callable[[], Coroutine[None, None, bool]]) -> None:
        if (key, name) not in self._under_way:
            self._under_way[key, name] = asyncio.create_task(self._finish(key, name, look))

    async def _finish(self, key: Key, name: str, look: Callable[[], Coroutine[None, None, bool]]) -> None:
        urgent = False
        try:
            urgent = await look()
        finally:
            del self._under_way[key, name]
            self._queue.add(key, urgent=urgent, delay=0.0 if urgent else GATHERING)

    async def _look(self, key: Key, questions: Questions, spec: Spec) -> bool:
        """Wait for an answer; tell whether it is a breach."""
        looks, exposures = read_answers(questions, await self._metrics.answer(questions.requests))
        self._answers.setdefault(key, []).extend([*looks, *([exposures] if exposures else [])])
        return any_breach(spec, looks, self._decided(key))

    async def _look_at_pods(self, key: Key, situation: Situation) -> bool:
        request = ask_of_pods(situation)
        answer = (await self._metrics.answer([request]))[request.key]
        self._answers.setdefault(key, []).append(PodsLook(generation=request.generation, answer=answer))
        return False
