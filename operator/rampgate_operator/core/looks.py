"""The questions the operator asks of a metrics source, and the answers it may get.

Knows the shape of a question (a finished query, an instant, a kind) and every outcome as a value, "no data" included.
Must not know how a source is reached, what a guardrail makes of an answer, or what time it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias


class Kind(StrEnum):
    """What is wanted from a query."""

    VALUE = "Value"
    """One number: the query must have exactly one series, or be a scalar."""
    INCREASES = "Increases"
    """Exact counts per `variant` in each window: the query must be one instant selector of a counter, or a metric of the SDK."""
    EXPOSURES = "Exposures"
    """As INCREASES of a metric of the SDK, with what a sample ratio is judged by: how many processes, and by which rules."""
    GENERATIONS = "Generations"
    """How many of a gate's series tell that they run its rules, now: stale ones are gone."""


_OF_METRICS = frozenset({Kind.EXPOSURES, Kind.GENERATIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One of the SDK's counters, of one gate: many of them are read with one query.

    Attributes:
        name: as Prometheus has it, such as `rampgate_requests_total`.
        gate: the label `gate`.
        labels: further labels and their values; `le` in seconds, compared as a number.
    """

    name: str
    gate: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRequest:
    """One question.

    Attributes:
        key: what the caller wants its answer under; opaque, unique within a set of questions.
        source: the name of a configured metrics source.
        query: finished PromQL (`core.promql.compile_query`): substituted, and with its namespace matcher. Empty when `metric` is given.
        metric: what to count of the SDK's own metrics, in the tenant's namespace, instead of a query.
        at: the instant to evaluate at, aware; the operator's clock is the only one. A sample becomes visible some time after its
            timestamp (a scrape's duration), so ask for increases a little in the past or lose what arrives late.
        tenant: the namespace that asks: a source serves tenants in turn, and since when it has scraped theirs tells what it would know of
            the past of a series that is counted.
        kind: what to read from the answer.
        since: where counting begins, exclusive; None where nothing is counted.
        cuts: instants between `since` and `at`, ascending: what lies between two of them is a window of its own.
        generation: of EXPOSURES and GENERATIONS: the generation of rules that processes must run.
    """

    key: Hashable
    source: str
    query: str = ""
    metric: Metric | None = None
    at: datetime
    tenant: str = ""
    kind: Kind = Kind.VALUE
    since: datetime | None = None
    cuts: tuple[datetime, ...] = ()
    generation: int = 0

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("LookRequest.at must be an aware datetime")
        if (self.kind in {Kind.VALUE, Kind.GENERATIONS}) != (self.since is None):
            raise ValueError("LookRequest.since goes with what is counted, and only with it")
        if self.since is not None and not self.tenant:
            raise ValueError("LookRequest.tenant is needed to count")
        if bool(self.query) == (self.metric is not None) or (self.kind in _OF_METRICS and self.metric is None):
            raise ValueError("LookRequest needs either query or metric; exposures and generations are a metric")
        if not all(before < after for before, after in pairwise(self.edges)):
            raise ValueError("LookRequest.since, cuts and at must ascend")

    @property
    def edges(self) -> tuple[datetime, ...]:
        """The ends of the windows, and before them where the first begins."""
        return () if self.since is None else (self.since, *self.cuts, self.at)


class FailureReason(StrEnum):
    """Why a source gave no usable answer. The word appears in status, metrics and logs."""

    TIMEOUT = "Timeout"
    """No complete answer in time."""
    UNREACHABLE = "Unreachable"
    """No connection: name, network, TLS, or closed half-way."""
    REFUSED = "Refused"
    """The source does not accept this query: fix the query."""
    UNAUTHORIZED = "Unauthorized"
    """HTTP 401 or 403, or a token or CA file that cannot be read: fix the source's configuration."""
    SERVER_ERROR = "ServerError"
    """HTTP 5xx: the source's own trouble."""
    REDIRECT = "Redirect"
    """HTTP 3xx: redirects are never followed; configure the final URL."""
    TOO_LARGE = "TooLarge"
    """More bytes or series than an answer may have."""
    NOT_PROMETHEUS = "NotPrometheus"
    """Not the Prometheus HTTP API's JSON."""
    NOT_A_NUMBER = "NotANumber"
    """A string, a range or a native histogram where a number is needed: fix the query."""
    MANY_SERIES = "ManySeries"
    """Two or more series where exactly one is needed: aggregate in the query."""
    THROTTLED = "Throttled"
    """HTTP 429, or no free connection to the source within the waiting time."""
    UNKNOWN_SOURCE = "UnknownSource"
    """No source of that name is configured in the operator."""


@dataclass(frozen=True, slots=True)
class Value:
    """One finite number. `warnings` are the source's own, sanitised and shortened (a partial answer, a doubtful rate)."""

    value: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Increases:
    """How much counters rose in each window, by the label `variant` ("" where a series has none). Exact, never extrapolated."""

    windows: tuple[Mapping[str, float], ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exposed:
    """First exposures in each window, by variant, and who counted them.

    Attributes:
        windows: how much the counter rose.
        settled: for each window, whether every process that reported in it ran the rules asked for from its beginning on.
        processes: how many processes reported; each counts a unit once.
        warnings: the source's own.
    """

    windows: tuple[Mapping[str, float], ...]
    settled: tuple[bool, ...]
    processes: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    """How many series tell a generation, how many of them the one asked for or a later one, and the names of some that do not."""

    seen: int
    on: int
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoData:
    """The source answered, and there is nothing to judge by. `why` is a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The source gave no usable answer. `message` is a sentence a person can act on; never the raw body of an answer."""

    reason: FailureReason
    message: str


Answer: TypeAlias = Value | Increases | Exposed | Running | NoData | Failed
