"""One Experiment, brought one decision forward: gather, decide, apply.

The only place where the core meets the outside, through the protocols of ports.py. Level-based: it does not matter why a key came up.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rampgate_operator.cache import Cache, key_of
from rampgate_operator.core.checkpoint import for_people, must_persist
from rampgate_operator.core.compile import compile_entry
from rampgate_operator.core.conditions import RULES_RENDERED, Announcement
from rampgate_operator.core.decide import Decision, decide
from rampgate_operator.core.examine import examine
from rampgate_operator.core.experiment import Experiment, config_map_name_of, read_experiment
from rampgate_operator.core.observation import ExposureLook, Look, Observation, Ownership, PodsLook, see_rules
from rampgate_operator.core.ramp import LATCHED
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase, Status, read_status
from rampgate_operator.core.waiting import Situation
from rampgate_operator.events import Events
from rampgate_operator.fair import FairSlots
from rampgate_operator.flagd import FlagdDocuments
from rampgate_operator.health import WatchProbe
from rampgate_operator.looking import Looking
from rampgate_operator.nudge import Nudges
from rampgate_operator.ports import Body, Clock, Cluster, ClusterError, ConflictError, Key, Meter, Metrics
from rampgate_operator.queue import Queue
from rampgate_operator.revisions import Revisions
from rampgate_operator.rules import Rules

logger = logging.getLogger(__name__)
RULES_RECHECK = 10.0
"""Seconds until a ConfigMap that is foreign, or that was full, is looked at again."""
MOST_POSTING, LAST_EVENTS = 100, 5.0
"""Decisions whose Events are under way at once, and the seconds that the last ones get when the operator ends."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What this process knows of an Experiment beyond its persisted status. Losing it costs a look, never a decision."""

    uid: str
    generation: int = -1
    """The metadata.generation that was examined last."""
    examined: Spec | str = "it has not been examined"
    spec: Spec | None = None
    """The last accepted spec."""
    sought: bool = False
    """Whether the one that an earlier process accepted was looked for."""
    persisted: Status | None = None
    decided: Status | None = None
    """`persisted` with the readings that were not worth a write; void once the persisted one is another."""
    recheck_at: datetime | None = None
    """When time alone could change the last decision."""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """All that one decision is made of."""

    body: Body
    experiment: Experiment
    config_map: Key
    persisted: Status | None
    status: Status | None
    observation: Observation
    answered: int
    """How many of the answers that came in are part of the observation."""


