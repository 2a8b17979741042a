"""What to ask of Prometheus for one Experiment, when, and what the answers are answers to."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rampgate_operator.core.counted import asked
from rampgate_operator.core.exposures import LONGEST_WINDOW, METRIC, counts_exposures
from rampgate_operator.core.grid import edges
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.guardrails import guardrail_digest, look_known, with_factor
from rampgate_operator.core.looks import Answer, Kind, LookRequest, Metric
from rampgate_operator.core.measuring import edges_of
from rampgate_operator.core.observation import ExposureLook, Look
from rampgate_operator.core.promql import LOOKBACK, CompiledQuery, query_for
from rampgate_operator.core.promql_gates import GENERATION
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase
from rampgate_operator.core.waiting import READINGS, Finding, Situation
from rampgate_operator.core.weigh import watermark

EXPOSURES_SOURCE = "default"
SCRAPE_LAG = timedelta(seconds=10)
"""A sample becomes visible some time after its timestamp: count a little in the past, or lose what arrives late."""
_EXPOSURES_KEY, _PODS_KEY = "exposures of the step", "rules of the pods"  # no guardrail's name has blanks


@dataclass(frozen=True, kw_only=True)
class Question:
    """One look at one guardrail, not yet answered."""

    guardrail: str
    digest: str
    attempt: int
    at: datetime
    reads_from: datetime
    requests: Mapping[str, LookRequest]
    """Of a query by treatment, the treatment "" when it does not name one; of counters by counter."""
    counted_to: datetime | None = None
    """Where the window of counters ends."""
    measures: bool = False
    """Whether dispersion is to be measured by it."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """All that is asked at one look."""

    guardrails: tuple[Question, ...]
    exposures: LookRequest | None

    @property
    def requests(self) -> tuple[LookRequest, ...]:
        """Every request, for the port that answers them together."""
        singles = (self.exposures,) if self.exposures else ()
        return (*(request for question in self.guardrails for request in question.requests.values()), *singles)

    def apart(self) -> Mapping[str, "Questions"]:
        """Give each guardrail's questions by its name, so that a slow answer to one keeps no other's breach waiting."""
        alone = {question.guardrail: Questions(guardrails=(question,), exposures=None) for question in self.guardrails}
        return alone | ({_EXPOSURES_KEY: replace(self, guardrails=())} if self.exposures else {})


def lag(spec: Spec) -> timedelta:
    """Say how far in the past counts are taken."""
    return min(SCRAPE_LAG, duration(spec.interval))


def is_looking(situation: Situation, findings: tuple[Finding, ...]) -> bool:
    """Tell whether there is something to read: a ramp under way, or one whose first step waits for readings alone."""
    spec, status = situation.spec, situation.status
    about_to_start = status.phase is Phase.PENDING and all(finding.waiting_for in READINGS for finding in findings)
    return bool(spec.guardrails) if about_to_start else status.phase is Phase.RAMPING and counts_exposures(spec)


def ask(situation: Situation, lookbacks: Mapping[str, timedelta]) -> Questions:
    """Give the questions of one look. `lookbacks` says, by source, how old a sample an instant selector may return."""
    spec = situation.spec
    given = (_question(situation, guardrail, lookbacks.get(guardrail.source, LOOKBACK)) for guardrail in spec.guardrails or ())
    guardrails = tuple(question for question in given if question is not None)
    return Questions(guardrails=guardrails, exposures=_exposures(situation))


def ask_of_pods(situation: Situation) -> LookRequest:
    """Ask which rules pods run."""
    experiment, rules = situation.experiment, situation.status.rules
    return LookRequest(
        key=(_PODS_KEY, ""),
        source=EXPOSURES_SOURCE,
        metric=Metric(name=GENERATION, gate=experiment.name),
        at=situation.now,
        tenant=experiment.namespace,
        kind=Kind.GENERATIONS,
        generation=rules.generation if rules else 0,
    )


def read_answers(questions: Questions, answers: Mapping[Hashable, Answer]) -> tuple[tuple[Look, ...], ExposureLook | None]:
    """Put the answers to what was asked."""
    looks = tuple(
        Look(
            guardrail=question.guardrail,
            digest=question.digest,
            attempt=question.attempt,
            at=question.at,
            reads_from=question.reads_from,
            answers={treatment: answers[request.key] for treatment, request in question.requests.items()},
            counted_to=question.counted_to,
            measures=question.measures,
        )
        for question in questions.guardrails
    )
    asked = questions.exposures
    if asked is None:
        return looks, None
    since, *cuts, until = asked.edges
    return looks, ExposureLook(since=since, until=until, cuts=tuple(cuts), answer=answers[asked.key])


def _exposures(situation: Situation) -> LookRequest | None:
    """Ask for the windows that follow the last one; None while none is over."""
    status = situation.status
    if status.step_started_at is None or not counts_exposures(situation.spec):
        return None
    following = _windows(situation, status.exposures.counted_to if status.exposures else status.step_started_at)
    if len(following) < 2:
        return None
    return LookRequest(
        key=(_EXPOSURES_KEY, ""),
        source=EXPOSURES_SOURCE,
        metric=Metric(name=METRIC, gate=situation.experiment.name),
        at=following[-1],
        tenant=situation.experiment.namespace,
        kind=Kind.EXPOSURES,
        since=following[0],
        cuts=following[1:-1],
        generation=status.rules.generation if status.rules else 0,
    )


def _question(situation: Situation, guardrail: Guardrail, lookback: timedelta) -> Question | None:
    if guardrail.query is not None:
        return _question_of_query(situation, guardrail, guardrail.query, lookback)
    return _question_of_counts(situation, guardrail)


def _question_of_counts(situation: Situation, guardrail: Guardrail) -> Question | None:
    """Ask for the windows that follow the last one; before the first step for any, to see that it is answered.

    Until its dispersion is measured, ask for the windows of that alone: the only ones that may reach further back than LONGEST_WINDOW.
    """
    experiment, status, spec = situation.experiment, situation.status, situation.spec
    over = guardrail.measured_over if with_factor(guardrail, status, spec) is None else None
    known = look_known(status, guardrail, spec)
    since, *ends = edges_of(over, _visible(situation)) if over else _windows(situation, watermark(status, known))
    if not ends:
        return None
    counted = asked(guardrail, gate=experiment.name, namespace=experiment.namespace, arms=spec.arms)
    return Question(
        guardrail=guardrail.name,
        digest=guardrail_digest(guardrail, spec),
        attempt=status.attempt,
        at=situation.now,
        reads_from=since,
        counted_to=ends[-1],
        measures=over is not None,
        requests={
            name: LookRequest(
                key=(guardrail.name, name),
                source=guardrail.source,
                query=what if isinstance(what, str) else "",
                metric=what if isinstance(what, Metric) else None,
                at=ends[-1],
                tenant=experiment.namespace,
                kind=Kind.EXPOSURES if isinstance(what, Metric) and what.name == METRIC else Kind.INCREASES,
                since=since,
                cuts=tuple(ends[:-1]),
                generation=status.rules.generation if status.rules else 0,
            )
            for name, what in counted.items()
        },
    )


def _windows(situation: Situation, since: datetime | None) -> tuple[datetime, ...]:
    """Give the edges of what is to be counted now, on the step's grid, and no more than LONGEST_WINDOW holds: else it skips forward."""
    until, started = _visible(situation), situation.status.step_started_at
    interval = min(duration(situation.spec.interval), LONGEST_WINDOW)
    if since is None or started is None:
        return (until - interval, until)
    return edges(since, until, origin=started, interval=interval)[-(LONGEST_WINDOW // interval + 1) :]


def _question_of_query(situation: Situation, guardrail: Guardrail, query: str, lookback: timedelta) -> Question:
    treatments = [variant.name for variant in situation.spec.drawn_treatments]
    first = _compile(situation, query, treatments[0], lookback)
    subjects = treatments if "variant" in first.uses else [""]
    return Question(
        guardrail=guardrail.name,
        digest=guardrail_digest(guardrail, situation.spec),
        attempt=situation.status.attempt,
        at=situation.now,
        reads_from=situation.now - first.reach,
        requests={
            treatment: LookRequest(
                key=(guardrail.name, treatment),
                source=guardrail.source,
                query=_compile(situation, query, treatment, lookback).text,
                at=situation.now,
                tenant=situation.experiment.namespace,
            )
            for treatment in subjects
        },
    )


def _compile(situation: Situation, query: str, treatment: str, lookback: timedelta) -> CompiledQuery:
    gate, namespace = situation.experiment.name, situation.experiment.namespace
    return query_for(treatment, text=query, gate=gate, namespace=namespace, lookback=lookback)


def _visible(situation: Situation) -> datetime:
    return situation.now - lag(situation.spec)
