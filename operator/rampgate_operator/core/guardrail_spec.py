"""What must not get worse: the `guardrails` and `analysis` of a spec, their bounds and their rules.

Knows nothing of Prometheus, of readings and of what a verdict does.
"""

import json
import re
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import Field

from rampgate_operator.core.quantities import INTERVAL_PATTERN, Duration, Interval, Name, Percentage, duration
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

Bound = Annotated[
    Duration,
    Obeys(
        Rule(
            cel="!self.matches('^0+[a-z]')",
            holds=lambda text: re.match("0+[a-z]", text) is None,
            message="a request is slower than 0 anyway: write a bound of the histogram's buckets, such as 250ms",
        )
    ),
]
"""A bound of a histogram's buckets: `250ms`."""

FalseRollbackRate = Annotated[
    Percentage,
    _written_as(
        r"(0[.][1-9][0-9]?|1?[1-9]([.][0-9]{1,2})?|10([.][0-9]{1,2})?|20)%", "write 0.1% to 20%, with at most two decimals, such as 5%"
    ),
]
"""A chance: `5%`."""


Span = Annotated[
    Interval,
    Obeys(
        Rule(  # a text that is no duration has a sentence of its own
            cel=f"!self.matches('{INTERVAL_PATTERN}') || (duration(self) >= duration('5m') && duration(self) <= duration('2h'))",
            holds=lambda text: timedelta(minutes=5) <= duration(text) <= timedelta(hours=2),
            message="write 5m to 2h, such as 30m",
        )
    ),
]
"""How long something is measured: `30m`."""


class OnBreach(StrEnum):
    """What a broken guardrail does."""

    ROLLBACK = "Rollback"
    HOLD = "Hold"
    NOTIFY = "Notify"


class OnInconclusive(StrEnum):
    """What counts that show neither harm nor its absence do."""

    ADVANCE = "Advance"
    HOLD = "Hold"


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


class Per(StrEnum):
    """Of what a rate is."""

    UNIT = "Unit"
    REQUEST = "Request"


class ErrorRate(Model):
    """What `gates.measure()` and the middlewares count as errors."""

    per: Per = Per.UNIT
    """`Unit`: how many of the exposed units met an error, each counted once a step; right also when few units send many requests.
    `Request`: how many requests failed, as if each were somebody else's."""


class Latency(Model):
    """Durations of requests, by what share of them is slower than each of some bounds."""

    buckets: Annotated[list[Bound], Field(min_length=3, max_length=5)]
    """Three to five bounds of the buckets of `rampgate_request_duration_seconds`, such as `[50ms, 250ms, 1s]`; evidence is averaged."""


class Dispersion(Model):
    """How much more events vary than independent ones would: they come in clusters, such as one user's retries."""

    factor: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] | None = None
    """Events are weighed as if so many times fewer had been counted, such as `3`."""
    measured_over: Span | None = None
    """The factor is measured, over the last `30m` of control and baseline, before anything is compared; until then no step begins."""

    RULES: ClassVar = (
        Rule(
            cel="has(self.factor) != has(self.measuredOver)",
            holds=lambda self: (self.factor is None) != (self.measured_over is None),
            message="give either factor or measuredOver",
        ),
    )


