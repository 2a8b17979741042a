"""A world small enough to run thousands of histories: the real Reconciler, an API server in memory, a Prometheus that obeys, one clock.

Discrete events: what the operator asked to be called back for happens when its time has come, and nothing else wakes it but the watch.
Knows what people and faults may do; what must hold all the while is ledger.py's.
"""

import asyncio
import copy
import math
from collections.abc import Collection, Hashable, Mapping
from datetime import datetime, timedelta
from typing import Any

from rampgate_operator.core.looks import Answer, Exposed, Failed, FailureReason, Increases, Kind, LookRequest, NoData, Running, Value
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KILL_KEY, RULES_LABEL
from rampgate_operator.core.quantities import timestamp
from rampgate_operator.handlers import take_config_map, take_experiment
from rampgate_operator.ports import ClusterError, ConflictError, Key
from rampgate_operator.process import resync
from rampgate_operator.reconcile import Reconciler
from tests.core.story import NOON
from tests.simulation.ledger import Ledger
from tests.simulation.memory import MemoryCluster

GATE, NEIGHBOUR, RULES = Key("shop", "new-checkout"), Key("shop", "other"), Key("shop", "feature-gates")
LOOKBACK = timedelta(seconds=15)
LATE = 35.0
"""Seconds that a late answer takes: more than two intervals."""
STEPS: dict[str, list[dict[str, Any]]] = {
    "plain": [
        {"percent": 1, "hold": "20s"},
        {"percent": 10, "hold": "30s"},
        {"percent": 50, "hold": "30s"},
        {"percent": 100, "hold": "30s"},
    ],
    "other": [{"percent": 0.5, "hold": "20s"}, {"percent": 5, "hold": "20s"}, {"percent": 60, "hold": "20s"}],
    "higher": [{"percent": 70, "hold": "20s"}, {"percent": 100, "hold": "20s"}],
    "approved": [{"percent": 10, "hold": "20s"}, {"percent": 100, "hold": "20s", "approval": True}],
}
_EACH = '{variant="$variant"}'
GUARDRAILS: list[dict[str, Any]] = [
    {"name": "errors", "query": "errors", "max": 1, "breaches": {"count": 1, "of": 2}},
    {"name": "orders", "query": "orders", "max": 1, "onBreach": "Hold", "onNoData": "Rollback"},
    {
        "name": "failed",
        "counters": {"events": f"failed{_EACH}", "total": f"served{_EACH}"},
        "maxIncrease": "10%",
        "onInconclusive": "Advance",
    },
]
SPEC: dict[str, Any] = {
    "owner": "payments",
    "control": "off",
    "variants": [{"name": "off", "value": False}, {"name": "on", "value": True}, {"name": "more", "value": True}],
    "ramp": {"steps": STEPS["plain"]},
    "interval": "10s",
    "guardrails": GUARDRAILS,
}
ANSWERS: dict[str, Answer] = {
    "good": Value(0.5),
    "bad": Value(1000.0),
    "none": NoData("no series"),
    "nan": Value(math.nan),
    "error": Failed(FailureReason.TIMEOUT, "no answer in 5 s"),
}
_SERVED = Increases((dict.fromkeys(("off", "on", "more", "baseline"), 1000.0),))
COUNTS: dict[str, dict[str, Answer]] = {  # what a window brings
    "good": {"total": _SERVED, "events": Increases(({"off": 10.0, "on": 10.0, "more": 10.0, "baseline": 10.0},))},
    "bad": {"total": _SERVED, "events": Increases(({"off": 10.0, "on": 10.0, "more": 900.0, "baseline": 10.0},))},
    "none": {"total": ANSWERS["none"], "events": ANSWERS["none"]},
    "nan": {"total": _SERVED, "events": Increases(({"on": math.nan},))},
    "error": {"total": _SERVED, "events": ANSWERS["error"]},
}
"""The worst of what a window of counters says, for the books."""
EXPOSURES, PODS = "exposures of the step", "rules of the pods"
RUNNING = {"good": (4, 4), "bad": (2, 4)}
"""How many pods run the rules, and how many there are. Nobody nudges them: that only makes them faster."""


