"""What must not get worse: the `guardrails` and `analysis` of a spec, their bounds and their rules.

Knows nothing of Prometheus, of readings and of what a verdict does.
"""

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from rampgate_operator.core.quantities import Name, Percentage
from rampgate_operator.core.schema import Model, Obeys, Rule

Query = Annotated[str, Field(min_length=1, max_length=2048)]


def _written_as(pattern: str, message: str) -> Obeys:
    """Bound a percentage that is a text, as people write it, in one pattern for CEL (RE2) and Python."""
    holds = re.compile(pattern, re.ASCII).fullmatch
    return Obeys(Rule(cel=f"self.matches('^({pattern})$')", holds=lambda text: holds(text) is not None, message=message))


Increase = Annotated[
    Percentage,
    _written_as(r"([0-9]{1,3}([.][0-9]{1,2})?|1000)%", "write 0% to 1000%, with at most two decimals, such as 5%"),
]
"""How much higher a rate may be: `5%`."""

FalseRollbackRate = Annotated[
    Percentage,
    _written_as(
        r"(0[.][1-9][0-9]?|1?[1-9]([.][0-9]{1,2})?|10([.][0-9]{1,2})?|20)%", "write 0.1% to 20%, with at most two decimals, such as 5%"
    ),
]
"""A chance: `5%`."""


class OnBreach(StrEnum):
    """What a broken guardrail does."""

    ROLLBACK = "Rollback"
    HOLD = "Hold"
    NOTIFY = "Notify"


class OnMissing(StrEnum):
    """What readings that stay away (`onNoData`, `onError`) do."""

    HOLD = "Hold"
    ROLLBACK = "Rollback"


class Breaches(Model):
    """How many of the last looks must breach before the guardrail acts."""

    count: Annotated[int, Field(ge=1, le=10)] = 1
    """How many of the last `of` looks must breach."""
    of: Annotated[int, Field(ge=1, le=10)] = 1
    """How many of the last looks are taken into account."""

    RULES: ClassVar = (
        Rule(
            cel="self.count <= self.of",
            holds=lambda self: self.count <= self.of,
            path=".count",
            message="count must not be larger than of, which is 1 when left out",
        ),
    )


class Counters(Model):
    """Two counters of the application, each with the label `variant`."""

    events: Query
    """A counter of what must not happen more often, such as `orders_failed_total{gate="$gate",variant="$variant"}`.

    One selector without function or range, with the matcher `variant="$variant"`: the operator counts it itself, for all arms at once."""
    total: Query
    """A counter of everything that `events` is a part of, written in the same way."""


class Guardrail(Model):
    """Something that must not get worse, read from Prometheus at every interval."""

    name: Name
    """The guardrail's name in status, conditions and metrics."""
    query: Query | None = None
    """An instant PromQL query that yields exactly one series; `$variant`, `$gate` and `$experiment` may stand in label values.

    With `$variant` it is asked once per treatment and the worst verdict counts."""
    counters: Counters | None = None
    """Instead of a query, two counters: treatment's rate of events is tested against that of control and baseline together."""
    max_increase: Increase | None = None
    """By how much treatment's rate may be above the comparison's, such as `5%`: with 5% it may be 1.05 times as high. With `counters`."""
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """A value above this one is a breach. With `query`."""
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """A value below this one is a breach. With `query`."""
    breaches: Breaches | None = None
    """How many of the last looks must breach before the guardrail acts; by default one is enough.

    With `query` alone: the evidence of counters adds up by itself."""
    on_breach: OnBreach = OnBreach.ROLLBACK
    """`Rollback` puts everybody back on control; `Hold` stops the ramp while it lasts; `Notify` only reports, and never blocks."""
    on_no_data: OnMissing = OnMissing.HOLD
    """`Rollback` acts after two intervals without data, once this attempt has had data; there is never an advance without data."""
    on_error: OnMissing = OnMissing.HOLD
    """The same for a query that fails."""
    source: Name = "default"
    """Which Prometheus, by the name that the operator's configuration gives it."""

    RULES: ClassVar = (
        Rule(
            cel="has(self.query) != has(self.counters)",
            holds=lambda self: (self.query is None) != (self.counters is None),
            message="give either query or counters",
        ),
        Rule(
            cel="!has(self.query) || has(self.max) || has(self.min)",
            holds=lambda self: self.query is None or self.max is not None or self.min is not None,
            message="give max, min or both",
        ),
        Rule(
            cel="has(self.counters) == has(self.maxIncrease)",
            holds=lambda self: (self.counters is None) == (self.max_increase is None),
            path=".maxIncrease",
            message="counters need maxIncrease, and maxIncrease needs counters",
        ),
        Rule(
            cel="!has(self.counters) || !(has(self.max) || has(self.min))",
            holds=lambda self: self.counters is None or (self.max is None and self.min is None),
            path=".counters",
            message="max and min go with query: what counters may do is said by maxIncrease",
        ),
        Rule(
            cel="!has(self.counters) || !has(self.breaches)",
            holds=lambda self: self.counters is None or self.breaches is None,
            path=".breaches",
            message="breaches goes with query: the evidence of counters adds up by itself",
        ),
        Rule(
            cel="!has(self.max) || !has(self.min) || self.min < self.max",
            holds=lambda self: self.max is None or self.min is None or self.min < self.max,
            path=".min",
            message="min must be smaller than max",
        ),
    )


class Analysis(Model):
    """How sure a rollback must be."""

    false_rollback_rate: FalseRollbackRate = "5%"
    """The chance that an experiment whose treatments are within every `maxIncrease` is rolled back all the same, however often it is looked
    at: shared by all guardrails with `counters` and all treatments."""
