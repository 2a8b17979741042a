"""What a person asks for: the `spec` of an Experiment, its bounds and its rules.

The CRD in `crds/`, the reference in `docs/` and the sentences of a refusal are made from these models.
Knows nothing of status, Prometheus or ConfigMaps; whatever a schema can say is said here, the rest in `checks.py`.
"""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field, JsonValue, WithJsonSchema

from rampgate_operator.core.eligibility import Item
from rampgate_operator.core.guardrail_spec import Analysis, Guardrail
from rampgate_operator.core.quantities import (
    Duration,
    Interval,
    Name,
    Percent,
    PodShare,
    PositivePercent,
    ShortText,
    Time,
    TimeOfDay,
    share,
)
from rampgate_operator.core.schema import KeyedBy, Model, Rule

MAX_TOTAL_WEIGHT = 2**31 - 1
BASELINE = "baseline"
"""What the label `variant` says of eligible units that are not enrolled: they are served control's value."""
RESERVED_VARIANTS = (BASELINE, "ineligible", "override", "none")

VariantValue = Annotated[JsonValue, WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})]


class HashInput(StrEnum):
    """How the text that is hashed becomes bytes; see docs/rules-format.md."""

    UTF8 = "UTF8"
    CBOR = "CBOR"


class Day(StrEnum):
    """A day of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class OnDeadline(StrEnum):
    """What a passed deadline does."""

    HOLD = "Hold"
    ROLLBACK = "Rollback"


class Variant(Model):
    """One of the values that a unit can be given."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$", max_length=63)]
    """The variant's name, as the application and the metrics see it."""
    value: VariantValue
    """What the application receives: a boolean, string, number, object or list; the same type for every variant."""
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """The variant's share of the enrolled units, relative to the other weights."""

    RULES: ClassVar = (
        Rule(
            cel="!(self.name in ['baseline', 'ineligible', 'override', 'none'])",
            holds=lambda self: self.name not in RESERVED_VARIANTS,
            path=".name",
            message="baseline, ineligible, override and none are reserved for metrics; choose another name",
        ),
    )


class Override(Model):
    """Units that always get one variant, whatever the percentage: for testers; never analysed."""

    variant: ShortText
    """The variant that these units get."""
    units: Annotated[list[ShortText], Field(min_length=1, max_length=100)]
    """The units, as the application names them."""


class Step(Model):
    """A percentage of the ramp and what must hold before the next one."""

    percent: PositivePercent
    """The share of eligible units that is enrolled on this step, in percent with at most two decimals."""
    hold: Duration
    """The least time on this step, such as `10m`; on the last step: the bake before the experiment is Completed."""
    min_exposures: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """How many first exposures each treatment needs on this step before it may end."""
    approval: bool = False
    """Wait for `approved.upTo` to reach this step's percentage before it begins; by default no."""


class Confirm(Model):
    """That a step's clock starts only when pods run its rules."""

    pods: PodShare = "95%"
    """How many must, with a per cent sign: the share of this gate's `rampgate_rules_generation` series in this namespace, as the source
    `default` has them. All pods that have this ConfigMap tell one, also those of other applications."""
    timeout: Duration = "5m"
    """After how long a condition and an Event say that too few do; the step goes on waiting."""


class Ramp(Model):
    """How exposure rises."""

    steps: Annotated[list[Step], Field(min_length=1, max_length=20)]
    """The steps, by ascending percentage."""
    confirm: Confirm | None = None
    """Start each step's clock when pods run its rules, as they tell by `rampgate_rules_generation`; by default when they can be read."""

    RULES: ClassVar = (
        Rule(
            cel="self.steps.all(a, self.steps.exists_one(b, b.percent == a.percent)) && self.steps.map(s, s.percent).isSorted()",
            holds=lambda self: all(a.percent < b.percent for a, b in zip(self.steps, self.steps[1:], strict=False)),
            path=".steps",
            message="steps must rise: each percent larger than the one before",
        ),
    )


class Window(Model):
    """Days and hours in which a step may begin, by the wall clock of a time zone."""

    days: Annotated[list[Day], Field(min_length=1, max_length=7)]
    """The days on which the window opens."""
    from_: Annotated[TimeOfDay, Field(alias="from")]
    """When it opens, `09:00`."""
    to: TimeOfDay
    """When it closes, `16:00`; `24:00` is the end of the day. A window over midnight is written as two."""
    time_zone: ShortText = "UTC"
    """An IANA time zone such as `Europe/Berlin`, by default `UTC`; daylight saving is followed."""

    RULES: ClassVar = (
        Rule(
            cel="self.from < self.to",
            holds=lambda self: self.from_ < self.to,
            path=".to",
            message="to must be later than from; write a window over midnight as two windows",
        ),
        Rule(
            cel="self.days.all(a, self.days.exists_one(b, b == a))",
            holds=lambda self: len(set(self.days)) == len(self.days),
            path=".days",
            message="each day may be named once",
        ),
    )


class Schedule(Model):
    """When the ramp may move."""

    not_before: Time | None = None
    """No step before this instant, RFC 3339."""
    deadline: Time | None = None
    """When the experiment should be Completed or Shipped, RFC 3339; `onDeadline` says what happens otherwise."""
    on_deadline: OnDeadline = OnDeadline.HOLD
    """`Hold` stops the ramp where it is; `Rollback` puts everybody back on control."""
    windows: Annotated[list[Window], Field(min_length=1, max_length=14)] | None = None
    """Steps begin only inside one of these windows; guardrails act at any time."""

    RULES: ClassVar = (
        Rule(
            cel="!has(self.notBefore) || !has(self.deadline) || self.notBefore < self.deadline",
            holds=lambda self: self.not_before is None or self.deadline is None or self.not_before < self.deadline,
            path=".deadline",
            message="deadline must be later than notBefore",
        ),
    )


