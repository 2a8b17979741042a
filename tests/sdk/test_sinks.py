"""rampgate.sinks, rampgate.courier and rampgate.pseudonym: what is delivered, and what becomes of it when nobody takes it."""

import hmac
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rampgate import Gates, Reason, courier
from rampgate.courier import TRIES, Courier
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.pseudonym import Pseudonyms
from rampgate.rules import render_entry
from rampgate.sinks import Exposure, ExposureSink
from tests.sdk.entries import entry
from tests.sdk.forking import FORKING, in_a_forked_process
from tests.sdk.waiting import eventually

ALL = {"percent": 100, "variants": [{"name": "control", "value": 0, "weight": 0}, {"name": "treatment", "value": 1, "weight": 1}]}
KEY = bytes(range(32))
SOON = 0.01


class Taken:
    """A receiver, with what it was given; it fails as often as it is told to, anew for each batch that it takes at last."""

    def __init__(self, *, failures: int = 0) -> None:
        self.batches: list[Sequence[Exposure]] = []
        self.calls = 0
        self._failures = failures

    def __call__(self, batch: Sequence[Any]) -> None:
        self.calls += 1
        if self.calls <= self._failures * (len(self.batches) + 1) + len(self.batches):
            raise ConnectionError("nobody there")
        self.batches.append(batch)

    @property
    def exposures(self) -> list[Exposure]:
        return [each for batch in self.batches for each in batch]


