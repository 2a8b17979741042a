"""The workers: they take Experiments from the queue, and try those again that failed."""

import asyncio
import logging
import random
from collections import Counter

from rampgate_operator.ports import ClusterError, ConflictError, Key, Meter, Outcome
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler

logger = logging.getLogger(__name__)
FIRST_RETRY, LONGEST_RACE, LONGEST_RETRY = 0.05, 1.0, 10.0
"""Seconds until a key is tried again: at first; at most after lost races, or when it is urgent; at most after other failures.

A step's schedule is absolute and does not depend on it."""
RACES_TOLD, MOST_FAILURES = 5, 20
"""After how many lost races in a row a person is told; where counting stops."""


class Workers:
    """Takes keys from the queue and reconciles them, several at once, never one key twice at a time."""

    def __init__(self, reconciler: Reconciler, queue: Queue[Key], meter: Meter) -> None:
        self._reconciler, self._queue, self._meter = reconciler, queue, meter
        self._failures: Counter[Key] = Counter()

    async def work(self, *, urgent_only: bool = False) -> None:
        """Work until the queue is closed; a write at hand is finished."""
        while (key := await self._queue.take(urgent_only=urgent_only)) is not None:
            started = asyncio.get_running_loop().time()
            try:
                outcome = await self._reconcile(key)
            finally:
                self._queue.finish(key)
            self._meter.reconciled(asyncio.get_running_loop().time() - started, outcome)
            await asyncio.sleep(0)  # however busy the queue is, the watch and the signals get their turn

    async def _reconcile(self, key: Key) -> Outcome:
        try:
            return await self._attempt(key)
        except Exception:  # the one broad except: an Experiment that trips a bug must not stop the others
            logger.exception("%s: this is a bug in the operator", key)
            self._reconciler.forget_answers(key)
            self._try_again(key, longest=LONGEST_RETRY)
            return Outcome.BUG

    async def _attempt(self, key: Key) -> Outcome:
        """Reconcile a key, or say when it is tried again: how urgently depends on readings, and they may be what trips a bug."""
        try:
            try:
                await self._reconciler.reconcile(key)
            except ConflictError as conflict:
                await self._reconciler.refresh(key)
                self._gather_again(key, conflict)
                return Outcome.CONFLICT
            del self._failures[key]
        except ClusterError as error:
            logger.warning("%s: %s", key, error)
            self._try_again(key, longest=LONGEST_RETRY, earliest=error.retry_after)
            return Outcome.ERROR
        return Outcome.OK

    def _gather_again(self, key: Key, conflict: ConflictError) -> None:
        """At once after a lost race; more slowly when it is lost again and again, since then somebody writes all the time."""
        if not self._failures[key]:
            self._failures[key] = 1
            self._queue.add(key, urgent=self._reconciler.is_urgent(key))
            return
        if self._failures[key] == RACES_TOLD:
            logger.warning("%s: somebody else keeps changing what is to be written: %s", key, conflict)
        self._try_again(key, longest=LONGEST_RACE)

    def _try_again(self, key: Key, *, longest: float, earliest: float = 0.0) -> None:
        self._failures[key] = min(self._failures[key] + 1, MOST_FAILURES)
        urgent = self._reconciler.is_urgent(key)
        latest = min(LONGEST_RACE if urgent else longest, FIRST_RETRY * 2 ** self._failures[key])
        delay = random.uniform(latest / 2, latest)  # noqa: S311  # spreads retries, keeps no secret
        self._queue.add(key, delay=max(delay, earliest), urgent=urgent)