class Guardrail(Model):
    """Something that must not get worse, read from Prometheus at every interval."""

    name: Name
    """The guardrail's name in status, conditions and metrics."""
    query: Query | None = None
    """An instant PromQL query that yields exactly one series; `$variant`, `$gate` and `$experiment` may stand in label values.

    With `$variant` it is asked once per treatment and the worst verdict counts."""
    counters: Counters | None = None
    """Two counters of your own: events, and all that they are a part of."""
    error_rate: ErrorRate | None = None
    """The SDK's own counts of errors; `{}` counts units."""
    slower_than: Bound | None = None
    """The share of requests that took longer than this, such as `250ms`; it must be a bound of the histogram's buckets."""
    latency: Latency | None = None
    """The whole distribution of durations, compared at three to five bounds. With `maxIncrease`."""
    max_increase: Increase | None = None
    """By how much treatment's rate may be above the comparison's, such as `5%`: with 5% it may be 1.05 times as high. Not with `query`."""
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Of a query: a value above this one is a breach. Else the highest rate allowed to a treatment, such as `0.02`, tested sequentially."""
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """A value below this one is a breach. With `query`."""
    breaches: Breaches | None = None
    """How many of the last looks must breach before the guardrail acts; by default one is enough.

    With `query` alone: the evidence of what is counted adds up by itself."""
    dispersion: Dispersion | None = None
    """That events come in clusters, and how much. Of units only a `factor`: it stands for how many processes count each of them."""
    on_inconclusive: OnInconclusive | None = None
    """What happens while counts show neither harm nor that it stays within `maxIncrease` and `max`; a step never waits longer than it must.

    By default they do not hold a step, but for the one to 100 % (and not even that with `maxIncrease: 0%`, which no counts can show)."""
    on_breach: OnBreach = OnBreach.ROLLBACK
    """`Rollback` puts everybody back on control; `Hold` stops the ramp while it lasts; `Notify` only reports, and never blocks."""
    on_no_data: OnMissing = OnMissing.HOLD
    """`Rollback` acts after two intervals without data, once this attempt has had data; there is never an advance without data."""
    on_error: OnMissing = OnMissing.HOLD
    """The same for a query that fails."""
    source: Name = "default"
    """Which Prometheus, by the name that the operator's configuration gives it."""

    @property
    def is_counted(self) -> bool:
        """Whether it tests counts, rather than reading one number."""
        return self.query is None

    @property
    def is_per_unit(self) -> bool:
        """Whether it counts units, each once on a step: then the total grows until everybody has been there."""
        return self.error_rate is not None and self.error_rate.per is Per.UNIT

    @property
    def cluster(self) -> float:
        """How many events weigh as one; 1 where that is still to be measured."""
        return (self.dispersion.factor if self.dispersion else None) or 1.0

    @property
    def measured_over(self) -> str | None:
        """Over how long its dispersion is measured; None when it is not."""
        return self.dispersion.measured_over if self.dispersion else None

    def with_factor(self, factor: float) -> "Guardrail":
        """Give a guardrail to weigh by: the same with the factor that was found out. What identifies it is what a person wrote."""
        dispersion = Dispersion.model_construct(factor=factor, measured_over=self.measured_over)
        return self.model_copy(update={"dispersion": dispersion})

    def among(self, processes: float) -> "Guardrail":
        """Give a guardrail to weigh units by that so many processes counted, each once; a factor that is given says better."""
        return self if self.dispersion is not None or not self.is_per_unit or processes <= 1 else self.with_factor(processes)

    @cached_property
    def definition(self) -> str:
        """What it measures, as JSON; what it does about it is no part of that."""
        if self.query is not None:
            return json.dumps(self.model_dump(mode="json", include={"query", "max", "min", "source"}))
        counted = {"counters", "error_rate", "slower_than", "latency", "max_increase", "max", "dispersion", "source"}
        return json.dumps(self.model_dump(mode="json", include=counted, exclude_none=True))

    RULES: ClassVar = (
        Rule(
            cel="[has(self.query), has(self.counters), has(self.errorRate), has(self.slowerThan), has(self.latency)]"
            ".exists_one(form, form)",
            holds=lambda self: sum(form is not None for form in _forms(self)) == 1,
            message="give exactly one of query, counters, errorRate, slowerThan and latency",
        ),
        Rule(
            cel="!has(self.query) || has(self.max) || has(self.min)",
            holds=lambda self: self.query is None or self.max is not None or self.min is not None,
            message="give max, min or both",
        ),
        Rule(
            cel="has(self.query) || has(self.maxIncrease) || has(self.max)",
            holds=lambda self: self.query is not None or self.max_increase is not None or self.max is not None,
            path=".maxIncrease",
            message="give maxIncrease, max or both: a rate is compared with control's, or with a limit",
        ),
        Rule(
            cel="!has(self.query) || !has(self.maxIncrease)",
            holds=lambda self: self.query is None or self.max_increase is None,
            path=".maxIncrease",
            message="maxIncrease goes with what is counted: a query has max and min",
        ),
        Rule(
            cel="has(self.query) || !has(self.min)",
            holds=lambda self: self.query is not None or self.min is None,
            path=".min",
            message="min goes with query: of what is counted only too much is harm",
        ),
        Rule(
            cel="has(self.query) || !has(self.max) || (self.max >= 0.000001 && self.max <= 0.999999)",
            holds=lambda self: self.query is not None or self.max is None or 1e-6 <= self.max <= 1 - 1e-6,
            path=".max",
            message="a rate is between 0.000001 and 0.999999: write 0.02 for 2 %",
        ),
        Rule(
            cel="!has(self.latency) || !has(self.max)",
            holds=lambda self: self.latency is None or self.max is None,
            path=".max",
            message="latency is compared, with maxIncrease: for a limit use slowerThan",
        ),
        Rule(
            cel="has(self.query) || !has(self.breaches)",
            holds=lambda self: self.query is not None or self.breaches is None,
            path=".breaches",
            message="breaches goes with query: the evidence of what is counted adds up by itself",
        ),
        Rule(
            cel="!has(self.dispersion) || (!has(self.query) && "
            "(!has(self.errorRate) || self.errorRate.per == 'Request' || has(self.dispersion.factor)))",
            holds=lambda self: self.dispersion is None or (self.query is None and (not self.is_per_unit or not self.measured_over)),
            path=".dispersion",
            message="dispersion goes with what is counted, and of units it is a factor: by default the number of processes",
        ),
        Rule(
            cel="!has(self.query) || !has(self.onInconclusive)",
            holds=lambda self: self.query is None or self.on_inconclusive is None,
            path=".onInconclusive",
            message="onInconclusive goes with what is counted: a query is within its limits or not",
        ),
        Rule(
            cel="!has(self.max) || !has(self.min) || self.min < self.max",
            holds=lambda self: self.max is None or self.min is None or self.min < self.max,
            path=".min",
            message="min must be smaller than max",
        ),
    )


def _forms(guardrail: Guardrail) -> tuple[object, ...]:
    return guardrail.query, guardrail.counters, guardrail.error_rate, guardrail.slower_than, guardrail.latency


class Analysis(Model):
    """How sure a rollback must be."""

    false_rollback_rate: FalseRollbackRate = "5%"
    """The chance that an experiment whose treatments are within every `maxIncrease` is rolled back all the same, however often it is looked
    at: shared by all limits of all guardrails that count, and all treatments."""
