"""workers: what becomes of a key that could not be reconciled. The queue is the real one, the reconciler does as it is told."""

import asyncio
import json

import pytest
from kubernetes.aio.client import ApiException

from rampgate_operator import workers
from rampgate_operator.adapters.answers import answered
from rampgate_operator.ports import LONGEST_OBEYED, ClusterError, ConflictError, DeniedError, ForbiddenError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.workers import Workers

A = Key("shop", "a")


class Told:
    """A reconciler that fails as often as it is told, then closes the queue."""

    def __init__(self, queue: Queue[Key], *failures: Exception, urgent: bool = False) -> None:
        self._queue, self._failures, self._urgent = queue, list(failures), urgent
        self.at: list[float] = []
        self.outcomes: list[str] = []
        self.refreshed = self.forgotten = 0

    async def reconcile(self, _key: Key) -> None:
        self.at.append(asyncio.get_running_loop().time())
        if self._failures:
            raise self._failures.pop(0)
        self._queue.close()

    async def refresh(self, _key: Key) -> None:
        self.refreshed += 1

    def forget_answers(self, _key: Key) -> None:
        self.forgotten += 1

    def is_urgent(self, _key: Key) -> bool:
        return self._urgent


class Counted:
    """What was counted."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def reconciled(self, seconds: float, outcome: str) -> None:
        assert seconds >= 0
        self.outcomes.append(outcome)


class Lanes(Queue[Key]):
    """The queue, which notes what was urgent."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, bool]] = []

    def add(self, key: Key, *, delay: float = 0.0, urgent: bool = False) -> None:
        self.asked.append((delay, urgent))
        super().add(key, delay=delay, urgent=urgent)


async def work(*failures: Exception, urgent: bool = False) -> tuple[Told, list[tuple[float, bool]]]:
    queue = Lanes()
    told, counted = Told(queue, *failures, urgent=urgent), Counted()
    queue.add(A)
    await asyncio.wait_for(Workers(told, queue, counted).work(), 20)  # type: ignore[arg-type]  # as much of a reconciler as workers use
    told.outcomes = counted.outcomes
    return told, queue.asked[1:]


async def test_a_lost_race_is_gathered_again_at_once() -> None:
    told, asked = await work(ConflictError("409"))
    assert (told.refreshed, asked, told.outcomes) == (1, [(0.0, False)], ["conflict", "ok"])


async def test_races_that_are_lost_again_and_again_are_run_more_slowly_and_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "FIRST_RETRY", 0.001)
    _, asked = await work(*[ConflictError("409 Conflict")] * 8)
    delays = [delay for delay, _ in asked]
    assert delays[0] == 0
    assert all(0 < delay <= workers.LONGEST_RACE for delay in delays[1:])
    assert delays[7] > delays[1]
    assert [record.message for record in caplog.records] == ["shop/a: somebody else keeps changing what is to be written: 409 Conflict"]


async def test_a_failure_is_tried_again_later_and_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(workers, "FIRST_RETRY", 0.001)
    told, asked = await work(ClusterError("away"), ClusterError("away"))
    assert (told.refreshed, told.outcomes) == (0, ["error", "error", "ok"])
    assert all(delay > 0 for delay, _ in asked)
    assert [record.message for record in caplog.records] == ["shop/a: away"] * 2


async def test_a_bug_stops_nobody_and_is_told_with_its_traceback(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(workers, "FIRST_RETRY", 0.001)
    told, _ = await work(ZeroDivisionError("1 / 0"))
    assert (told.outcomes, told.forgotten) == (["bug", "ok"], 1)
    assert [(record.message, bool(record.exc_info)) for record in caplog.records] == [("shop/a: this is a bug in the operator", True)]


@pytest.mark.parametrize("failures", [[ConflictError("409")] * 2, [ClusterError("away")]], ids=["races", "an API server that is away"])
async def test_a_reading_that_trips_a_bug_ends_nobody_when_something_else_fails_first(
    failures: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that fails ends the operator."""
    monkeypatch.setattr(workers, "FIRST_RETRY", 0.001)

    def trip(told: Told, _key: Key) -> bool:
        if not told.forgotten:
            raise OverflowError("a tenant's counter")
        return False

    monkeypatch.setattr(Told, "is_urgent", trip)
    told, _ = await work(*failures)
    assert "bug" in told.outcomes
    assert told.outcomes[-1] == "ok"
    assert told.forgotten == 1


@pytest.mark.parametrize(
    "failure", [ConflictError("409"), ClusterError("away"), ZeroDivisionError("1 / 0")], ids=lambda e: type(e).__name__
)
async def test_what_was_urgent_is_tried_again_urgently(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FIRST_RETRY", 0.001)
    _, asked = await work(failure, urgent=True)
    assert [urgent for _, urgent in asked] == [True]


async def test_a_success_forgets_the_failures_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FIRST_RETRY", 0.001)
    queue = Queue[Key]()
    told, counted = Told(queue, ClusterError("away")), Counted()
    team = Workers(told, queue, counted)  # type: ignore[arg-type]  # as above
    queue.add(A)
    await asyncio.wait_for(team.work(), 5)
    assert team._failures == {}


@pytest.mark.parametrize(("asked_for", "waited"), [(3.0, 3.0), (3600.0, LONGEST_OBEYED)])
async def test_an_api_server_that_says_when_to_ask_again_is_not_asked_before(asked_for: float, waited: float) -> None:
    queue = Lanes()
    told = Told(queue, ClusterError("429 Too Many Requests", retry_after=asked_for), urgent=True)
    queue.add(A)
    working = asyncio.create_task(Workers(told, queue, Counted()).work())  # type: ignore[arg-type]  # as above
    for _ in range(10):
        await asyncio.sleep(0)
    assert queue.asked[1] == (waited, True)
    working.cancel()


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        (
            'pods "a" is forbidden: User "rampgate:operator" cannot patch resource "pods" in API group "" in the namespace "shop"',
            ForbiddenError,
        ),
        ('pods "a" is forbidden: ValidatingAdmissionPolicy "p" with binding "p" denied request: it cannot be', DeniedError),
        ('admission webhook "pods.example.com" denied the request: no user may change pods', DeniedError),
    ],
)
async def test_a_right_that_is_missing_is_told_from_a_refusal_by_admission(sentence: str, kind: type[Exception]) -> None:
    async def refuse() -> None:
        error = ApiException(status=403, reason="Forbidden")
        error.body = json.dumps({"message": sentence})
        raise error

    with pytest.raises(ForbiddenError) as refused:
        await answered(refuse())
    assert type(refused.value) is kind
    assert str(refused.value) == f"the API server answered 403 Forbidden: {sentence}"


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), (None, 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)])
async def test_what_the_api_server_says_of_when_to_ask_again_is_passed_on(said: str | None, seconds: float) -> None:
    async def refuse() -> None:
        error = ApiException(status=429, reason="Too Many Requests")
        error.headers = {} if said is None else {"Retry-After": said}
        raise error

    with pytest.raises(ClusterError) as refused:
        await answered(refuse())
    assert refused.value.retry_after == seconds
