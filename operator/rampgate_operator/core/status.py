"""What the operator remembers: the `status` of an Experiment, written by nobody else.

Absolute times and counts only, so that a restart changes nothing. Reading is lenient: fields and words of a newer operator are left out, as
long as where the attempt is can be read; else the status counts as lost and is rebuilt from the gate's entry (lost.py).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationError

from rampgate_operator.core.quantities import Percent
from rampgate_operator.core.schema import KeyedBy
from rampgate_operator.core.status_fields import Message, Moment, Numbers, StatusModel, StepLine, TiltNumbers, Word

HISTORY_LIMIT = 20


class Phase(StrEnum):
    """Where an attempt is; docs/states.md draws how it moves."""

    PENDING = "Pending"
    RAMPING = "Ramping"
    COMPLETED = "Completed"
    SHIPPED = "Shipped"
    ROLLED_BACK = "RolledBack"
    KILLED = "Killed"


class WaitingFor(StrEnum):
    """Why a ramp is not advancing; the first that holds, in this order."""

    INVALID = "Invalid"
    BREAK_GLASS = "BreakGlass"
    RULES = "Rules"
    METRICS = "Metrics"
    GUARDRAIL = "Guardrail"
    SAMPLE_RATIO = "SampleRatio"
    PAUSED = "Paused"
    DEADLINE = "Deadline"
    NOT_BEFORE = "NotBefore"
    WINDOW = "Window"
    APPROVAL = "Approval"
    PODS = "Pods"
    SAMPLES = "Samples"
    HOLD = "Hold"


class Verdict(StrEnum):
    """What one look at a guardrail says."""

    PASS = "Pass"  # noqa: S105  # a verdict, no password
    BREACH = "Breach"
    INCONCLUSIVE = "Inconclusive"
    NO_DATA = "NoData"
    ERROR = "Error"
    NO_COMPARISON = "NoComparison"


class LatchCause(StrEnum):
    """Who ended an attempt."""

    GUARDRAIL = "Guardrail"
    DEADLINE = "Deadline"
    KILL = "Kill"

    @classmethod
    def _missing_(cls, _value: object) -> "LatchCause":
        """A newer operator's word ends an attempt all the same."""
        return cls.GUARDRAIL


class Latch(StatusModel):
    """The end of an attempt: everybody is on control until a higher attempt."""

    attempt: int
    """The attempt that it ended."""
    at: Moment
    """When."""
    cause: LatchCause
    """Whether a guardrail, the deadline or a person ended it; a word of a newer operator is taken for a guardrail."""
    guardrail: Word | None = None
    """Which guardrail."""
    from_percent: Percent
    """The percentage that was served until then."""
    message: Message
    """Why, in a sentence."""


class Rules(StatusModel):
    """What the gate's entry in the ConfigMap must be."""

    generation: int
    """The entry's number; it only rises."""
    digest: Word
    """A digest of the entry's content, by which a change is noticed."""
    rendered_at: Moment
    """When this content was decided."""
    pods_on_generation: int | None = None
    """How many series of `rampgate_rules_generation` told this generation or a later one at the last look: after the end of an attempt, and
    while `ramp.confirm` waits for them."""
    pods_seen: int | None = None
    """How many there were: all pods that have this ConfigMap, also those of other applications."""
    pods_behind: Annotated[tuple[Word, ...], Field(max_length=3)] | None = None
    """Some that told an earlier one when this was last written, by their label `pod`, else `instance`."""
    pods_problem: Message | None = None
    """Why looks cannot count, as the first of them said."""
    converged_at: Moment | None = None
    """When enough were seen to run it: after the end of an attempt all of them, else as many as `ramp.confirm` asks for."""


class Evidence(StatusModel):
    """What this attempt's counts say of one treatment."""

    treatment: Word
    """The treatment."""
    bound: Word = ""
    """The bound of the histogram's buckets that it is about; empty when it is about none."""
    log_e_values: Numbers | None = None
    """Natural logarithms of the e-values against "within `maxIncrease`", one for each ratio that is considered; rounded down."""
    log_safe_values: Numbers | None = None
    """The same against "at `maxIncrease` or above"."""
    looks: int
    """How many looks they are made of."""
    processes: float = 1.0
    """Of units: how many processes counted them, each a unit once; the most that there were at a look."""
    counted_to: Moment
    """The end of the last one."""
    total: float = 0.0
    """Of the treatment, in this attempt: how much was counted, for `max`."""
    events: float = 0.0
    """Of the treatment, in this attempt: how many events."""
    steps: Annotated[tuple[StepLine, ...], Field(max_length=20)]
    """The counts of the last steps: when one began, events/total of the treatment, and of the comparison."""


