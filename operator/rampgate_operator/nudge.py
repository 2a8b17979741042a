"""Pods told at once that their rules have changed: an annotation on each makes the kubelet refresh its mount (design §8, "Propagation").

Knows which ConfigMaps have changed, in which version pods must know them, and how many requests may be under way. What calls for it is
core/nudging.py's. Level-based: a round lists the pods of a ConfigMap and tells those that were not told yet; a newer version takes the
place of the one under way. What a failed round or a crash leaves undone is not lost: kubelets refresh by themselves, only later.
"""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rampgate_operator.cache import Cache, version_of
from rampgate_operator.core.nudging import Urgency, changed_at, is_ours, urgency_of
from rampgate_operator.core.observation import NudgeRefused
from rampgate_operator.fair import FairSlots
from rampgate_operator.ports import (
    Body,
    Clock,
    Cluster,
    ClusterError,
    ConflictError,
    ForbiddenError,
    Key,
    Meter,
    Nudged,
    Patched,
    Pod,
)
from rampgate_operator.queue import Queue
from rampgate_operator.rules import Rules, gates_in

logger = logging.getLogger(__name__)
AT_ONCE = {Urgency.NOW: 12, Urgency.SOON: 4}
"""Requests under way in the whole operator. Those that put somebody back on control have slots of their own; ConfigMaps take turns."""
APART = 0.2
"""Seconds between two rounds of one ConfigMap: a thousand gates that are rolled back together make no thousand rounds."""
LATELY = timedelta(minutes=2)
"""The kubelet's own refresh takes up to 90 s. What was written earlier than this needs no nudge any more."""
FIRST_RETRY, LONGEST_RETRY, RECHECK = 0.5, 30.0, 60.0
"""Seconds until a round is repeated: at first, at most, and while a right is missing."""
MOST_REFUSED = 3
"""So many pods refused, and none accepted: the others would be refused as well."""

