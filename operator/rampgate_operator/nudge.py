"""Pods told at once that their rules have changed: an annotation on each makes the kubelet refresh its mount (design §8, "Propagation").

Knows which ConfigMaps have changed, in which version pods must know them, and how many requests may be under way. What calls for it is
core/nudging.py's. Level-based: a round lists the pods of a ConfigMap and tells those that were not told yet; a newer version takes the
place of the one under way, and the next round begins while pods still answer to the one before. What a failed round or a crash leaves
undone is not lost: kubelets refresh by themselves, only later.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rampgate_operator.cache import Cache, version_of
from rampgate_operator.core.conditions import PODS_NUDGED
from rampgate_operator.core.nudging import Urgency, changed_at, is_ours, urgency_of
from rampgate_operator.core.observation import NudgeRefused
from rampgate_operator.fair import FairSlots, Patience
from rampgate_operator.ports import (
    Body,
    Clock,
    Cluster,
    ClusterError,
    ConflictError,
    DeniedError,
    ForbiddenError,
    Key,
    Meter,
    Nudged,
    Patched,
)
from rampgate_operator.queue import Queue
from rampgate_operator.rules import Rules, gates_in

logger = logging.getLogger(__name__)
AT_ONCE = {Urgency.NOW: 12, Urgency.SOON: 4}
"""Requests under way in the whole operator. Those that put somebody back on control have slots of their own; ConfigMaps take turns."""
SLOW, MOST_SLOW = 1.0, 40
"""Seconds after which a request gives its slot back, though it has no answer yet; and how many may do so at once. With the slots they are
fewer than the connections that the client keeps: statuses and rules need theirs."""
APART = 0.2
"""Seconds between two rounds of one ConfigMap: a thousand gates that are rolled back together make no thousand rounds."""
LATELY = timedelta(minutes=2)
"""The kubelet's own refresh takes up to 90 s. What was written earlier than this needs no nudge any more."""
FIRST_RETRY, LONGEST_RETRY, RECHECK = 0.5, 30.0, 60.0
"""Seconds until a round is repeated: at first, at most, and while a right is missing."""
MOST_REFUSED = 3
"""So many pods refused for want of a right, and none accepted: the others would be refused as well. What admission refuses says
nothing of other pods, until kubelets have refreshed: from then on it is only looked for whether it still does."""

_NOTHING: Body = {}
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
    rounds: int = 0
    """How many have begun."""


@dataclass(kw_only=True)
class _Round:
    """What came of telling the pods of a ConfigMap once."""

    began: float
    is_late: bool
    """Whether kubelets have refreshed by now."""
    patches: Counter[Patched] = field(default_factory=Counter)
    refused: int = 0
    denied: int = 0
    told_before: int = 0
    may_list: bool = True
    refusal: ForbiddenError | None = None
    """The first one."""
    trouble: ClusterError | ConflictError | None = None

    def note(self, error: ClusterError | ConflictError) -> None:
        """Count what became of a pod that was not told."""
        self.patches[Patched.ERROR] += 1
        self.trouble = error
        if isinstance(error, ForbiddenError):
            self.refused += 1
            self.denied += isinstance(error, DeniedError)
            self.refusal = self.refusal or error

    @property
    def is_hopeless(self) -> bool:
        """Whether to go on would only be more of the same: a right is missing, or the API server wants to be left alone."""
        busy = isinstance(self.trouble, ClusterError) and self.trouble.retry_after > 0
        refused = self.refused if self.is_late else self.refused - self.denied
        return busy or (refused >= MOST_REFUSED and not self.patches[Patched.OK])

    def refused_as(self, config_map: str) -> NudgeRefused | None:
        """Say what is refused. Where some pods are or were told, it is about the others alone: None."""
        if self.refusal is None or (self.may_list and (self.patches[Patched.OK] or self.told_before)):
            return None
        return NudgeRefused(config_map=config_map, verb="patch" if self.may_list else "list", why=str(self.refusal))