class Stuck:
    """A receiver that does not return until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, batch: Sequence[Any]) -> None:
        self.entered.set()
        self.let_go.wait(30)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(KEY)
    return file


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    made = Stuck()
    yield made
    made.let_go.set()


@pytest.fixture
def soon_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "CLOSE_SECONDS", 0.05)


@pytest.fixture
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_PAUSE", SOON)
    monkeypatch.setattr(courier, "LONGEST_PAUSE", SOON)


def watched(sink: ExposureSink, **changes: Any) -> Gates:
    gates = Gates.from_rules({"g": entry(**{**ALL, **changes})})
    gates.observe(sink)
    return gates


def expose(gates: Gates, *units: str) -> None:
    for unit in units:
        gates.decide("g", {"userId": unit})


def test_an_exposure_says_what_was_drawn_for_whom_by_which_rules_and_when(key_file: Path) -> None:
    taken = Taken()
    before = datetime.fromtimestamp(time.time(), UTC)
    with watched(ExposureSink(taken, key_file=key_file)) as gates:
        expose(gates, "user-1")
    (exposure,) = taken.exposures
    pseudonym = hmac.new(KEY, b"user-1", "sha256").hexdigest()
    assert exposure[:-1] == ("g", "treatment", "treatment", Reason.ENROLLED, 1795600000, 1, 100, pseudonym)
    assert before <= exposure.at <= datetime.fromtimestamp(time.time(), UTC)
    assert exposure.at.tzinfo is UTC


def test_the_baseline_is_an_exposure_that_says_what_it_was_served() -> None:
    taken = Taken()
    with watched(ExposureSink(taken), percent=0) as gates:
        expose(gates, "user-1")
    assert [(each.variant, each.label, each.reason) for each in taken.exposures] == [("control", "baseline", Reason.NOT_ENROLLED)]


def test_a_unit_is_passed_on_once_and_what_was_not_drawn_never() -> None:
    taken = Taken()
    with watched(ExposureSink(taken), overrides=[{"variant": "control", "units": ["qa"]}]) as gates:
        expose(gates, "user-1", "qa", "user-2", "user-1", "")
        gates.decide("other", {"userId": "user-1"})
    assert len(taken.exposures) == 2


def test_exposures_are_delivered_without_waiting_for_the_end() -> None:
    taken = Taken()
    with watched(ExposureSink(taken, every=SOON)) as gates:
        expose(gates, "user-1")
        assert eventually(lambda: len(taken.exposures) == 1)


def test_batches_are_no_longer_than_asked_for_and_in_order() -> None:
    taken = Taken()
    delivering = Courier("test", taken, capacity=10, batch=3, every=60)
    for number in range(7):
        delivering.take(number)
    delivering.start()
    delivering.close()
    assert taken.batches == [(0, 1, 2), (3, 4, 5), (6,)]


def test_what_comes_when_the_queue_is_full_is_dropped_and_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    taken, registry = Taken(), CollectorRegistry()
    sink = ExposureSink(taken, name="warehouse", capacity=3, every=60)
    gates = watched(sink)
    gates.observe(PrometheusMetrics(registry))
    assert registry.get_sample_value("rampgate_dropped_exposures_total", {"sink": "warehouse"}) == 0
    expose(gates, *(f"u{number}" for number in range(5)))
    assert sink.dropped_exposures == 2
    for _ in range(2):
        assert registry.get_sample_value("rampgate_dropped_exposures_total", {"sink": "warehouse"}) == 2
    gates.close()
    assert len(taken.exposures) == 3
    assert len([each for each in caplog.records if "some were dropped" in each.getMessage()]) == 1


@pytest.mark.usefixtures("soon_again")
def test_a_batch_whose_delivery_fails_is_delivered_again(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken(failures=TRIES - 1)
    sink = ExposureSink(taken, every=SOON)
    with watched(sink) as gates:
        expose(gates, "user-1")
        assert eventually(lambda: len(taken.exposures) == 1)
    assert (taken.calls, sink.dropped_exposures) == (TRIES, 0)
    assert len([each for each in caplog.records if "nobody there" in each.getMessage()]) == 1


@pytest.mark.usefixtures("soon_again")
def test_every_batch_has_all_its_tries() -> None:
    taken = Taken(failures=TRIES - 1)
    delivering = Courier("test", taken, capacity=10, batch=1, every=SOON)
    for number in range(2):
        delivering.take(number)
    delivering.start()
    assert eventually(lambda: taken.batches == [(0,), (1,)])
    delivering.close()
    assert delivering.dropped == 0


@pytest.mark.usefixtures("soon_again")
def test_a_batch_that_can_never_be_delivered_does_not_keep_those_behind_it() -> None:
    taken: list[int] = []

    def deliver(batch: Sequence[int]) -> None:
        if 0 in batch:
            delivering.take(1)  # comes while the other one fails
            raise SystemExit("this one cannot be written")
        taken.extend(batch)

    delivering = Courier("test", deliver, capacity=1, batch=2, every=SOON)
    delivering.take(0)
    delivering.start()
    assert eventually(lambda: taken == [1])
    delivering.close()
    assert delivering.dropped == TRIES  # itself, and what came while one waited already


def test_pauses_grow_with_failures_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "uniform", lambda low, high: (low, high))
    assert [courier._pause(failures) for failures in (1, 2, 5, 6, 100)] == [(0, 1), (0, 2), (0, 16), (0, 30), (0, 30)]


def test_a_receiver_that_is_down_when_gates_close_costs_one_try_and_what_was_queued_is_counted() -> None:
    taken = Taken(failures=1_000)
    sink = ExposureSink(taken, batch=2, every=60)
    with watched(sink) as gates:
        expose(gates, "a", "b", "c")
    assert (taken.calls, sink.dropped_exposures) == (1, 3)


@pytest.mark.usefixtures("soon_closed")
def test_a_receiver_that_hangs_holds_up_neither_an_evaluation_nor_the_end(stuck: Stuck) -> None:
    sink = ExposureSink(stuck, batch=1, every=SOON)
    gates = watched(sink)
    expose(gates, "a")
    assert stuck.entered.wait(10)
    expose(gates, "b", "c")
    gates.close()
    assert sink.dropped_exposures == 2
    expose(gates, "d")
    assert sink.dropped_exposures == 3


@pytest.mark.usefixtures("soon_closed")
def test_a_receiver_that_hangs_is_complained_of(stuck: Stuck, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(courier, "HANGS_AFTER", 0.0)
    gates = watched(ExposureSink(stuck, every=SOON))
    expose(gates, "a")
    assert stuck.entered.wait(10)
    assert eventually(lambda: "a delivery has not returned" in caplog.text)
    gates.close()


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    watched(ExposureSink(Taken())).close()
    assert set(threading.enumerate()) <= before


EXIT = """
import sys
from rampgate import Gates
from rampgate.sinks import ExposureSink

gates = Gates.from_rules({"g": sys.argv[1]})
gates.observe(ExposureSink(lambda batch: print(len(batch), flush=True), every=60))
gates.decide("g", {"userId": "u"})
"""

FORK = """
import logging, os, signal, sys
from rampgate import Gates
from rampgate.sinks import ExposureSink