LONGEST_LABEL = 63
"""Of a longer name no pod's label can tell: a document's beside a ConfigMap whose own name is long."""


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What the pods of a ConfigMap must know."""

    version: int
    urgency: Urgency
    since: float
    is_news: bool = True
    """Else they are listed alone, to learn whether that is allowed."""
    failures: int = 0


@dataclass(kw_only=True)
class _Round:
    """What came of telling the pods of a ConfigMap once."""

    patches: Counter[Patched] = field(default_factory=Counter)
    refused: int = 0
    told_before: int = 0
    may_list: bool = True
    trouble: ClusterError | ConflictError | None = None

    @property
    def is_hopeless(self) -> bool:
        """Whether to go on would only be more of the same: a right is missing, or the API server wants to be left alone."""
        busy = isinstance(self.trouble, ClusterError) and self.trouble.retry_after > 0
        return busy or (self.refused >= MOST_REFUSED and not self.patches[Patched.OK])

    @property
    def missing_right(self) -> str | None:
        """The verb that is refused. Where some pods are or were told, it is about the others alone: as an admission webhook answers."""
        if not self.may_list:
            return "list"
        return "patch" if self.refused and not self.patches[Patched.OK] and not self.told_before else None


class Nudges:
    """Tells pods of changes; the gates of a ConfigMap whose pods may not be told, or may be again, are queued. For one event loop."""

    def __init__(self, *, cluster: Cluster, rules: Rules, experiments: Cache, clock: Clock, queue: Queue[Key], meter: Meter) -> None:
        self._cluster, self._rules, self._experiments, self._clock = cluster, rules, experiments, clock
        self._queue, self._meter = queue, meter
        self._due = Queue[Key](lambda key: key.namespace)
        self._slots = {urgency: FairSlots(count) for urgency, count in AT_ONCE.items()}
        self._wanted: dict[Key, _Wanted] = {}
        self._began: dict[Key, float] = {}
        self._refused: dict[Key, NudgeRefused] = {}
        rules.listeners.append(self.tell)

    def tell(self, config_map: Key, before: Body | None, after: Body | None) -> None:
        """Hear of a change; `before` is None of a ConfigMap that was not known, `after` of one that is gone."""
        if after is None:
            for kept in (self._began, self._wanted, self._refused):
                kept.pop(config_map, None)
            return
        if len(config_map.name) > LONGEST_LABEL:
            return
        urgency, is_new = self._urgency(config_map, before, after), before is None and is_ours(after)
        if urgency is None and not is_new:
            return
        known, now = self._wanted.get(config_map), _now()
        urgent = urgency is Urgency.NOW or (known is not None and known.urgency is Urgency.NOW)
        wanted = _Wanted(version=version_of(after), urgency=Urgency.NOW if urgent else Urgency.SOON, since=now, is_news=urgency is not None)
        self._wanted[config_map] = wanted
        self._due.add(config_map, delay=self._began.get(config_map, 0.0) + APART - now, urgent=urgent)

    def refused(self, config_map: Key) -> NudgeRefused | None:
        """Say why the pods of a ConfigMap are not told; None while they are."""
        return self._refused.get(config_map)

    async def work(self) -> None:
        """Tell pods until cancelled; rounds run side by side, since slots bound what is under way and a slow one must hold up no other."""
        async with asyncio.TaskGroup() as group:
            while (config_map := await self._due.take()) is not None:
                self._began[config_map] = _now()
                group.create_task(self._try(config_map))

    def _urgency(self, config_map: Key, before: Body | None, after: Body) -> Urgency | None:
        if before is None:  # this process knows nothing of what was told
            changed = changed_at(after)
            return Urgency.SOON if changed is not None and self._clock.now() - changed <= LATELY else None
        return urgency_of(before, after, is_awaited=lambda gate: self._is_awaited(Key(config_map.namespace, gate)))

    def _is_awaited(self, experiment: Key) -> bool:
        body = self._experiments.get(experiment)
        return body is not None and "confirm" in ((body.get("spec") or {}).get("ramp") or {})

    async def _try(self, config_map: Key) -> None:
        """Go one round; a bug in it must not end the process that keeps the rules."""
        wanted, round_ = self._wanted.get(config_map), _Round()
        if wanted is None:  # given up, or gone, since it was asked for
            self._due.finish(config_map)
            self._began.pop(config_map, None)
            return
        try:
            await self._go_round(config_map, wanted, round_)
        except ForbiddenError as error:
            round_.may_list, round_.trouble = False, error
        except (ClusterError, ConflictError) as error:  # they cannot be listed
            round_.trouble = error
        except Exception:
            logger.exception("%s: telling its pods: this is a bug in the operator", config_map)
            round_.trouble = ClusterError("a bug in the operator", retry_after=RECHECK)
        finally:
            self._due.finish(config_map)
        if wanted.is_news or round_.trouble is not None:
            self._meter.nudged(_outcome(round_), round_.patches, seconds=_now() - wanted.since)
        self._conclude(config_map, wanted, round_)

    async def _go_round(self, config_map: Key, wanted: _Wanted, round_: _Round) -> None:
        slots = await self._slot(config_map, wanted)
        try:
            pods = await self._cluster.list_pods(config_map)
        finally:
            slots.release()
        async with asyncio.TaskGroup() as group:
            for pod in pods:
                newest = self._wanted.get(config_map)
                if newest is None or not newest.is_news:
                    return
                if pod.told == str(newest.version):
                    round_.told_before += 1
                    continue
                slots = await self._slot(config_map, newest)
                if round_.is_hopeless:
                    slots.release()
                    return
                group.create_task(self._patch(config_map, pod, round_, slots))

    async def _slot(self, config_map: Key, wanted: _Wanted) -> FairSlots:
        """Take a slot as urgently as pods must be told; give what it must be given back to."""
        slots = self._slots[wanted.urgency]
        await slots.acquire(str(config_map))
        return slots

    async def _patch(self, config_map: Key, pod: Pod, round_: _Round, slots: FairSlots) -> None:
        try:
            newest = self._wanted.get(config_map)
            if newest is None:  # its ConfigMap is gone
                return
            there = await self._cluster.nudge_pod(Key(config_map.namespace, pod.name), str(newest.version))
            round_.patches[Patched.OK if there else Patched.GONE] += 1
        except (ClusterError, ConflictError) as error:
            round_.patches[Patched.ERROR] += 1
            round_.refused += isinstance(error, ForbiddenError)
            round_.trouble = error
        finally:
            slots.release()

    def _conclude(self, config_map: Key, wanted: _Wanted, round_: _Round) -> None:
        """Forget what was done, and try again what was not, for as long as it is worth it."""
        newest = self._wanted.get(config_map)
        if newest is None:  # its ConfigMap is gone
            return
        if round_.missing_right is not None:
            self._refuse(config_map, round_.missing_right)
        elif round_.trouble is None or round_.patches[Patched.OK]:
            self._accept(config_map)
        if round_.trouble is not None:
            self._try_again(config_map, newest, round_.trouble)
            return
        if told := round_.patches[Patched.OK]:
            logger.info("%s: %d pods were told of version %d in %.2f s", config_map, told, wanted.version, _now() - wanted.since)
        if newest == wanted:
            del self._wanted[config_map]

    def _try_again(self, config_map: Key, wanted: _Wanted, trouble: ClusterError | ConflictError) -> None:
        is_refused = config_map in self._refused
        if not is_refused:
            logger.warning("%s: not all of its pods were told: %s", config_map, trouble)
        if not is_refused and _now() - wanted.since > LATELY.total_seconds():
            del self._wanted[config_map]  # kubelets have refreshed by now
            return
        delay = RECHECK if is_refused else min(LONGEST_RETRY, FIRST_RETRY * 2**wanted.failures)
        self._wanted[config_map] = replace(wanted, failures=wanted.failures + 1)
        earliest = trouble.retry_after if isinstance(trouble, ClusterError) else 0.0
        self._due.add(config_map, delay=max(delay, earliest), urgent=wanted.urgency is Urgency.NOW)

    def _refuse(self, config_map: Key, verb: str) -> None:
        known, refused = self._refused.get(config_map), NudgeRefused(config_map=config_map.name, verb=verb)
        self._refused[config_map] = refused
        if known != refused:
            logger.warning("%s: its pods are not told of changes: may not %s pods in this namespace", config_map, verb)
            self._queue_gates(config_map)

    def _accept(self, config_map: Key) -> None:
        if self._refused.pop(config_map, None) is not None:
            self._queue_gates(config_map)

    def _queue_gates(self, config_map: Key) -> None:
        body = self._rules.cache.get(config_map)
        for gate in gates_in(body) if body is not None else ():
            self._queue.add(Key(config_map.namespace, gate))


def _outcome(round_: _Round) -> Nudged:
    if round_.trouble is None:
        return Nudged.OK
    return Nudged.FORBIDDEN if isinstance(round_.trouble, ForbiddenError) else Nudged.ERROR


def _now() -> float:
    return asyncio.get_running_loop().time()