class Nudges:
    """Tells pods of changes; the gates of a ConfigMap whose pods may not be told, or may be again, are queued. For one event loop."""

    def __init__(self, *, cluster: Cluster, rules: Rules, experiments: Cache, clock: Clock, queue: Queue[Key], meter: Meter) -> None:
        self._cluster, self._rules, self._experiments, self._clock = cluster, rules, experiments, clock
        self._queue, self._meter = queue, meter
        self._due = Queue[Key](lambda key: key.namespace)
        self._slots = {urgency: FairSlots(count) for urgency, count in AT_ONCE.items()}
        self._wanted: dict[Key, _Wanted] = {}
        self._began: dict[Key, float] = {}
        self._patching: dict[Key, asyncio.Task[str]] = {}
        self._patience = Patience(seconds=SLOW, most=MOST_SLOW)
        self._refused: dict[Key, NudgeRefused] = {}
        self._untried: set[Key] = set()
        rules.listeners.append(self.tell)

    def tell(self, config_map: Key, before: Body | None, after: Body | None) -> None:
        """Hear of a change; `before` is None of a ConfigMap that was not known, `after` of one that is gone."""
        if after is None:
            for kept in (self._began, self._wanted, self._refused):
                kept.pop(config_map, None)
            self._untried.discard(config_map)
            return
        if len(config_map.name) > LONGEST_LABEL:
            return
        urgency, is_new = self._urgency(config_map, before, after), before is None and is_ours(after)
        if urgency is None and not is_new:
            return
        if is_new:
            self._untried.add(config_map)
        known, now = self._wanted.get(config_map), _now()
        urgent = urgency is Urgency.NOW or (known is not None and known.urgency is Urgency.NOW)
        wanted = _Wanted(version=version_of(after), urgency=Urgency.NOW if urgent else Urgency.SOON, since=now, is_news=urgency is not None)
        self._wanted[config_map] = wanted
        self._due.add(config_map, delay=self._began.get(config_map, 0.0) + APART - now, urgent=urgent)
        if urgent:
            self._slots[Urgency.SOON].dismiss(str(config_map))

    def refused(self, config_map: Key) -> NudgeRefused | None:
        """Say why the pods of a ConfigMap are not told; None while they are."""
        return self._refused.get(config_map)

    def is_known(self, config_map: Key) -> bool:
        """Tell whether `refused` knows: since this process began, or the ConfigMap is there, its pods were asked after."""
        return config_map not in self._untried

    async def work(self) -> None:
        """Tell pods until cancelled; rounds run side by side, since slots bound what is under way and a slow one must hold up no other."""
        async with asyncio.TaskGroup() as group:
            while (config_map := await self._due.take()) is not None:
                began = self._began[config_map] = _now()
                group.create_task(self._try(config_map, began))

    def _urgency(self, config_map: Key, before: Body | None, after: Body) -> Urgency | None:
        if before is None:  # this process knows nothing of what was told
            changed = changed_at(after)
            is_late = changed is None or self._clock.now() - changed > LATELY
            if is_late:
                return Urgency.SOON if self._was_refused(config_map, after) else None
            return urgency_of(_NOTHING, after) or (Urgency.SOON if is_ours(after) else None)
        return urgency_of(before, after, is_awaited=lambda gate: self._is_awaited(Key(config_map.namespace, gate)))

    def _was_refused(self, config_map: Key, body: Body) -> bool:
        """Tell whether an Experiment still says that pods may not be told: only to tell them shows whether that is so."""
        found = (self._experiments.get(Key(config_map.namespace, gate)) or {} for gate in gates_in(body))
        conditions = (each for experiment in found for each in (experiment.get("status") or {}).get("conditions") or ())
        return any(each["type"] == PODS_NUDGED for each in conditions)

    def _is_doubted(self, config_map: Key) -> bool:
        """Tell whether an earlier process said that pods may not be told, and this one has not found out yet."""
        body = self._rules.cache.get(config_map)
        return config_map in self._untried and body is not None and self._was_refused(config_map, body)

    def _is_awaited(self, experiment: Key) -> bool:
        body = self._experiments.get(experiment)
        return body is not None and "confirm" in ((body.get("spec") or {}).get("ramp") or {})

    async def _try(self, config_map: Key, began: float) -> None:
        """Go one round; a bug in it must not end the process that keeps the rules."""
        wanted = self._wanted.get(config_map)
        if wanted is None:  # given up, or gone, since it was asked for
            self._due.finish(config_map)
            self._began.pop(config_map, None)
            return
        wanted = self._wanted[config_map] = replace(wanted, rounds=wanted.rounds + 1)
        # not of _began, which knows nothing of it when the ConfigMap has just gone and come back: then the next round concludes
        round_ = _Round(began=began, is_late=_now() - wanted.since > LATELY.total_seconds())
        try:
            async with asyncio.TaskGroup() as patches:
                await self._hand_out(config_map, wanted, round_, patches)
            self._conclude(config_map, wanted, round_)
        except Exception:
            logger.exception("%s: telling its pods: this is a bug in the operator", config_map)
            round_.trouble = ClusterError("a bug in the operator", retry_after=RECHECK)
            self._try_again(config_map, round_.trouble)
        if wanted.is_news or round_.trouble is not None:
            self._meter.nudged(_outcome(round_), round_.patches, seconds=_now() - wanted.since)

    async def _hand_out(self, config_map: Key, wanted: _Wanted, round_: _Round, patches: asyncio.TaskGroup) -> None:
        """Begin to tell each pod; the next round waits for no answer of a pod."""
        try:
            await self._go_round(config_map, wanted, round_, patches)
        except ForbiddenError as error:
            round_.may_list, round_.refusal, round_.trouble = False, error, error
        except (ClusterError, ConflictError) as error:  # they cannot be listed
            round_.trouble = error
        finally:
            self._due.finish(config_map)

    async def _go_round(self, config_map: Key, wanted: _Wanted, round_: _Round, patches: asyncio.TaskGroup) -> None:
        give_back = await self._slot(config_map, wanted)
        try:
            pods = await self._cluster.list_pods(config_map)
        finally:
            give_back()
        for pod in pods:
            newest = self._wanted.get(config_map)
            if newest is None or not newest.is_news:
                return
            key, version = Key(config_map.namespace, pod.name), str(newest.version)
            if pod.told == version:
                round_.told_before += 1
            elif (earlier := self._patching.get(key)) is not None:
                self._keep(key, patches.create_task(self._patch_after(earlier, config_map, key, round_)))
            else:
                give_back = await self._slot(config_map, newest)
                if round_.is_hopeless:
                    give_back()
                    return
                patch = patches.create_task(self._patch(config_map, key, round_))
                patch.add_done_callback(give_back)  # also of a task that is cancelled before it begins
                self._keep(key, patch)

    async def _slot(self, config_map: Key, wanted: _Wanted) -> Callable[..., None]:
        """Take a slot as urgently as pods must be told, also once that is more urgent; give what gives it back."""
        while True:
            slots = self._slots[self._wanted.get(config_map, wanted).urgency]
            if await slots.acquire(str(config_map)):
                return self._patience.lend(slots)

    def _keep(self, pod: Key, patch: asyncio.Task[str]) -> None:
        """Remember that a pod is being told: a slow one takes one slot, however many rounds come by."""
        self._patching[pod] = patch
        patch.add_done_callback(lambda _: self._patching.pop(pod) if self._patching.get(pod) is patch else None)

    async def _patch_after(self, earlier: asyncio.Task[str], config_map: Key, pod: Key, round_: _Round) -> str:
        """Tell a pod that an earlier round is still telling; of the rounds that wait for its answer the newest does it."""
        await asyncio.wait([earlier])
        wanted = self._wanted.get(config_map)
        if wanted is None or round_.is_hopeless or self._is_overtaken(config_map, round_):
            return ""
        if not earlier.cancelled() and earlier.exception() is None and earlier.result() == str(wanted.version):
            round_.told_before += 1
            return earlier.result()
        give_back = await self._slot(config_map, wanted)
        try:
            return await self._patch(config_map, pod, round_)
        finally:
            give_back()

    async def _patch(self, config_map: Key, pod: Key, round_: _Round) -> str:
        """Tell a pod; give the version that it knows now, "" where it failed."""
        try:
            newest = self._wanted.get(config_map)
            if newest is None:  # its ConfigMap is gone
                return ""
            there = await self._cluster.nudge_pod(pod, str(newest.version))
            round_.patches[Patched.OK if there else Patched.GONE] += 1
            return str(newest.version)
        except (ClusterError, ConflictError) as error:
            round_.note(error)
            if not isinstance(error, ForbiddenError) and not self._is_overtaken(config_map, round_):
                self._go_again(config_map, error)  # nor does it wait for who answers slowly
            return ""

    def _is_overtaken(self, config_map: Key, round_: _Round) -> bool:
        """Tell whether a later round has begun: it sees to all pods, also to those whose answer this one waits for."""
        return self._began.get(config_map) != round_.began

    def _conclude(self, config_map: Key, wanted: _Wanted, round_: _Round) -> None:
        """Forget what was done, and try again what was not, for as long as it is worth it."""
        if (told := round_.patches[Patched.OK]) and round_.trouble is None:
            logger.info("%s: %d pods were told of version %d in %.2f s", config_map, told, wanted.version, _now() - wanted.since)
        newest = self._wanted.get(config_map)
        if newest is None or self._is_overtaken(config_map, round_):  # its ConfigMap is gone, or the later round concludes
            return
        if (refused := round_.refused_as(config_map.name)) is not None:
            self._refuse(config_map, refused)
        elif round_.trouble is None or round_.patches[Patched.OK] or round_.told_before:
            self._accept(config_map)
        if round_.trouble is not None:
            self._try_again(config_map, round_.trouble)
        elif newest == wanted:
            del self._wanted[config_map]

    def _try_again(self, config_map: Key, trouble: ClusterError | ConflictError) -> None:
        wanted, is_refused = self._wanted.get(config_map), config_map in self._refused
        if not is_refused:
            logger.warning("%s: not all of its pods were told: %s", config_map, trouble)
        is_late = wanted is not None and _now() - wanted.since > LATELY.total_seconds()
        if is_late and not is_refused and not self._is_doubted(config_map):
            del self._wanted[config_map]  # kubelets have refreshed by now
            return
        self._go_again(config_map, trouble)

    def _go_again(self, config_map: Key, trouble: ClusterError | ConflictError) -> None:
        """Ask for another round; of several times the earliest counts."""
        wanted = self._wanted.get(config_map)
        if wanted is not None:
            delay = RECHECK if config_map in self._refused else min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(wanted.rounds - 1, 8))
            earliest = trouble.retry_after if isinstance(trouble, ClusterError) else 0.0
            self._due.add(config_map, delay=max(delay, earliest), urgent=wanted.urgency is Urgency.NOW)

    def _refuse(self, config_map: Key, refused: NudgeRefused) -> None:
        self._untried.discard(config_map)
        if self._refused.get(config_map) != refused:
            self._refused[config_map] = refused
            why, verb = refused.why, refused.verb
            logger.warning("%s: its pods are not told of changes: may not %s pods in this namespace: %s", config_map, verb, why)
            self._queue_gates(config_map)

    def _accept(self, config_map: Key) -> None:
        was_doubted = self._is_doubted(config_map)
        self._untried.discard(config_map)
        if self._refused.pop(config_map, None) is not None or was_doubted:
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
