"""One Experiment told step by step: edits, time, readings. Each decision is persisted and rendered as reconcile.py would do it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rampgate_operator.core.compile import compile_entry, fits
from rampgate_operator.core.decide import Decision, decide
from rampgate_operator.core.experiment import Experiment, read_experiment
from rampgate_operator.core.guardrails import guardrail_digest
from rampgate_operator.core.looks import Answer, Failed, FailureReason, NoData, Value
from rampgate_operator.core.observation import (
    FORMAT,
    FORMAT_KEY,
    Entry,
    ExposureLook,
    FlagdSeen,
    Look,
    NudgeRefused,
    Observation,
    PodsLook,
    RulesSeen,
    see_rules,
)
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Condition, Status, WaitingFor, read_status
from rampgate_operator.core.waiting import Situation

NAME, NAMESPACE, KEY = "new-checkout", "shop", "new-checkout.json"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)  # a Tuesday
SPEC: dict[str, Any] = {
    "owner": "payments",
    "control": "off",
    "variants": [{"name": "off", "value": False}, {"name": "on", "value": True}],
    "ramp": {"steps": [{"percent": percent, "hold": "1m"} for percent in (1, 10, 50, 100)]},
    "interval": "10s",
}
ERRORS: dict[str, Any] = {"name": "errors", "query": "errors", "max": 1}
ORDERS: dict[str, Any] = {"name": "orders", "query": "orders", "min": 5}
COUNTED: dict[str, Any] = {
    "name": "failed",
    "counters": {"events": 'failed{gate="$gate",variant="$variant"}', "total": 'orders{gate="$gate",variant="$variant"}'},
    "maxIncrease": "0%",
}
NO_DATA = NoData("no series")
FAILED = Failed(FailureReason.TIMEOUT, "no answer in 5 s")
BAD, GOOD = Value(2.0), Value(0.5)


def steps(*percents: float, hold: str = "1m", **last: Any) -> dict[str, Any]:  # any field of a step
    listed: list[dict[str, Any]] = [{"percent": percent, "hold": hold} for percent in percents]
    listed[-1] |= last
    return {"steps": listed}


def make_spec(**fields: Any) -> Spec:  # any field of a spec
    return Spec.from_wire({**SPEC, **fields})


class Story:
    """What happens to one Experiment; every time is a whole second."""

    def __init__(self, **fields: Any) -> None:  # any field of a spec
        self.fields: dict[str, Any] = {**SPEC, **fields}
        self.now = NOON
        self.generation = 1
        self.problem: str | None = None
        self.accepted: Spec | None = None
        self.status: Status | None = None
        self.data: dict[str, str] | None = {FORMAT_KEY: FORMAT}
        self.managed: list[Mapping[str, Any]] = []
        self.flagd: FlagdSeen | None = None
        self.nudge_refused: NudgeRefused | None = None
        self.nudge_known = True

    # --- what people do ---

    def edit(self, *, invalid: str | None = None, **fields: Any) -> "Story":  # any field of a spec
        """Change fields, None removes one; `invalid` says what is wrong with the new spec."""
        if self.problem is None:  # as it was until now
            self.accepted = Spec.from_wire(self.fields)
        self.fields = {name: value for name, value in {**self.fields, **fields}.items() if value is not None}
        self.problem, self.generation = invalid, self.generation + 1
        return self

    def wait(self, time: str) -> "Story":
        self.now += duration(time)
        return self

    # --- what is there ---

    @property
    def experiment(self) -> Experiment:
        metadata = {"name": NAME, "namespace": NAMESPACE, "uid": "u1", "generation": self.generation, "managedFields": self.managed}
        examined = self.problem if self.problem is not None else Spec.from_wire(self.fields)
        return read_experiment({"metadata": metadata, "spec": self.fields}, accepted=self.accepted, examined=examined)

    @property
    def spec(self) -> Spec:
        spec = self.experiment.spec
        assert spec is not None
        return spec

    @property
    def seen(self) -> RulesSeen:
        return see_rules(None if self.data is None else {"data": self.data}, NAME)

    @property
    def entry(self) -> Entry:
        assert self.seen.entry is not None
        return self.seen.entry

    @property
    def known(self) -> Status:
        assert self.status is not None
        return self.status

    @property
    def said(self) -> tuple[str, int, float]:
        """The phase, the step and the percentage."""
        return self.known.phase.value, self.known.step, self.known.percent

    @property
    def waiting(self) -> WaitingFor | None:
        return self.known.waiting_for

    def condition(self, kind: str) -> Condition:
        found = self.known.condition(kind)
        assert found is not None
        return found

    def situation(self) -> Situation:
        return Situation(
            experiment=self.experiment, spec=self.spec, status=self.known, observation=Observation(now=self.now, rules=self.seen)
        )

    # --- what the operator does ---

    def look(self, answer: Answer | Mapping[str, Answer] = GOOD, name: str = "errors", *, reach: str = "0s", ago: str = "0s") -> Look:
        guardrail = next(each for each in self.spec.guardrails or () if each.name == name)
        at = self.now - duration(ago)
        return Look(
            guardrail=name,
            digest=guardrail_digest(guardrail, self.spec),
            attempt=self.status.attempt if self.status else 1,
            at=at,
            reads_from=at - duration(reach),
            answers=answer if isinstance(answer, Mapping) else {"": answer},
        )

    def decide(self, *looks: Look, exposures: ExposureLook | None = None, pods: PodsLook | None = None, serve: bool = True) -> Decision:
        """Decide, persist as YAML would, and write the entry unless `serve` is false."""
        observation = Observation(
            now=self.now,
            rules=self.seen,
            looks=looks,
            exposures=(exposures,) if exposures else (),
            pods=pods,
            flagd=self.flagd,
            nudge_refused=self.nudge_refused,
            nudge_known=self.nudge_known,
        )
        decision = decide(self.experiment, self.status, observation)
        self.status = read_status(decision.status.to_wire())
        assert self.status == decision.status
        if serve:
            self.serve()
        return decision

    def decide_with(self, answer: Answer = GOOD, name: str = "errors", *, reach: str = "0s") -> Decision:
        return self.decide(self.look(answer, name, reach=reach))

    def serve(self) -> None:
        line = compile_entry(self.experiment, self.known, self.seen.entry)
        if line is not None and self.data is not None and fits(line, self.seen):
            self.data[KEY] = line

    def settle(self) -> "Story":
        """Decide with good readings until nothing moves."""
        before: object = self
        spec = self.experiment.spec
        guardrails = (spec and spec.guardrails) or ()
        while before != self.status:
            before = self.status
            self.decide(*(self.look(GOOD if each.min is None else Value(5.0), each.name) for each in guardrails))
        return self

    def ramp_to(self, percent: float) -> "Story":
        """Go up by schedule, with good readings."""
        self.settle()
        while self.known.percent < percent:
            self.wait("1m").settle()
        assert self.known.percent == percent
        return self

    def looking_ahead(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)
