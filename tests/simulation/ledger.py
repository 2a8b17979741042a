"""What must hold in every history, judged from outside: by what is persisted, what pods read, and what Prometheus said.

I1 exposure never exceeds the current step, nor rises without an elapsed hold and a fresh look without breach; `ship` alone may raise it.
I2 after a rollback or a kill exposure is 0 until a higher attempt, which begins at 0; while break-glass names a gate, its exposure is 0.
I3 a gate's entry is a function of (last accepted spec, `killed`, persisted status); no other gate's fate touches it; its number only rises.
I4 at most one step per decision.
I5 missing, NaN, stale or failed readings never advance.
I6 raising exposure never moves a unit between arms, and never removes one.
I7 a crash after any effect, then a rerun, ends in the same state (World._crashed).
I8 a second reconcile with nothing new writes nothing (histories.py asks after every action).
I9 an invalid spec changes neither what is served nor what is guarded; it still obeys `killed`.

It keeps its own books and trusts the operator's word for nothing but what a status and an entry say. Where both memories of an attempt, the
status and the entry, were lost or forged at once, the promise ends (design §4, "Lost status"), and the books are begun anew.
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from rampgate.evaluate import compile_gate
from rampgate.rules import Entry, parse_entry
from rampgate_operator.core.examine import examine
from rampgate_operator.core.guardrail_spec import Guardrail, OnBreach
from rampgate_operator.core.looks import Answer, Failed, NoData, Value
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KILL_KEY
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.quantities import share as percentage
from rampgate_operator.core.spec import Spec
from rampgate_operator.ports import Key

if TYPE_CHECKING:
    from tests.simulation.world import World

FRESH = timedelta(seconds=20)  # two intervals
UNITS = [f"user-{number}" for number in range(300)]


class Reading(NamedTuple):
    """What Prometheus answered about a guardrail."""

    at: datetime
    """When it was asked: an answer that comes late is an old one."""
    answer: Answer
    reach: timedelta
    """How far it reaches back."""

    @property
    def passes(self) -> bool:
        return isinstance(self.answer, Value) and self.answer.value <= 1

    @property
    def breaches(self) -> bool:
        return isinstance(self.answer, Value) and math.isfinite(self.answer.value) and self.answer.value > 1


class Ledger:
    """The books of one gate."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.asleep = False
        self.accepted: Spec | None = None
        self._uid = ""
        self._examined: tuple[object, Spec | str] | None = None
        self.readings: dict[str, list[Reading]] = {}
        self._forget()
        self._status: Mapping[str, Any] = {}
        self._seen: tuple[object, ...] = ()
        self._outage = False
        self._remembered: Entry | None = None
        """The gate's entry before a decision, if it is what the operator wrote last."""

    def _forget(self) -> None:
        self._stands_since: datetime | None = None
        self._ended = 0
        self._steps: object = None
        self._wanted: int | None = None
        self._confirmed_at: datetime | None = None
        self._line: str | None = None
        self._generation: int | None = None

    # --- what happens ---

    def restarted(self) -> None:
        """A new process: it knows no reading that was not persisted, and of specs only the last that is kept."""
        body = self._world.cluster.experiments.get(self._gate, {})
        uid, kept = body.get("metadata", {}).get("uid"), self._world.cluster.revisions.values()
        owned = [each for each in kept if each["metadata"]["ownerReferences"][0]["uid"] == uid]
        newest = max(owned, key=lambda each: int(each["revision"]), default=None)
        self.accepted = None if newest is None else Spec.from_wire(newest["data"])
        if "stepConfirmedAt" not in body.get("status", {}):
            self._confirmed_at = None
        looked = {known["name"]: datetime.fromisoformat(known["lookedAt"]) for known in body.get("status", {}).get("guardrails", ())}
        self.readings = {
            name: [reading for reading in known if name in looked and reading.at <= looked[name]] for name, known in self.readings.items()
        }

    def persisted(self, kind: str, body: Mapping[str, Any]) -> None:
        """Something was written: note the number that the entry must have."""
        if kind == "experiment" and body["metadata"]["name"] == self._gate.name and "rules" in body.get("status", {}):
            self._generation = body["status"]["rules"]["generation"]

    def answered(self, name: str, at: datetime, answer: Answer, *, reach: timedelta) -> None:
        """Prometheus answered."""
        self.readings.setdefault(name, []).append(Reading(at, answer, reach))

    def ran(self, generation: int, share: float) -> None:
        """Prometheus told how many pods run a generation or a later one."""
        confirm = self.accepted.ramp.confirm if self.accepted else None
        is_enough = confirm is not None and share >= percentage(confirm.pods)
        if is_enough and self._wanted is not None and generation >= self._wanted and self._confirmed_at is None:
            self._confirmed_at = self._world.now()

    def before(self, key: Key) -> None:
        """Note how things stand before a decision."""
        if self.asleep:
            return
        world, data = self._world, self._world.data or {}
        body = world.cluster.experiments.get(key, {})
        self._status = dict(body.get("status") or {})
        self._seen = (dict(data), body.get("spec"), world.blind)
        entry = self.entry()
        self._outage = (
            self._killed()
            or data.get(FORMAT_KEY) != FORMAT
            or entry is None
            or entry.generation != self._status.get("rules", {}).get("generation")
        )
        known = entry is not None and entry.generation == self._generation and data.get(self._key) == self._line
        self._remembered = entry if known and data.get(FORMAT_KEY) == FORMAT else None
        if self._is_ours(key) and not self._status and self._remembered is None:
            self._forget()
        if self._is_ours(key) and body:
            self._accept(key, body)

    def completed(self, key: Key) -> None:
        """Judge a decision that was carried out."""
        if self.asleep:
            return
        self._judge_neighbours(key)
        if not self._is_ours(key):
            return
        body = self._world.cluster.experiments.get(key)
        if body is None:
            self._judge_removal()
        if body is None or "status" not in body:  # wiped while nobody watched
            return
        self._judge_status(body, invalid=not self._accept(key, body))
        self._judge_entry(body["status"])

    def _accept(self, key: Key, body: Mapping[str, Any]) -> bool:
        """Note the spec if it can be run; no newer one than the operator could see."""
        seen = self._world.reconciler.experiments.get(key) or body
        if seen["metadata"]["uid"] != self._uid:  # created again: what was accepted before was another's
            self.accepted, self._uid = None, seen["metadata"]["uid"]
        examined = self._examine(seen)
        self.accepted = self.accepted if isinstance(examined, str) else examined
        return isinstance(examined, Spec)

    # --- judgements ---

    def _judge_status(self, body: Mapping[str, Any], *, invalid: bool) -> None:
        before, after = self._status, body["status"]
        now, rises = self._world.now(), bool(before) and after["percent"] > before["percent"]
        ships = after["phase"] == "Shipped"
        if after["attempt"] <= self._ended:
            assert after["percent"] == 0, "I2: an ended attempt is exposed"
            assert after.get("latch"), "I2: a latch is gone"
        if before and after["attempt"] > before["attempt"]:
            assert after["percent"] == 0, "I2: a new attempt begins above 0"
            assert after["attempt"] == body["spec"].get("attempt", 1), "I2: nobody asked for this attempt"
        if not before and self._remembered is not None and len(after.get("history", ())) == 1:
            served = 0 if self._remembered.serve else self._remembered.percent
            assert after["percent"] <= served, "I1: a lost status was rebuilt above what was served"
        if rises and not ships:
            self._judge_step(before, after, body["spec"], invalid=invalid)
        if before and invalid and not rises:
            lowered = after["percent"] != before["percent"]
            assert not lowered or after.get("latch"), "I9: an invalid spec changed what is served"
        if body["spec"].get("killed") is True and not self._world.blind:
            assert after["phase"] == "Killed", "I9: a kill was not obeyed"
        if after.get("latch"):
            self._ended = max(self._ended, after["attempt"])
        edited = self._are_steps_edited()
        moved = edited or not before or after["percent"] != before["percent"] or after["attempt"] != before["attempt"]
        noticed = self._outage and not self._world.blind
        if moved:  # what pods ran until now says nothing of it
            self._confirmed_at, self._wanted = None, after.get("rules", {}).get("generation")
        if moved or noticed or self._stands_since is None or self._stands_since > now:
            self._stands_since = now

    def _are_steps_edited(self) -> bool:
        """Tell whether other steps are in force than at the last decision: then the clock starts, whatever is served (design §4)."""
        known, self._steps = self._steps, self.accepted and self.accepted.ramp.steps
        return known is not None and known != self._steps

    def _judge_step(self, before: Mapping[str, Any], after: Mapping[str, Any], spec: Mapping[str, Any], *, invalid: bool) -> None:
        accepted, now = self.accepted, self._world.now()
        assert accepted is not None, "I9: a step without an accepted spec"
        assert not invalid, "I9: a step by an invalid spec"
        higher = [step for step in accepted.ramp.steps if step.percent > before["percent"]]
        assert after["percent"] == higher[0].percent, "I4: not the next step"
        assert not spec.get("paused"), "I1: a step while paused"
        assert not _is_doubtful(before), "I1: a step though exposures are not as drawn"
        assert not self._outage, "I1: a step while pods do not obey"
        consent = (spec.get("approved") or {}).get("attempt") == after["attempt"]
        assert consent or not higher[0].approval, "I1: a step without consent"
        if accepted.schedule and accepted.schedule.deadline:
            assert now < accepted.schedule.deadline, "I1: a step past the deadline"
        started = before["percent"] > 0
        if started:
            held = next(step for step in accepted.ramp.steps if step.percent == before["percent"])
            assert self._stands_since is not None, "I1: a step from nowhere"
            assert now - self._stands_since >= duration(held.hold), "I1: a step before its hold was over"
            if accepted.ramp.confirm is not None:
                assert self._confirmed_at is not None, "I1: a step that pods have not confirmed"
                assert now - self._confirmed_at >= duration(held.hold), "I1: a step before its hold was over, as pods confirmed it"
        for guardrail in accepted.guardrails or ():
            if guardrail.on_breach is not OnBreach.NOTIFY:
                self._judge_readings(guardrail, started=started)

    def _judge_readings(self, guardrail: Guardrail, *, started: bool) -> None:
        now, known = self._world.now(), self.readings.get(guardrail.name, [])
        fresh = [reading for reading in known if timedelta(0) <= now - reading.at <= FRESH]
        since = max(filter(None, (self._stands_since, self._confirmed_at)), default=now)
        compares = guardrail.counters is None or started
        if guardrail.counters is not None and started:  # a window that reaches back to before the step is void
            fresh = [reading for reading in fresh if isinstance(reading.answer, Failed) or reading.at - reading.reach >= since]
            # a quiet window, as between two scrapes, takes nothing away from the last look with data, and does not make it younger
            fresh = [reading for reading in fresh if not isinstance(reading.answer, NoData)]
        assert fresh, "I5: a step without a fresh reading"
        assert not (compares and fresh[-1].breaches), "I1: a step against a breach"
        assert not isinstance(fresh[-1].answer, Failed), "I5: a step on a failed reading"
        if started:
            assert fresh[-1].passes, "I5: a step without data"
            assert any(reading.passes and reading.at - reading.reach >= since for reading in fresh), "I5: a step on a reading from before"

    def _judge_entry(self, status: Mapping[str, Any]) -> None:
        data, before = self._world.data or {}, dict(self._seen[0] if isinstance(self._seen[0], dict) else {})
        if data.get(FORMAT_KEY) != FORMAT or self._world.blind:
            return
        entry, line = self.entry(), data.get(self._key)
        if entry is None or line is None:
            assert self.accepted is None, "I3: an accepted spec is not rendered"
            return
        served = 0.0 if entry.serve or self._killed() else entry.percent
        if self.accepted is not None or status.get("latch"):  # what an unknown spec would render cannot be repaired, only what ended it
            assert served <= status["percent"], "I1: more is served than the status says"
        assert entry.attempt > self._ended or served == 0, "I2: an ended attempt is served"
        if status.get("rules") and self.accepted is not None:
            assert (entry.generation, entry.percent, entry.attempt) == (
                status["rules"]["generation"], status["percent"], status["attempt"],
            ), "I3: the entry is not what the status says"  # fmt: skip
            if entry.rule is not None:
                overridden = tuple((each.variant, tuple(each.units)) for each in self.accepted.overrides or ())
                assert tuple((each.variant, each.units) for each in entry.rule.overrides) == overridden, "I3: it is not the accepted spec"
        if line != before.get(self._key):
            self._judge_writing(entry, line)

    def _judge_removal(self) -> None:
        """The Experiment is gone; its entry goes as well, unless it ended or shipped."""
        entry, there = self._remembered, self.entry() is not None
        if entry is not None and not self._world.blind:
            lasting = entry.latch is not None or (entry.rule is not None and entry.rule.ship is not None)
            assert there is lasting, "I2: an entry was removed that must stay, or stays though it must go"

    def _judge_writing(self, entry: Entry, line: str) -> None:
        known = None if self._line is None else parse_entry(self._line)
        if known is not None and self.content(line) != self.content(self._line or ""):
            assert entry.generation > known.generation, "I3: another content under an old number"
            if entry.rule is not None and known.rule is not None and (entry.attempt, entry.rule.salt) == (known.attempt, known.rule.salt):
                _judge_units(*sorted((known, entry), key=lambda each: each.percent))
        assert known is None or entry.generation >= known.generation, "I3: the number fell"
        self._line = line

    def _judge_neighbours(self, key: Key) -> None:
        before, after = self._seen[0], self._world.data
        if not isinstance(before, dict) or not before or after is None or before.get(FORMAT_KEY) != FORMAT:
            return
        own = f"{key.name}.json"
        theirs = {name: value for name, value in before.items() if name != own}
        assert {name: value for name, value in after.items() if name != own} == theirs, "I3: another gate's key was touched"

    # --- what is there ---

    _gate, _key = Key("shop", "new-checkout"), "new-checkout.json"

    def _examine(self, body: Mapping[str, Any]) -> Spec | str:
        mark = (body["metadata"]["uid"], body["metadata"]["generation"], body.get("status", {}).get("drawDigest"))
        if self._examined is None or self._examined[0] != mark:
            self._examined = (mark, examine(body, sources=self._world.lookbacks()))
        return self._examined[1]

    def is_valid(self) -> bool:
        """Whether the gate's Experiment can be run as it stands."""
        body = self._world.cluster.experiments.get(self._gate)
        return body is None or isinstance(self._examine(body), Spec)

    def _is_ours(self, key: Key) -> bool:
        return key == self._gate

    def _killed(self) -> bool:
        return bool({"*", "new-checkout"} & set((self._world.data or {}).get(KILL_KEY, "").split()))

    def entry(self) -> Entry | None:
        """The gate's entry as the SDK reads it."""
        line = (self._world.data or {}).get(self._key)
        try:
            return None if line is None else parse_entry(line)
        except ValueError:
            return None

    @staticmethod
    def content(line: str) -> object:
        """What a line says, whatever its number."""
        try:
            return {name: value for name, value in json.loads(line).items() if name != "generation"}
        except ValueError:
            return line


def _is_doubtful(status: Mapping[str, Any]) -> bool:
    return any(each["type"] == "ResultsValid" and each["status"] == "False" for each in status.get("conditions", ()))


def _judge_units(lower: Entry, higher: Entry) -> None:
    """I6, unit by unit, as the SDK decides."""
    low, high = compile_gate(lower), compile_gate(higher)
    for unit in UNITS:
        before, after = low.decide({"targetingKey": unit}), high.decide({"targetingKey": unit})
        if before.reason == "ENROLLED":
            assert after.reason in {"ENROLLED", "SHIPPED"}, "I6: a unit was removed by a higher percentage"
            assert after.reason == "SHIPPED" or after.variant == before.variant, "I6: a unit changed arm"