logging.getLogger("rampgate").setLevel(logging.ERROR)  # that something was dropped is what we want
gates = Gates.from_rules({"g": sys.argv[1]})
sink = ExposureSink(lambda batch: print(os.getpid() == parent, [each.label for each in batch], flush=True), every=60, capacity=2)
parent = os.getpid()
gates.observe(sink)
for unit in ("parent's", "another", "dropped"):
    gates.decide("g", {"userId": unit})
if (child := os.fork()) == 0:
    signal.alarm(10)
    gates.decide("g", {"userId": "one"})
    gates.decide("g", {"userId": "parent's"})
    gates.close()
    os._exit(sink.dropped_exposures)
assert os.waitpid(child, 0)[1] == 0
gates.close()
assert sink.dropped_exposures == 1
"""


def run(script: str) -> str:
    ran = subprocess.run(
        [sys.executable, *FORKING, "-c", script, render_entry(entry(**ALL))], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_what_is_queued_when_the_program_ends_is_delivered() -> None:
    assert run(EXIT) == "1\n"


def test_a_forked_child_delivers_and_counts_what_it_exposed_itself_and_its_parent_the_rest() -> None:
    assert run(FORK) == "False ['treatment', 'treatment']\nTrue ['treatment', 'treatment']\n"


def test_a_child_of_a_process_that_closed_its_gates_does_not_count_what_its_parent_dropped() -> None:
    sink = ExposureSink(Taken(), capacity=0)
    gates = watched(sink)
    expose(gates, "dropped")
    gates.close()
    _, was_right = in_a_forked_process(lambda: sink.dropped_exposures == 0)
    assert was_right()
    assert sink.dropped_exposures == 1


def test_a_pseudonym_is_what_rfc_4231_says(tmp_path: Path) -> None:
    """Its test case 6."""
    (tmp_path / "key").write_bytes(b"\xaa" * 131)
    pseudonyms = Pseudonyms(tmp_path / "key")
    pseudonyms.refresh()
    expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    assert pseudonyms.of("Test Using Larger Than Block-Size Key - Hash Key First") == expected
    assert pseudonyms.of("\ud800") != pseudonyms.of("\ud801")


def test_a_key_that_changes_is_taken_and_one_that_goes_is_used_no_more(key_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    pseudonyms = Pseudonyms(key_file)
    seen = []
    for change in (lambda: None, lambda: key_file.write_bytes(KEY[::-1]), key_file.unlink, lambda: key_file.write_bytes(KEY)):
        change()
        pseudonyms.refresh()
        seen.append(pseudonyms.of("u"))
    assert seen[0] == seen[3] is not None
    assert seen[1] not in (None, seen[0])
    assert seen[2] is None
    assert "WITHOUT a unit" in caplog.text


@pytest.mark.parametrize("made", ["missing", "empty", "short", "directory"])
def test_without_a_sound_key_exposures_go_without_a_unit_and_loudly(made: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "key"
    if made == "directory":
        file.mkdir()
    elif made != "missing":
        file.write_bytes(b"" if made == "empty" else KEY[:-1])
    taken = Taken()
    with watched(ExposureSink(taken, key_file=file)) as gates:
        expose(gates, "user-1")
    assert [each.unit for each in taken.exposures] == [None]
    assert "WITHOUT a unit" in caplog.text
    assert "user-1" not in repr(taken.exposures)


def test_who_asks_for_no_pseudonyms_is_not_warned(caplog: pytest.LogCaptureFixture) -> None:
    taken = Taken()
    with watched(ExposureSink(taken)) as gates:
        expose(gates, "user-1")
    assert [each.unit for each in taken.exposures] == [None]
    assert "unit" not in caplog.text


def test_a_key_that_is_put_there_later_is_used_from_then_on(tmp_path: Path) -> None:
    taken, file = Taken(), tmp_path / "key"
    sink = ExposureSink(taken, key_file=file, every=SOON)
    with watched(sink) as gates:
        file.symlink_to(tmp_path / "real")
        (tmp_path / "real").write_bytes(KEY)
        assert eventually(lambda: sink._pseudonyms.of("somebody") is not None)  # it is the pulse that reads it, and nobody else
        expose(gates, "user-1")
    assert [each.unit for each in taken.exposures] == [hmac.new(KEY, b"user-1", "sha256").hexdigest()]
