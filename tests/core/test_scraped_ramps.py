"""From scrapes to evidence, over whole ramps: what is counted is what was scraped, and never more, whatever becomes of the operator."""

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate_operator.core.looks import Answer, Increases, Kind, LookRequest, NoData
from rampgate_operator.core.questions import ask, read_answers
from rampgate_operator.core.status import Status, read_status
from rampgate_operator.core.status_fields import StepCounts
from tests.core.scrapes import ARMS, Habits, World, milliseconds
from tests.core.shop import LOOKBACKS, begun
from tests.core.story import COUNTED

STEPS = {"steps": [{"percent": percent, "hold": "60s"} for percent in (1, 10, 50, 100)]}
UNTIL = 250_000
"""Milliseconds after which all but the steady targets are gone."""
Counts = tuple[float, float, float, float]
COUNTED_AND_TOLD = {**COUNTED, "onBreach": "Notify"}
EVENTS = st.lists(st.sampled_from(["look", "look", "look", "late", "persist", "restart"]), min_size=15, max_size=40)


class Ramp:
    """An operator that looks at a world, and is started again now and then."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.story = begun(ramp=STEPS, interval="10s", guardrails=[COUNTED_AND_TOLD])
        self.persisted: Status = self.story.known
        self.counted_to: dict[datetime, datetime] = {}
        """By step: the end of its last window."""

    def happen(self, event: str) -> None:
        match event:
            case "look":
                self.look("7s")
            case "late":
                self.look("45s")
            case "persist":
                self.persisted = self.story.known
            case "restart":
                self.story.status = read_status(self.persisted.to_wire())

    def look(self, after: str) -> None:
        asked = ask(self.story.wait(after).situation(), LOOKBACKS)
        looks, _ = read_answers(asked, {request.key: self._answer(request) for request in asked.requests})
        before = self.story.known
        self.story.decide(*looks)
        counted = self.story.known.guardrail("failed")
        if counted is not None and counted.counted_to is not None and before.step_started_at is not None:
            self.counted_to[before.step_started_at] = counted.counted_to
        if self.story.known.percent != before.percent:  # always before anything acts on it
            self.persisted = self.story.known

    def _answer(self, request: LookRequest) -> Answer:
        if request.kind is Kind.EXPOSURES:
            return NoData("nobody counts exposures here")
        what = str(request.key[1])  # type: ignore[index]  # the guardrail and the counter
        return Increases(self.world.increases(what, tuple(map(milliseconds, request.edges))))

    @property
    def steps(self) -> tuple[StepCounts, ...]:
        found = self.story.known.guardrail("failed")
        return found.evidence[0].steps if found and found.evidence else ()

    def truth(self, step: StepCounts) -> Counts:
        """What was scraped in the windows of a step."""
        since, until = milliseconds(step.started_at), milliseconds(self.counted_to[step.started_at])
        arms = [(whose, what) for whose in (ARMS[:1], ARMS[1:]) for what in ("total", "events")]
        first, second, third, fourth = (float(self.world.scraped(what, whose, since=since, until=until)) for whose, what in arms)
        return first, second, third, fourth


def counts(step: StepCounts) -> Counts:
    return step.treatment_total, step.treatment_events, step.comparison_total, step.comparison_events


def worlds(*, loses_nothing: bool) -> st.SearchStrategy[World]:
    habits = st.builds(
        Habits,
        loses_nothing=st.just(loses_nothing),
        missed=st.sampled_from([0.0, 0.2, 0.7]),
        twice=st.sampled_from([0.0, 0.2]),
        lives=st.integers(1, 4),
        vanishes=st.booleans(),
    )
    return st.builds(World, habits, targets=st.integers(0, 6), until=st.just(UNTIL), seed=st.integers(0, 2**32))


@settings(max_examples=100)
@given(world=worlds(loses_nothing=True), events=EVENTS)
def test_when_every_increment_was_scraped_every_one_is_counted_once(world: World, events: list[str]) -> None:
    ramp = Ramp(world)
    for event in [*events, "look", "late"]:
        ramp.happen(event)
    assert ramp.steps
    for step in ramp.steps:
        assert counts(step) == ramp.truth(step)


@settings(max_examples=60)
@given(world=worlds(loses_nothing=False), events=EVENTS)
def test_whatever_was_not_scraped_never_more_is_counted_than_happened(world: World, events: list[str]) -> None:
    ramp = Ramp(world)
    for event in [*events, "look", "late"]:
        ramp.happen(event)
    for step in ramp.steps:
        assert all(counted <= truth for counted, truth in zip(counts(step), ramp.truth(step), strict=True))
