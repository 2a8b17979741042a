"""The workers: they take Experiments from the queue, and try those again that failed."""

import asyncio
import logging
import random
from collections import Counter

from rampgate_operator.ports import ClusterError, ConflictError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler, wants_kill

logger = logging.getLogger(__name__)
FIRST_RETRY, LONGEST_RETRY = 0.5, 10.0
"""Seconds until a failed key is tried again; a step's schedule is absolute and does not depend on it."""


class Workers:
    """Takes keys from the queue and reconciles them, several at once, never one key twice at a time."""

    def __init__(self, reconciler: Reconciler, queue: Queue[Key]) -> None:
        self._reconciler, self._queue = reconciler, queue
        self._failures: Counter[Key] = Counter()

    async def work(self) -> None:
        """Work until the queue is closed; a write at hand is finished."""
        while (key := await self._queue.take()) is not None:
            try:
                await self._reconcile(key)
            finally:
                self._queue.finish(key)
            await asyncio.sleep(0)  # however busy the queue is, the watch and the signals get their turn

    async def _reconcile(self, key: Key) -> None:
        try:
            try:
                await self._reconciler.reconcile(key)
            except ConflictError as conflict:
                logger.debug("%s: gathering again: %s", key, conflict)
                await self._reconciler.refresh(key)
                self._try_again(key, delay=0.0)
            else:
                del self._failures[key]
        except ClusterError as error:
            logger.warning("%s: %s", key, error)
            self._try_again(key, delay=self._back_off(key))
        except Exception:  # the one broad except: an Experiment that trips a bug must not stop the others
            logger.exception("%s: this is a bug in the operator", key)
            self._try_again(key, delay=self._back_off(key))

    def _try_again(self, key: Key, *, delay: float) -> None:
        body = self._reconciler.experiments.get(key)
        self._queue.add(key, delay=delay, urgent=body is not None and wants_kill(body))

    def _back_off(self, key: Key) -> float:
        self._failures[key] += 1
        longest = min(LONGEST_RETRY, FIRST_RETRY * 2 ** self._failures[key])
        return random.uniform(FIRST_RETRY, longest)  # noqa: S311  # spreads retries, keeps no secret
