"""events: what repeats itself is counted on one Event, and nobody floods."""

from datetime import timedelta

import pytest

from rampgate_operator.core.conditions import Announcement
from rampgate_operator.core.reasons import Reason
from rampgate_operator.events import BURST, REFILL, Events
from rampgate_operator.ports import Body, Key
from tests.core.story import NOON, SPEC
from tests.simulation.memory import MemoryCluster


def state(message: str = "no data") -> Announcement:
    return Announcement(reason=Reason.METRICS, message=message, warning=True)


def step(message: str) -> Announcement:
    return Announcement(reason=Reason.STEPPED, message=message, warning=False, is_transition=True)


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
def experiment(cluster: MemoryCluster) -> Body:
    return cluster.apply(Key("shop", "new-checkout"), SPEC)


def posted(cluster: MemoryCluster) -> list[tuple[int, str]]:
    return [(event["count"], event["message"]) for event in cluster.events.values()]


async def test_a_state_that_comes_again_is_counted_with_its_newest_words(cluster: MemoryCluster, experiment: Body) -> None:
    events = Events(cluster)
    for minute in range(4):
        await events.post(experiment, state(f"no data for {minute} min"), NOON + timedelta(minutes=minute))
    assert posted(cluster) == [(4, "no data for 3 min")]


async def test_a_state_that_comes_again_much_later_is_an_event_of_its_own(cluster: MemoryCluster, experiment: Body) -> None:
    events = Events(cluster)
    for minute in (0, 11):
        await events.post(experiment, state(), NOON + timedelta(minutes=minute))
    assert posted(cluster) == [(1, "no data")] * 2


async def test_each_transition_is_an_event_of_its_own(cluster: MemoryCluster, experiment: Body) -> None:
    events = Events(cluster)
    for message in ("0 to 1", "1 to 10"):
        await events.post(experiment, step(message), NOON)
    assert posted(cluster) == [(1, "0 to 1"), (1, "1 to 10")]


async def test_an_event_that_is_gone_is_posted_anew(cluster: MemoryCluster, experiment: Body) -> None:
    events = Events(cluster)
    await events.post(experiment, state(), NOON)
    cluster.events.clear()
    for _ in range(2):
        await events.post(experiment, state(), NOON)
    assert posted(cluster) == [(2, "no data")]


async def test_an_experiment_that_never_stops_talking_is_heard_only_so_often_and_another_as_before(
    cluster: MemoryCluster, experiment: Body
) -> None:
    events, other = Events(cluster), cluster.apply(Key("shop", "other"), SPEC)
    for number in range(10 * BURST):
        await events.post(experiment, step(str(number)), NOON)
    assert len(cluster.events) == BURST
    await events.post(other, step("other"), NOON)
    await events.post(experiment, step("later"), NOON + REFILL)
    await events.post(experiment, step("too soon"), NOON + REFILL)
    assert [message for _, message in posted(cluster)[-2:]] == ["other", "later"]