class Interval(StatusModel):
    """An always-valid interval: with the chance `level` the true value is within, at every look."""

    level: float
    """The chance, 1 - 2 / e where e is what a breach needs."""
    low: float
    """Its lower end."""
    high: float | None = None
    """Its upper end; absent when there is none."""


class GuardrailStatus(StatusModel):
    """The last look at one guardrail."""

    name: Word
    """The guardrail."""
    digest: Word
    """A digest of its definition: a changed guardrail starts its evidence again."""
    verdict: Verdict
    """What the last look says."""
    message: Message
    """The same in a sentence, with the numbers."""
    value: float | None = None
    """What the query read, of the treatment with the worst verdict."""
    treatment: float | None = None
    """Of what is counted, and the treatment with the worst verdict: its rate of events in this attempt."""
    control: float | None = None
    """The comparison's rate, with each step's weighted as the treatment's requests are."""
    ratio: float | None = None
    """The treatment's rate divided by the comparison's; absent when the comparison had no event."""
    interval: Interval | None = None
    """The ratios that the counts do not rule out."""
    samples: float | None = None
    """How many units or requests of the treatment were counted."""
    samples_to_decision: int | None = None
    """About how many more a Pass or a Breach needs, if things go on like this; absent when there is no telling."""
    looked_at: Moment
    """When it was read."""
    reads_from: Moment
    """How far back that reading reaches."""
    last_data_at: Moment | None = None
    """When this attempt last had data."""
    without_data_since: Moment | None = None
    """Since when data is missing or the query fails."""
    recent: Annotated[tuple[Verdict, ...], Field(max_length=10)] = ()
    """The last verdicts, newest last."""
    counted_to: Moment | None = None
    """Of what is counted: what rose after this instant is not counted yet."""
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=75), KeyedBy("treatment", "bound")] = ()
    """Of what is counted: what it says of each treatment."""


class MeasuredDispersion(StatusModel):
    """How much more a guardrail's events vary than independent ones would, as it was measured for this attempt."""

    guardrail: Word
    """The guardrail."""
    digest: Word
    """A digest of its definition: for a changed guardrail it is measured again."""
    factor: float
    """The factor, an upper bound; rounded up."""
    windows: int
    """Of how many windows it was made."""


class VariantExposures(StatusModel):
    """First exposures of one arm, or the baseline, at the percentage that is served."""

    variant: Word
    """The arm, or `baseline`."""
    count: int
    """How many units saw it for the first time at this percentage. An edit that leaves it forgets nobody: pods count no unit anew."""


class Exposures(StatusModel):
    """First exposures at the percentage that is served."""

    counted_to: Moment
    """Exposures after this instant are not counted yet."""
    variants: Annotated[tuple[VariantExposures, ...], Field(max_length=17)]
    """The count of each arm and of the baseline."""
    problem: Message | None = None
    """Why the last look could not count."""


class SampleRatio(StatusModel):
    """How this attempt's first exposures fell to a treatment, beside how they are drawn."""

    treatment: Word
    """The treatment."""
    log_e_values: TiltNumbers
    """Natural logarithms of the e-values against "as drawn", one for each tilt of the odds that is considered; rounded down.

    Once they speak against it, nothing is added: they are the record of why."""
    exposures: float
    """How many first exposures of a process the treatment had; processes are averaged."""
    due: float
    """How many of them are due, by each step's percentage and the weights."""
    of: float
    """How many there were of all arms and the baseline."""
    counted_to: Moment
    """The end of the last window that was added."""


class Transition(StatusModel):
    """One change of phase or percentage."""

    at: Moment
    """When."""
    from_: Annotated[Phase, Field(alias="from")]
    """The phase before."""
    to: Phase
    """The phase after."""
    percent: Percent
    """The percentage after."""
    reason: Word
    """Why, in a word; docs/states.md lists them."""
    message: Message
    """Why, in a sentence."""
    by: Annotated[str, Field(max_length=128)] | None = None
    """The field manager, where a person's change was the cause."""


