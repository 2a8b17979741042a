"""One ramp through the product's own look, verdict and decision, with counts that somebody makes up.

Knows the questions the operator asks and when. Must not know chance, or how a count becomes evidence.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from rampgate_operator.core.compile import compile_entry
from rampgate_operator.core.decide import decide
from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.looks import Answer, Increases, NoData
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KEY_SUFFIX, Observation, see_rules
from rampgate_operator.core.promql import LOOKBACK
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.questions import Question, ask, lag, read_answers
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase, Status
from rampgate_operator.core.waiting import Situation

BEGINS = datetime(2026, 12, 1, 12, tzinfo=UTC)
"""A Tuesday; any day would do."""
_BEFORE = NoData("no step has begun")


Truth = Callable[[int, str], Mapping[str, Mapping[str, float]]]
"""What a look, counted from 0, brings to a guardrail: by the name of its counter and by variant."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """How a ramp ended, after how many looks and when."""

    status: Status
    looks: int
    at: datetime


class Ramp:
    """An Experiment and its status: every decision is persisted and served at once."""

    def __init__(self, spec: Spec) -> None:
        spec = spec.model_copy(update={"ramp": spec.ramp.model_copy(update={"confirm": None})})  # pods are taken to follow at once
        self.experiment = Experiment(
            namespace="simulated",
            name="ramp",
            uid="1",
            generation=1,
            spec=spec,
            problem=None,
            attempt=spec.attempt,
            killed=False,
            paused=False,
            config_map_name=spec.config_map_name,
            managers={},
        )
        self.spec = spec
        self.now = BEGINS
        self.lookbacks = {guardrail.source: LOOKBACK for guardrail in spec.guardrails or ()}
        self._data = {FORMAT_KEY: FORMAT}
        self._seen = see_rules({"data": self._data}, self.experiment.name)
        self.status = decide(self.experiment, None, Observation(now=self.now, rules=self._seen)).status
        self._serve()

    def look(self, answer: Callable[[Question], Mapping[Hashable, Answer]]) -> None:
        """Ask what the operator asks now, and decide on the answers."""
        observation = Observation(now=self.now, rules=self._seen)
        asked = ask(Situation(experiment=self.experiment, spec=self.spec, status=self.status, observation=observation), self.lookbacks)
        answers = {key: given for question in asked.guardrails for key, given in answer(question).items()}
        looks, _ = read_answers(replace(asked, exposures=None), answers)
        self.decide(replace(observation, looks=looks))

    def decide(self, observation: Observation | None = None) -> None:
        """Decide on what was seen, and on nothing new when that is None."""
        observation = observation or Observation(now=self.now, rules=self._seen)
        before = self.status
        self.status = decide(self.experiment, before, observation).status
        if self.status.rules is not before.rules:
            self._serve()

    def _serve(self) -> None:
        line = compile_entry(self.experiment, self.status, self._seen.entry)
        if line is not None:
            self._data[self.experiment.name + KEY_SUFFIX] = line
        self._seen = see_rules({"data": self._data}, self.experiment.name)


def begin(spec: Spec) -> Ramp:
    """Give a ramp on its first step, before any look at it. Raises ValueError when something but readings holds it."""
    ramp = Ramp(spec)
    ramp.look(lambda question: dict.fromkeys((request.key for request in question.requests.values()), _BEFORE))
    ramp.decide()
    if ramp.status.phase is not Phase.RAMPING:
        raise ValueError(f"the ramp does not begin: it waits for {ramp.status.waiting_for}")
    return ramp


def play(spec: Spec, truth: Truth, *, most_looks: int) -> Played:
    """Play a ramp until it ends, or for so many looks; each looks back on one whole interval."""
    ramp, interval = begin(spec), duration(spec.interval)
    started, of_step, looks = ramp.status.step_started_at, 0, 0
    while ramp.status.phase is Phase.RAMPING and looks < most_looks:
        if started != ramp.status.step_started_at:
            started, of_step = ramp.status.step_started_at, 0
        assert started is not None
        ramp.now = started + (of_step + 1) * interval + lag(spec)
        ramp.look(partial(_answers, truth=truth, look=looks, interval=interval))
        of_step, looks = of_step + 1, looks + 1
    return Played(status=ramp.status, looks=looks, at=ramp.now)


def _answers(question: Question, *, truth: Truth, look: int, interval: timedelta) -> Mapping[Hashable, Answer]:
    for request in question.requests.values():
        if request.since is None or request.at - request.since != interval or request.cuts:
            raise ValueError(f"guardrail {question.guardrail} asks for something else than the counts of one interval")
    counts = truth(look, question.guardrail)
    return {request.key: Increases((counts[name],)) for name, request in question.requests.items()}