class CrashError(BaseException):
    """The process dies here."""


class Agenda:
    """The queue, as far as reconcile.py sees it: when each key is due, in seconds of the event loop."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.due: dict[Key, float] = {}

    def add(self, key: Key, *, delay: float = 0.0, urgent: bool = False) -> None:
        self.due[key] = min(self.due.get(key, math.inf), self._world.elapsed + max(0.0, delay))


class World:
    """The cluster, Prometheus, the clock and one operator process."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.cluster.on_write, self.cluster.on_change = self._before_write, self._changed
        self.ledger = Ledger(self)
        self.elapsed, self.offset = 0.0, timedelta(0)
        self.modes = {"errors": "good", "orders": "good", "failed": "good", EXPOSURES: "good", PODS: "good"}
        self.looking: list[tuple[float, asyncio.Future[None]]] = []
        self.events: list[tuple[str, str, Mapping[str, Any]]] = []
        self.blind = False
        self.writes = 0
        self.crash_after: int | None = None
        self.refuse = 0
        self.failed: set[Key] = set()
        self.agenda = Agenda(self)
        self.reconciler = self._new_process()

    # --- the ports beside the cluster ---

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.elapsed) + self.offset

    def lookbacks(self) -> Mapping[str, timedelta]:
        return {"default": LOOKBACK}

    async def answer(self, requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        asked = {request.key: self.modes[str(request.key[0])] for request in requests}  # type: ignore[index]  # (guardrail, treatment)
        at = self.now()
        if "late" in asked.values():
            future = asyncio.get_running_loop().create_future()
            self.looking.append((self.elapsed + LATE, future))
            await future
        return {request.key: self._answer(request, asked[request.key], at) for request in requests}

    def _answer(self, request: LookRequest, mode: str, at: datetime) -> Answer:
        name, part = request.key  # type: ignore[misc]  # as above
        mode = "good" if mode == "late" else mode
        if request.kind is Kind.VALUE:
            self.ledger.answered(name, at, ANSWERS[mode], reach=LOOKBACK)
            return ANSWERS[mode]
        if request.kind is Kind.EXPOSURES:
            return self._exposed(request, mode)
        if request.kind is Kind.GENERATIONS:
            return self._running(request, mode)
        if part == "total":  # both are one reading, which reaches back to where its window begins
            self.ledger.answered(name, at, ANSWERS[mode], reach=at - (request.since or at))
        return COUNTS[mode][part]

    def _exposed(self, request: LookRequest, mode: str) -> Answer:
        """Give 9,000 first exposures a window: as they are drawn, or with two of three lost by one treatment."""
        if mode not in {"good", "bad"}:
            return ANSWERS[mode]
        percent = self.cluster.experiments.get(GATE, {}).get("status", {}).get("percent", 0)
        counts = dict.fromkeys(("off", "on", "more"), 30.0 * percent) | {"baseline": 9000.0 - 90.0 * percent}
        counts["on"] *= 1 if mode == "good" else 1 / 3
        windows = len(request.edges) - 1
        return Exposed((counts,) * windows, (True,) * windows, 1.0)

    def _running(self, request: LookRequest, mode: str) -> Answer:
        """Tell that all pods run what is written, or that half of them run nothing."""
        if mode not in RUNNING:
            return ANSWERS[mode]
        entry, (on, seen) = self.ledger.entry(), RUNNING[mode]
        on = on if entry is not None and entry.generation >= request.generation else 0
        if request.metric is not None and request.metric.gate == GATE.name:
            self.ledger.ran(request.generation, on / seen)
        return Running(seen=seen, on=on)

    def decided(self, before: object, after: object, now: datetime, *, due: datetime | None) -> None:
        """Nobody counts here."""

    # --- time ---

    async def begin(self) -> None:
        """Two experiments are applied, and the operator starts."""
        alone = {name: value for name, value in SPEC.items() if name != "guardrails"}
        self.cluster.apply(NEIGHBOUR, {**alone, "paused": True, "ramp": {"steps": STEPS["other"]}})
        self.cluster.apply(GATE, SPEC)
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that is due now; a settled world must have nothing left to write (I8)."""
        for _ in range(60):
            await self._deliver()
            due = [key for key, moment in self.agenda.due.items() if moment <= self.elapsed]
            if not due:
                return
            for key in due:
                if self.agenda.due.pop(key, None) is not None:  # a crash on the way leaves another agenda
                    await self._reconcile(key)
        raise AssertionError("I8: the operator is busy for ever at one instant")

    async def wait(self, seconds: float) -> None:
        """Let time pass, event by event."""
        end = self.elapsed + seconds
        await self.settle()
        while True:
            moments = [*self.agenda.due.values(), *(moment for moment, _ in self.looking)]
            following = min((moment for moment in moments if moment > self.elapsed), default=math.inf)
            self.elapsed = min(following, end)
            await self.settle()
            if self.elapsed >= end:
                return

    async def _deliver(self) -> None:
        for moment, future in tuple(self.looking):
            if moment <= self.elapsed:
                self.looking.remove((moment, future))
                future.set_result(None)
        for _ in range(4):
            await asyncio.sleep(0)
        events, self.events = self.events, []
        for kind, change, body in () if self.blind else events:
            self._watch(kind, change, body)

    def _watch(self, kind: str, change: str, body: Mapping[str, Any]) -> None:
        """Hand an event of the watch over."""
        if kind == "experiment":
            take_experiment(body, deleted=change == "DELETED", reconciler=self.reconciler, queue=self.agenda)  # type: ignore[arg-type]  # as below
            return
        is_watched = RULES_LABEL in (body["metadata"].get("labels") or {})  # a watch by label says deleted when the label is gone
        take_config_map(body, deleted=change == "DELETED" or not is_watched, reconciler=self.reconciler)

    # --- the process ---

    def _new_process(self) -> Reconciler:
        self.agenda = Agenda(self)
        return Reconciler(cluster=self.cluster, metrics=self, clock=self, queue=self.agenda, meter=self, nudge_pods=True)  # type: ignore[arg-type]  # an agenda is queue enough

    async def restart(self) -> None:
        """The process dies and another one starts: its memory is gone."""
        await self.reconciler.close()
        self.looking.clear()
        self.events.clear()
        self.ledger.restarted()
        self.blind = False
        self.reconciler = self._new_process()
        await resync(self.cluster, self.reconciler, self.agenda)  # type: ignore[arg-type]  # as above

    async def _reconcile(self, key: Key) -> None:
        twin = self._twin() if self.crash_after is not None else None
        self.ledger.before(key)
        try:
            await self.reconciler.reconcile(key)
        except ConflictError:
            await self.reconciler.refresh(key)
            self.agenda.add(key)
        except ClusterError:
            self.failed.add(key)
            self.agenda.add(key, delay=1.0)
        except CrashError:
            await self._crashed(twin)
        else:
            self.failed.discard(key)
            self.ledger.completed(key)

    async def _crashed(self, twin: "World | None") -> None:
        """I7: a crash after any effect, then a rerun, ends where a run without the crash ends."""
        assert twin is not None
        await self.restart()
        await self.settle()
        await twin.restart()
        await twin.settle()
        await twin.reconciler.close()
        # else it matters which came first, a step or a reading, or which process knew what an invalid spec stands in for: both are right
        if set(self.modes.values()) == {"good"} and self.ledger.is_valid():
            assert self.outline() == twin.outline() or self._is_held_back(twin), "I7: after a crash it ends elsewhere"

    def _is_held_back(self, twin: "World") -> bool:
        """Tell whether a clock that has just started, or readings that a new process has to take again, hold one of them back.

        Between status and entry pods did not obey: the end of that starts the step's clock (§7). A twin that had not yet persisted the step
        lost with its memory what the step was taken by.
        """
        mine, theirs = (world.cluster.experiments[GATE]["status"] for world in (self, twin))
        has_just_begun = mine.get("stepStartedAt") == timestamp(self.now())
        return has_just_begun and (mine["percent"] <= theirs["percent"] or theirs.get("waitingFor") == "Metrics")

    def _twin(self) -> "World":
        twin = World()
        twin.cluster.experiments, twin.cluster.config_maps, twin.cluster.revisions = copy.deepcopy(
            (self.cluster.experiments, self.cluster.config_maps, self.cluster.revisions)
        )
        twin.cluster.version = self.cluster.version
        twin.elapsed, twin.offset, twin.modes = self.elapsed, self.offset, dict(self.modes)
        twin.ledger.asleep = True
        return twin

    def _before_write(self, what: str) -> None:
        if what == "event":  # nothing comes after it
            return
        if self.refuse:
            self.refuse -= 1
            raise ClusterError("the API server is away")
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after < 0:
                self.crash_after = None
                raise CrashError
        self.writes += 1

    def _changed(self, kind: str, change: str, body: Mapping[str, Any]) -> None:
        self.events.append((kind, change, body))
        self.ledger.persisted(kind, body)

    # --- what can be seen ---

    @property
    def data(self) -> Mapping[str, str] | None:
        """The ConfigMap's data; None when there is no ConfigMap."""
        body = self.cluster.config_maps.get(RULES)
        return None if body is None else body.get("data", {})

    def outline(self) -> object:
        """What a run must end in, whatever happened on the way: where each attempt is, and what is served."""
        statuses = [body.get("status", {}) for _, body in sorted(self.cluster.experiments.items())]
        where = [
            (
                *(status.get(field) for field in ("phase", "attempt", "step", "percent", "shipped")),
                (status.get("latch") or {}).get("attempt"),
            )
            for status in statuses
        ]
        served = {key: self.ledger.content(line) for key, line in (self.data or {}).items()}
        return where, served

    # --- what people and faults do ---

    def edit(self, key: Key = GATE, **fields: Any) -> None:
        """Change fields of the spec, None removes one; the API server refuses what the CRD's rules refuse."""
        body = self.cluster.experiments.get(key)
        if body is not None:
            spec = {name: value for name, value in {**body["spec"], **fields}.items() if value is not None}
            self.cluster.apply(key, spec)

    def change_data(self, **keys: str | None) -> None:
        """Change keys of the ConfigMap by hand, None removes one."""
        body = self.cluster.config_maps.get(RULES)
        if body is not None:
            data = {name: value for name, value in {**body.get("data", {}), **keys}.items() if value is not None}
            self.cluster.put_config_map(RULES, data, labels=body["metadata"].get("labels"))

    @property
    def attempt(self) -> int:
        """The attempt that the status says; else that the spec asks for."""
        body = self.cluster.experiments.get(GATE, {"spec": {}})
        return int(body.get("status", {}).get("attempt", body["spec"].get("attempt", 1)))

    async def heal(self) -> None:
        """Take every trouble away, and begin again."""
        self.modes = dict.fromkeys(self.modes, "good")
        self.elapsed += 1  # no two answers for one instant
        self.refuse, self.crash_after = 0, None
        await self.restart()
        if GATE not in self.cluster.experiments:
            self.cluster.apply(GATE, SPEC)
        body = self.cluster.config_maps.get(RULES)
        if body is not None and body.get("data", {}).get(FORMAT_KEY) != FORMAT:
            self.change_data(**{FORMAT_KEY: FORMAT})
        self.change_data(**{KILL_KEY: None})
        await self.settle()
        attempt = self.attempt + 1
        self.edit(attempt=attempt, killed=None, paused=None, ship=None, schedule=None, ramp={"steps": STEPS["plain"]})