class Condition(StatusModel):
    """A condition by the conventions of metav1.Condition."""

    type: Word
    """What it speaks of."""
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)]
    """Whether it holds."""
    reason: Word
    """Why, in a word."""
    message: Message
    """Why, in a sentence, with the remedy."""
    last_transition_time: Moment
    """When `status` last changed."""
    observed_generation: int
    """The metadata.generation that it speaks of."""


class Status(StatusModel):
    """The operator's memory of one Experiment."""

    observed_generation: int = 0
    """The metadata.generation that was last taken in."""
    phase: Phase = Phase.PENDING
    """Where the attempt is."""
    waiting_for: WaitingFor | None = None
    """Why it is not advancing, or pods do not obey its end: the first reason that holds."""
    attempt: int
    """The attempt that runs or ran last."""
    step: int = -1
    """Index into ramp.steps; -1 before the first."""
    percent: Percent = 0.0
    """What is served: the authority."""
    attempt_started_at: Moment
    """When the attempt was taken up."""
    step_started_at: Moment | None = None
    """When the step's clock started."""
    next_step_at: Moment | None = None
    """When the hold is over; other things may still be waited for. Absent while pods do not obey the entry: the hold will begin again."""
    step_confirmed_at: Moment | None = None
    """When the pods that `ramp.confirm` asks for ran the step's rules; that started its clock."""
    steps_digest: Word = ""
    """A digest of ramp.steps, by which an edit is noticed."""
    draw_digest: Word = ""
    """A digest of what has drawn units in this attempt, by which a change that would move them is noticed."""
    spec_digest: Word = ""
    """A digest of the spec in force, the last one that was accepted; the ControllerRevision that keeps it has it as a label."""
    shipped: Word | None = None
    """The variant that everybody gets, once shipped."""
    latch: Latch | None = None
    """The end of the attempt, if it was ended."""
    rules: Rules | None = None
    """What the gate's entry must be."""
    guardrails: Annotated[
        tuple[GuardrailStatus, ...],
        Field(max_length=16),
        KeyedBy("name"),
    ] = ()
    """The last look at each guardrail."""
    dispersions: Annotated[tuple[MeasuredDispersion, ...], Field(max_length=16), KeyedBy("guardrail")] = ()
    """What was measured for guardrails with `dispersion.measuredOver`."""
    exposures: Exposures | None = None
    """First exposures at the percentage that is served."""
    sample_ratios: Annotated[tuple[SampleRatio, ...], Field(max_length=15), KeyedBy("treatment")] = ()
    """How the attempt's first exposures fell to each treatment."""
    history: Annotated[tuple[Transition, ...], Field(max_length=HISTORY_LIMIT)] = ()
    """The last transitions, newest last."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(max_length=8),
        KeyedBy("type"),
    ] = ()
    """Valid, RulesRendered, GuardrailsPassing, Progressing; ResultsValid where exposures are counted, FlagdRendered with flagd,
    PodsNudged while pods cannot be told of changes."""

    def condition(self, kind: str) -> Condition | None:
        """Give the condition of this type."""
        return next((condition for condition in self.conditions if condition.type == kind), None)

    def guardrail(self, name: str) -> GuardrailStatus | None:
        """Give the last look at this guardrail."""
        return next((guardrail for guardrail in self.guardrails if guardrail.name == name), None)


def read_status(value: object) -> Status | None:
    """Read the status of an Experiment; None when it is absent or cannot be read: then it counts as lost."""
    if not isinstance(value, Mapping) or not value:
        return None
    try:
        return Status.from_wire(value)
    except ValidationError as error:
        unreadable = {str(details["loc"][0]) for details in error.errors() if details["loc"]}
    readable = {field: part for field, part in value.items() if field not in unreadable}
    return read_status(readable) if unreadable <= _REPLACEABLE & value.keys() else None


_REPLACEABLE = frozenset(
    {
        "waitingFor", "guardrails", "dispersions", "exposures", "sampleRatios", "conditions", "history", "nextStepAt", "stepConfirmedAt",
    }
)  # fmt: skip
"""What is found out again by looking; all else says where the attempt is."""
