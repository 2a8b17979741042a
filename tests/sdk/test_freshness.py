"""How sure the rules are: staleness, in every decision and to whoever listens; and that waiting never holds up a coroutine."""

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from rampgate import Gates, Reason
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


@pytest.fixture
def heard() -> list[bool]:
    return []


@pytest.fixture
def source() -> Source:
    return Source({"g": entry(ship="treatment")})


@pytest.fixture
def gates(source: Source, heard: list[bool]) -> Iterator[Gates]:
    with Gates(source, stale_after=STALE_AFTER, on_stale=heard.append) as gates:
        yield gates


def ask(gates: Gates) -> list[bool]:
    """Whether each way of asking says that it is stale."""
    with gates.measure("g") as measured:
        return [gates.decide("g").stale, gates.peek("g").stale, gates.decide("unknown").stale, measured.stale, gates.is_stale]


def test_rules_that_nobody_confirms_become_stale_and_fresh_again_when_somebody_does(
    gates: Gates, source: Source, heard: list[bool]
) -> None:
    assert (ask(gates), heard) == ([False] * 5, [])
    assert eventually(lambda: ask(gates) == [True] * 5)
    assert gates.decide("g").reason is Reason.SHIPPED
    source.receiver.confirm()
    assert eventually(lambda: heard == [True, False])
    assert ask(gates)[0] is False


def test_an_error_is_stale_too(gates: Gates) -> None:
    assert eventually(lambda: gates.is_stale)
    for context in (5, {"userId": 5}):
        source = Source({"h": entry(gate="h")})
        with Gates(source, stale_after=0) as others:
            assert others.decide("h", context)[3:] == (Reason.ERROR, 1795600000, 1, 50, "none", True)  # type: ignore[arg-type]


def test_rules_that_change_while_they_are_stale_are_fresh(gates: Gates, source: Source) -> None:
    assert eventually(lambda: gates.is_stale)
    source.replace({"g": entry(serve="KILLED")})
    assert gates.decide("g")[3:] == (Reason.KILLED, 1795600000, 1, 50, "none", False)


def test_what_is_stale_is_counted_under_the_same_labels(source: Source) -> None:
    registry = CollectorRegistry()
    with Gates(source, stale_after=0, metrics=PrometheusMetrics(registry)) as gates:
        assert gates.decide("g").stale
    labels = {"gate": "g", "variant": "none", "reason": "SHIPPED"}
    assert registry.get_sample_value("rampgate_exposures_total", labels) == 1


def test_a_callback_that_raises_keeps_no_other_from_hearing(source: Source, heard: list[bool]) -> None:
    def fail(is_stale: bool) -> None:
        raise RuntimeError(str(is_stale))

    with Gates(source, stale_after=STALE_AFTER, on_stale=fail) as gates:
        gates.listen(on_stale=heard.append)
        assert eventually(lambda: heard == [True])


def test_closed_gates_do_not_become_stale(source: Source) -> None:
    gates = Gates(source, stale_after=STALE_AFTER)
    gates.close()
    assert not eventually(lambda: gates.decide("g").stale, within=3 * STALE_AFTER)


class Late:
    """A source that delivers after a while."""

    def __init__(self) -> None:
        self._inner = MemorySource({"g": entry(ship="treatment")})
        self._timer: threading.Timer | None = None

    def start(self, receiver: Receiver) -> None:
        self._timer = threading.Timer(0.2, self._inner.start, [receiver])
        self._timer.start()

    def start_in_child(self) -> None:
        pass

    def close(self) -> None:
        assert self._timer is not None
        self._timer.join()


def test_the_constructor_waits_for_the_first_rules_no_longer_than_told() -> None:
    with Gates(Late(), wait=20) as gates:
        assert gates.is_ready
    with Gates(Late(), wait=0) as gates:
        assert not gates.is_ready
        assert gates.wait_until_ready(20)


async def test_a_coroutine_that_waits_for_the_first_rules_holds_up_no_other() -> None:
    with Gates(Late()) as gates:
        waiting = asyncio.create_task(asyncio.to_thread(gates.wait_until_ready, 20))
        turns = 0
        while not waiting.done():
            await asyncio.sleep(0)
            turns += 1
        assert await waiting
        assert turns > 10  # a loop that was held up would have turned once
        assert gates.decide("g").reason is Reason.SHIPPED


def test_what_is_wrong_is_said_once_and_is_well_again_only_when_it_is(caplog: pytest.LogCaptureFixture) -> None:
    source = Source({"g": "{"})
    with caplog.at_level(logging.INFO, logger="rampgate"), Gates(source, stale_after=STALE_AFTER) as gates:
        assert eventually(lambda: gates.is_stale)  # the pulse beat some times
        source.replace({"g": "{", "h": entry(gate="h")})
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        source.replace({"g": entry()})
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_peek_after_a_stale_spell_is_not_stale(gates: Gates, source: Source) -> None:
    assert eventually(lambda: gates.peek("g").stale)
    source.receiver.confirm()
    assert eventually(lambda: not gates.is_stale)
    assert not gates.peek("g").stale


def test_gates_may_be_closed_from_a_callback() -> None:
    closed = threading.Event()

    def close(_: bool) -> None:
        gates.close()
        closed.set()

    gates = Gates(Source({"g": entry()}), stale_after=STALE_AFTER, on_stale=close)
    assert closed.wait(20)
    assert eventually(lambda: not any(thread.name == "rampgate" and thread.is_alive() for thread in [gates._pulse._thread] if thread))