class Reconciler:
    """Brings Experiments forward one by one; keeps what was seen and what was asked."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        metrics: Metrics,
        clock: Clock,
        queue: Queue[Key],
        meter: Meter,
        render_flagd: bool = False,
        nudge_pods: bool = False,
    ) -> None:
        self._cluster, self._metrics, self._clock, self._queue, self._meter = cluster, metrics, clock, queue, meter
        self.experiments = Cache()
        self.watch = WatchProbe()
        self.rules = Rules(cluster, queue, self.watch)
        self.flagd = FlagdDocuments(cluster, self.rules, self.watch, queue) if render_flagd else None
        self.nudges = (
            Nudges(cluster=cluster, rules=self.rules, experiments=self.experiments, clock=clock, queue=queue, meter=meter)
            if nudge_pods
            else None
        )
        self._revisions, self._events = Revisions(cluster), Events(cluster)
        self._memories: dict[Key, Memory] = {}
        self._read: dict[Key, tuple[str, Status | None]] = {}
        self._looking = Looking(metrics, queue, decided=self._decided)
        self._posting: set[asyncio.Task[None]] = set()
        self._examining = {False: FairSlots(1), True: FairSlots(1)}
        """By whether a person wants a kill."""

    async def reconcile(self, key: Key) -> None:
        """Bring one Experiment one decision forward.

        1. Gather: the Experiment, its status, its gate's entry, the readings that have come in, the time.
        2. Decide: what the status must be, and why. Before exposure rises, gather once more from the API server, and decide by that.
        3. Apply: a newly accepted spec's revision; the status, since it is the memory; then the gate's entry from the status as persisted;
           then Events.
        4. Ask Prometheus what is due; the answers bring the key back.
        5. Come back when time alone could change the decision.

        A crash between any two is repaired by running again. Raises ConflictError when something was old, ClusterError when the API
        server could not do it; the key is then to be tried again.
        """
        decided = await self._decide(key)
        if decided is not None and _raises_exposure(*decided):
            decided = await self._decide_afresh(key, *decided)
        if decided is None:
            await self._forget(key)
            return
        gathered, decision = decided
        try:
            await self._apply(key, gathered, decision)
        except (ConflictError, ClusterError):
            self._look_on(key, gathered, decision)
            raise
        self._ask(key, gathered, decision)
        self._come_back(key, gathered, decision)

    async def refresh(self, key: Key) -> None:
        """Look again at all that a decision about a key is made of, after a lost race."""
        since = self.experiments.version(key)
        body = await self._cluster.get_experiment(key)
        if body is None:  # its entry may be in any ConfigMap
            self.experiments.forget(key)
            for known in self.rules.cache:
                if known["metadata"]["namespace"] == key.namespace:
                    await self.rules.refresh(key_of(known))
            return
        self.experiments.see_live(body, since=since)
        await self.rules.refresh(Key(key.namespace, config_map_name_of(body)))

    def statuses(self) -> Iterator[tuple[Key, Status]]:
        """Give where each Experiment is, with the readings that were not worth a write."""
        return ((key, memory.decided) for key, memory in self._memories.items() if memory.decided is not None)

    def forget_answers(self, key: Key) -> None:
        """Forget the readings of an Experiment that have come in: one of them may be what trips a bug. Others are asked for."""
        self._looking.forget_answers(key)

    def is_urgent(self, key: Key) -> bool:
        """Tell whether a key must go before others: a kill or a breach to act on, or an ended attempt that pods may still obey."""
        body = self.experiments.get(key)
        if body is None:
            return False
        memory = self._memories.get(key)
        breaches = memory is not None and memory.spec is not None and self._looking.has_breach(key, memory.spec)
        return wants_kill(body) or breaches or self._is_unserved_end(key, body)

    async def close(self) -> None:
        """Stop waiting for answers; Events that are under way may still arrive."""
        await self._looking.close()
        if self._posting:
            await asyncio.wait(self._posting, timeout=LAST_EVENTS)

    def _decided(self, key: Key) -> Status | None:
        memory = self._memories.get(key)
        return None if memory is None else memory.decided

    # --- gather and decide ---

    async def _decide(self, key: Key) -> tuple[Gathered, Decision] | None:
        gathered = await self._gather(key)
        return None if gathered is None else (gathered, decide(gathered.experiment, gathered.status, gathered.observation))

    async def _decide_afresh(self, key: Key, gathered: Gathered, decision: Decision) -> tuple[Gathered, Decision] | None:
        """Ask the API server first: the watch may have missed break-glass, or a foreign ConfigMap."""
        try:
            await self.refresh(key)
            return await self._decide(key)
        except (ConflictError, ClusterError):
            self._look_on(key, gathered, decision)
            raise

    async def _gather(self, key: Key) -> Gathered | None:
        body = self.experiments.get(key)
        if body is None:
            body = await self._cluster.get_experiment(key)  # never act on an absence that was not asked for
        if body is None:
            return None
        self.experiments.see(body)
        persisted = self._read_status(key, body)
        experiment = await self._understand(key, body, persisted)
        memory = self._known(key, body)
        config_map = Key(key.namespace, config_map_name_of(body))
        rules = await self.rules.see(config_map, key.name)
        answers = self._looking.answers(key)
        pods = [answer for answer in answers if isinstance(answer, PodsLook)]
        return Gathered(
            body=body,
            experiment=experiment,
            config_map=config_map,
            persisted=persisted,
            status=memory.decided if persisted is not None and persisted == memory.persisted else persisted,
            observation=Observation(
                now=self._clock.now(),
                rules=rules,
                looks=tuple(answer for answer in answers if isinstance(answer, Look)),
                exposures=tuple(answer for answer in answers if isinstance(answer, ExposureLook)),
                pods=pods[-1] if pods else None,
                flagd=self.flagd.see(config_map, key.name) if self.flagd else None,
                nudge_refused=self.nudges.refused(config_map) if self.nudges else None,
                nudge_known=self.nudges is None or self.nudges.is_known(config_map),
            ),
            answered=len(answers),
        )

    async def _understand(self, key: Key, body: Body, persisted: Status | None) -> Experiment:
        """Read an Experiment by its newest spec that can be run, which may be one that an earlier process accepted."""
        memory = await self._examine(key, body)
        if memory.spec is None and not memory.sought and not wants_kill(body):  # a restart met a spec that cannot be run
            accepted = await self._revisions.last_accepted(body, persisted)
            memory = self._known(key, body)  # a neighbour's worker may have come first
            memory = self._memories[key] = replace(memory, spec=memory.spec or accepted, sought=True)
        return read_experiment(body, accepted=memory.spec, examined=memory.examined)

    async def _examine(self, key: Key, body: Body) -> Memory:
        """Examine a spec once per generation; forget what was known of an earlier object of that name.

        In a thread, since the largest spec takes a second. Never more than one at a time, and one that a person wants killed, since
        threads share one processor with all that the operator does: many at once would cost it its lease, and every kill.
        """
        generation = body["metadata"]["generation"]
        if self._known(key, body).generation < generation:
            slots = self._examining[wants_kill(body)]
            await slots.acquire(key.namespace)
            try:
                if self._known(key, body).generation < generation:  # a neighbour's worker may have come first
                    self._learn(key, body, await asyncio.to_thread(examine, body, sources=self._metrics.lookbacks()))
            finally:
                slots.release()
        return self._known(key, body)

    def _learn(self, key: Key, body: Body, examined: Spec | str) -> None:
        memory, generation = self._known(key, body), body["metadata"]["generation"]
        if memory.generation < generation:
            spec = memory.spec if isinstance(examined, str) else examined
            self._memories[key] = replace(memory, generation=generation, examined=examined, spec=spec)

    def _read_status(self, key: Key, body: Body) -> Status | None:
        """Read a status once per version of its Experiment."""
        version, (known, status) = body["metadata"]["resourceVersion"], self._read.get(key, ("", None))
        if known != version:
            status = read_status(body.get("status"))
            self._read[key] = (version, status)
        return status

    def _known(self, key: Key, body: Body) -> Memory:
        memory, uid = self._memories.get(key), body["metadata"]["uid"]
        return memory if memory is not None and memory.uid == uid else Memory(uid=uid)

    # --- apply ---

    async def _apply(self, key: Key, gathered: Gathered, decision: Decision) -> None:
        persisted = gathered.persisted
        spec = gathered.experiment.spec
        if spec is not None and decision.status.spec_digest != (persisted.spec_digest if persisted else ""):
            await self._revisions.keep(gathered.body, spec)
        if persisted is None or must_persist(persisted, decision.status):
            body = await self._persist(gathered, decision.status)
            self.experiments.see(body)
            self.watch.expect(body)
            persisted = read_status(body["status"])
        if persisted is None:
            raise TypeError("the API server gave back a status that cannot be read")
        self._remember(key, gathered, decision, persisted)  # now, for metrics must tell that the entry cannot be written
        try:
            await self._serve(gathered, persisted)
        finally:  # the status is persisted, and would not call for them again
            self._announce(gathered, decision.announcements)

    async def _persist(self, gathered: Gathered, status: Status) -> Body:
        before = gathered.persisted
        is_new_latch = status.phase in LATCHED and before is not None and before.latch != status.latch
        write = self._cluster.latch if is_new_latch else self._cluster.write_status
        return await write(gathered.body, for_people(status, gathered.experiment.spec))

    async def _serve(self, gathered: Gathered, persisted: Status) -> None:
        experiment, config_map, seen = gathered.experiment, gathered.config_map, gathered.observation.rules
        line = compile_entry(experiment, persisted, seen.entry)
        if seen.ownership is Ownership.ABSENT:
            neighbours = await self._neighbours(config_map)
            await self.rules.create(config_map, neighbours | ({experiment.name: line} if line else {}), of=experiment.name)
        elif line is not None:
            await self.rules.write(config_map, experiment.name, line, seen=seen)
        await self.rules.remove(experiment.namespace, experiment.name, keep=config_map.name)

    async def _neighbours(self, config_map: Key) -> dict[str, str]:
        """Render every gate of a ConfigMap that has to be created, each from its own persisted status."""
        lines: dict[str, str] = {}
        for body in self.experiments:
            key, status = key_of(body), read_status(body.get("status"))
            if status is not None and Key(key.namespace, config_map_name_of(body)) == config_map:
                line = compile_entry(await self._understand(key, body, status), status, None)
                lines |= {key.name: line} if line else {}
        return lines

    def _announce(self, gathered: Gathered, announcements: Sequence[Announcement]) -> None:
        """Log them at once, and post them as Events without waiting: an Event is a courtesy, status and condition say the same."""
        experiment = gathered.experiment
        for each in announcements:
            level = logging.WARNING if each.warning else logging.INFO
            facts = {"namespace": experiment.namespace, "experiment": experiment.name, "reason": each.reason.value}
            logger.log(level, "%s/%s: %s: %s", experiment.namespace, experiment.name, each.reason, each.message, extra=facts)
        if announcements and len(self._posting) < MOST_POSTING:
            task = asyncio.create_task(self._post(gathered, announcements))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)

    async def _post(self, gathered: Gathered, announcements: Sequence[Announcement]) -> None:
        for announcement in announcements:
            try:
                await self._events.post(gathered.body, announcement, gathered.observation.now)
            except (ClusterError, ConflictError) as error:
                logger.warning("%s/%s: no Event was posted: %s", gathered.experiment.namespace, gathered.experiment.name, error)

    async def _forget(self, key: Key) -> None:
        await self.rules.remove(key.namespace, key.name, keep=None)
        self.experiments.forget(key)
        self._looking.forget(key)
        for known in (self._memories, self._read):
            known.pop(key, None)

    def _is_unserved_end(self, key: Key, body: Body) -> bool:
        config_map = self.rules.cache.get(Key(key.namespace, config_map_name_of(body)))
        entry = see_rules(config_map, key.name).entry
        return (body.get("status") or {}).get("phase") in LATCHED and entry is not None and "serve" not in entry.content

    # --- what comes next ---

    def _remember(self, key: Key, gathered: Gathered, decision: Decision, persisted: Status) -> None:
        memory, now = self._memories[key], gathered.observation.now
        self._memories[key] = replace(memory, persisted=persisted, decided=decision.status, recheck_at=decision.recheck_at)
        self._meter.decided(gathered.status, decision.status, now, due=memory.recheck_at)
        self._looking.took_in(key, gathered.answered)

    def _ask(self, key: Key, gathered: Gathered, decision: Decision) -> None:
        spec = gathered.experiment.spec
        if spec is not None:
            situation = Situation(experiment=gathered.experiment, spec=spec, status=decision.status, observation=gathered.observation)
            self._looking.ask(key, situation, decision)

    def _look_on(self, key: Key, gathered: Gathered, decision: Decision) -> None:
        """Ask all the same: races may be lost, and writes refused, for ever, and without a look nobody would see the breach.

        What was not persisted has not come to pass: of a step that was not taken there is nothing to count. An end is only a matter of
        time, and no later reading may take it back.
        """
        if self._decided(key) is not decision.status and decision.status.phase not in LATCHED:
            decision = decide(gathered.experiment, gathered.status, gathered.observation, may_move=False)
        self._ask(key, gathered, decision)

    def _come_back(self, key: Key, gathered: Gathered, decision: Decision) -> None:
        rendered = decision.status.condition(RULES_RENDERED)
        was_full = rendered is not None and rendered.reason == Reason.CONFIG_MAP_FULL
        # a foreign one is not watched, for it has not our label; room that a neighbour or a person makes changes no entry of this gate
        if was_full or gathered.observation.rules.ownership is Ownership.FOREIGN:
            self._queue.add(key, delay=RULES_RECHECK)
        if decision.recheck_at is not None:
            self._queue.add(key, delay=(decision.recheck_at - gathered.observation.now).total_seconds())


def _raises_exposure(gathered: Gathered, decision: Decision) -> bool:
    return decision.status.percent > (gathered.status.percent if gathered.status else 0.0)


def wants_kill(body: Body) -> bool:
    """Tell whether a person wants a kill that is not yet carried out: it goes before everything else."""
    phase = (body.get("status") or {}).get("phase")
    return (body.get("spec") or {}).get("killed") is True and phase != Phase.KILLED