class Approved(Model):
    """A person's consent to steps with `approval: true`."""

    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    """The attempt it is given for; void for another."""
    up_to: Percent
    """The highest percentage that may begin."""


class Ship(Model):
    """The decision that ends the experiment: every eligible unit gets this variant."""

    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    """The attempt that it decides; void for another."""
    variant: ShortText
    """The variant that everybody gets from now on."""


class Spec(Model):
    """What to try, on whom, how fast, and what must not get worse."""

    owner: ShortText
    """Who answers for it: a team, an address."""
    hypothesis: Annotated[str, Field(max_length=2048)] | None = None
    """What is expected to happen, in a sentence."""
    attempt: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """The run of the ramp; raising it begins again from 0 %, the only way back after a rollback or a kill."""
    unit: ShortText = "targetingKey"
    """The context attribute that is randomised: a user, an account, a session."""
    salt: ShortText | None = None
    """What makes this experiment's draw independent of others; by default `<namespace>/<name>`.

    A new one with a new attempt lets other units go first."""
    hash_input: HashInput = HashInput.UTF8
    """How the hashed text becomes bytes: `UTF8`, or `CBOR` to agree with openfeature-flagd-core 2.x."""
    config_map_name: Name = "feature-gates"
    """The ConfigMap that receives the rules, shared by the namespace's experiments; immutable."""
    variants: Annotated[
        list[Variant],
        Field(min_length=2, max_length=16),
        KeyedBy("name"),
    ]
    """The variants; order matters to the draw."""
    control: ShortText
    """The variant that everybody has when nothing is tried."""
    eligibility: Annotated[list[Item], Field(min_length=1, max_length=16)] | None = None
    """Who may be enrolled: all of these must match. Absent: everybody."""
    overrides: (
        Annotated[
            list[Override],
            Field(min_length=1, max_length=16),
            KeyedBy("variant"),
        ]
        | None
    ) = None
    """Units that always get one variant, for testers."""
    ramp: Ramp
    """How exposure rises."""
    schedule: Schedule | None = None
    """When the ramp may move."""
    guardrails: (
        Annotated[
            list[Guardrail],
            Field(min_length=1, max_length=16),
            KeyedBy("name"),
        ]
        | None
    ) = None
    """What must not get worse."""
    analysis: Analysis | None = None
    """How sure a rollback must be; by default `{falseRollbackRate: 5%}`."""
    interval: Interval = "30s"
    """The time between two looks at the guardrails."""
    approved: Approved | None = None
    """Consent to steps with `approval: true`."""
    paused: bool | None = None
    """Stay at this percentage; guardrails still act."""
    killed: bool | None = None
    """Everybody on control, now. Meant for `kubectl patch`; keep it out of Git.

    Removing it does not start the ramp again: raise `attempt`."""
    ship: Ship | None = None
    """The decision that ends the experiment."""

    RULES: ClassVar = (
        Rule(
            cel="self.variants.exists(v, v.name == self.control)",
            holds=lambda self: self.control in self.variant_names,
            path=".control",
            message="control must be the name of one of the variants",
        ),
        Rule(
            cel="self.variants.exists(v, v.name != self.control && v.weight > 0)",
            holds=lambda self: any(v.weight > 0 for v in self.treatments),
            path=".variants",
            message="at least one treatment needs a weight above 0",
        ),
        Rule(
            cel="!has(self.overrides) || self.overrides.all(o, self.variants.exists(v, v.name == o.variant))",
            holds=lambda self: all(o.variant in self.variant_names for o in self.overrides or ()),
            path=".overrides",
            message="an override must name one of the variants",
        ),
        Rule(
            cel="!has(self.ship) || self.variants.exists(v, v.name == self.ship.variant)",
            holds=lambda self: self.ship is None or self.ship.variant in self.variant_names,
            path=".ship.variant",
            message="ship.variant must be the name of one of the variants",
        ),
    )
    UPDATE_RULES: ClassVar = (
        Rule(
            cel="self.configMapName == oldSelf.configMapName",
            holds=lambda self, old: self.config_map_name == old.config_map_name,
            path=".configMapName",
            message="configMapName is immutable; delete the Experiment and create it again",
        ),
    )

    @property
    def variant_names(self) -> tuple[str, ...]:
        """The variants' names, in order."""
        return tuple(variant.name for variant in self.variants)

    @cached_property
    def treatments(self) -> tuple[Variant, ...]:
        """Every variant but control."""
        return tuple(variant for variant in self.variants if variant.name != self.control)

    @cached_property
    def drawn_treatments(self) -> tuple[Variant, ...]:
        """The treatments that units are drawn into: those with a weight."""
        return tuple(variant for variant in self.treatments if variant.weight > 0)

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """What the label `variant` says of units that are analysed: the variants with a weight, and `baseline`."""
        return (*(variant.name for variant in self.variants if variant.weight > 0), BASELINE)

    @cached_property
    def false_rollback_rate(self) -> float:
        """The chance of a rollback without harm that is allowed, of the whole experiment."""
        return share((self.analysis or Analysis()).false_rollback_rate)

    @property
    def control_value(self) -> JsonValue:
        """What the application receives on control."""
        return next(variant.value for variant in self.variants if variant.name == self.control)
