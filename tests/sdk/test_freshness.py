"""How sure the rules are: staleness, in every decision and to whoever listens; and that waiting never holds up a coroutine."""

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from rampgate import Gates, Reason, in_force
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.sources import Receiver
from rampgate.sources.memory import MemorySource
from tests.sdk.entries import entry
from tests.sdk.waiting import eventually

STALE_AFTER = 0.1


class Source(MemorySource):
    """Delivers once; confirms only when it is told to."""

    def start(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().start(receiver)


class Clock:
    """What time is for the rules in force: it goes on when a test turns it, however long a busy machine stands still."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def turn(self) -> None:
        """Make stale what nobody confirms."""
        self.seconds += 2 * STALE_AFTER


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(in_force, "monotonic", clock)
    return clock


@pytest.fixture
def heard() -> list[bool]:
    return []


@pytest.fixture
def source() -> Source:
    return Source({"g": entry(ship="treatment")})


@pytest.fixture
def gates(source: Source, heard: list[bool], clock: Clock) -> Iterator[Gates]:
    del clock  # before it there is no time
    with Gates(source, stale_after=STALE_AFTER, on_stale=heard.append) as gates:
        yield gates


def ask(gates: Gates) -> list[bool]:
    """Whether each way of asking says that it is stale."""
    with gates.measure("g") as measured:
        return [gates.decide("g").stale, gates.peek("g").stale, gates.decide("unknown").stale, measured.stale, gates.is_stale]


def test_rules_that_nobody_confirms_become_stale_and_fresh_again_when_somebody_does(
    gates: Gates, source: Source, heard: list[bool], clock: Clock
) -> None:
    assert (ask(gates), heard) == ([False] * 5, [])
    clock.turn()
    assert eventually(lambda: ask(gates) == [True] * 5)
    assert eventually(lambda: heard == [True])
    assert gates.decide("g").reason is Reason.SHIPPED
    source.receiver.confirm()
    assert eventually(lambda: heard == [True, False])
    assert ask(gates)[0] is False


def test_an_error_is_stale_too(clock: Clock) -> None:
    for context in (5, {"userId": 5}):
        source = Source({"h": entry(gate="h")})
        with Gates(source, stale_after=STALE_AFTER) as others:
            clock.turn()
            assert eventually(lambda others=others: others.is_stale)
            assert others.decide("h", context)[3:] == (Reason.ERROR, 1795600000, 1, 50, "none", True)  # type: ignore[arg-type]


def test_rules_that_change_while_they_are_stale_are_fresh(gates: Gates, source: Source, clock: Clock) -> None:
    clock.turn()
    assert eventually(lambda: gates.is_stale)
    source.replace({"g": entry(serve="KILLED")})
    assert gates.decide("g")[3:] == (Reason.KILLED, 1795600000, 1, 50, "none", False)


def test_new_rules_are_found_stale_by_nobody_before_they_are_confirmed(
    gates: Gates, source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.turn()
    assert eventually(lambda: gates.is_stale)
    rules, confirm = gates._in_force, gates._in_force.confirm
    monkeypatch.setattr(rules, "confirm", lambda: (rules.check(), confirm()))  # the pulse beats just then
    source.replace({"g": entry(serve="KILLED")})
    assert not gates.decide("g").stale


def test_what_is_stale_is_counted_under_the_same_labels(source: Source) -> None:
    registry = CollectorRegistry()
    with Gates(source, stale_after=0, metrics=PrometheusMetrics(registry)) as gates:
        assert gates.decide("g").stale
    labels = {"gate": "g", "variant": "none", "reason": "SHIPPED"}
    assert registry.get_sample_value("rampgate_exposures_total", labels) == 1


def test_a_callback_that_raises_keeps_no_other_from_hearing(source: Source, heard: list[bool], clock: Clock) -> None:
    def fail(is_stale: bool) -> None:
        raise RuntimeError(str(is_stale))

    with Gates(source, stale_after=STALE_AFTER, on_stale=fail) as gates:
        gates.listen(on_stale=heard.append)
        clock.turn()
        assert eventually(lambda: heard == [True])


def test_closed_gates_do_not_become_stale(source: Source) -> None:
    gates = Gates(source, stale_after=STALE_AFTER)
    gates.close()
    assert not eventually(lambda: gates.decide("g").stale, within=3 * STALE_AFTER)


class Late:
    """A source that delivers when it is told to."""

    def __init__(self) -> None:
        self._inner = MemorySource({"g": entry(ship="treatment")})
        self.told = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, receiver: Receiver) -> None:
        self._thread = threading.Thread(target=lambda: (self.told.wait(), self._inner.start(receiver)))
        self._thread.start()

    def start_in_child(self) -> None:
        pass

    def close(self) -> None:
        assert self._thread is not None
        self.told.set()
        self._thread.join()


def test_the_constructor_waits_for_the_first_rules_no_longer_than_told() -> None:
    late = Late()
    threading.Timer(0.2, late.told.set).start()
    with Gates(late, wait=20) as gates:
        assert gates.is_ready
    late = Late()
    with Gates(late, wait=0) as gates:
        assert not gates.is_ready
        late.told.set()
        assert gates.wait_until_ready(20)


async def test_a_coroutine_that_waits_for_the_first_rules_holds_up_no_other() -> None:
    late = Late()
    with Gates(late, wait=0) as gates:
        waiting = asyncio.create_task(asyncio.to_thread(gates.wait_until_ready, 20))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        late.told.set()  # which a loop that was held up would not come to
        assert await waiting
        assert gates.decide("g").reason is Reason.SHIPPED


def test_what_is_wrong_is_said_once_and_is_well_again_only_when_it_is(caplog: pytest.LogCaptureFixture) -> None:
    source = Source({"g": "{"})
    with caplog.at_level(logging.INFO, logger="rampgate"), Gates(source, stale_after=STALE_AFTER) as gates:
        assert eventually(lambda: gates.is_stale)  # the pulse beat some times
        source.replace({"g": "{", "h": entry(gate="h")})
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        source.replace({"g": entry()})
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_peek_after_a_stale_spell_is_not_stale(gates: Gates, source: Source, clock: Clock) -> None:
    clock.turn()
    assert eventually(lambda: gates.peek("g").stale)
    source.receiver.confirm()
    assert eventually(lambda: not gates.is_stale)
    assert not gates.peek("g").stale


def test_gates_may_be_closed_from_a_callback(clock: Clock) -> None:
    closed = threading.Event()

    def close(_: bool) -> None:
        gates.close()
        closed.set()

    gates = Gates(Source({"g": entry()}), stale_after=STALE_AFTER, on_stale=close)
    clock.turn()
    assert closed.wait(20)
    assert eventually(lambda: not any(thread.name == "rampgate" and thread.is_alive() for thread in [gates._pulse._thread] if thread))
