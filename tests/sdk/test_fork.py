"""After a fork, the child evaluates, waits for no lock that only a thread of its parent could give back, and sees what changes."""

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from rampgate import Gates
from rampgate.exposure import Observer
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.rules import render_entry
from rampgate.snapshot import Loaded
from rampgate.sources.memory import MemorySource
from tests.sdk.entries import entry
from tests.sdk.forking import FORKING, in_a_forked_process
from tests.sdk.waiting import eventually

FORKS = 20
SCRIPT = f"""
import os, signal, sys, threading
from rampgate import Gates
from rampgate.exposure import Observer
from rampgate.integrations.prometheus import PrometheusMetrics
from prometheus_client import CollectorRegistry

gates = Gates.from_rules({{"g": sys.argv[1]}}, metrics=PrometheusMetrics(CollectorRegistry()))
done = threading.Event()

def evaluate(number):
    unit = 0
    while not done.is_set():
        unit += 1
        gates.decide("g", {{"userId": f"u-{{number}}-{{unit}}"}})

for number in range(3):
    threading.Thread(target=evaluate, args=(number,), daemon=True).start()
for _ in range({FORKS}):
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # ends a child that hangs, by a status that is not 0
        for unit in range(100):
            gates.decide("g", {{"userId": f"child-{{unit}}"}})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"a child ended with status {{status}}")
done.set()
"""


def test_a_child_that_was_forked_while_others_evaluated_evaluates_too() -> None:
    line = render_entry(entry(percent=100))
    ran = subprocess.run([sys.executable, *FORKING, "-c", SCRIPT, line], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


SHIPPED = {"ship": "treatment"}


def write(rules: Path, **changes: object) -> None:
    """Replace the only gate, as a whole."""
    (rules / "new").write_text(render_entry(entry(**changes)))
    (rules / "new").rename(rules / "g.json")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "format").write_text("rampgate.dev/1")
    write(tmp_path)
    return tmp_path


def sees_the_change(gates: Gates) -> bool:
    return eventually(lambda: gates.variant("g", {"userId": "u"}, default="none") == "treatment")


def test_a_child_of_a_plain_fork_sees_a_change_and_its_own_child_too(rules: Path) -> None:
    def child() -> bool:
        _, grandchild_saw = in_a_forked_process(lambda: sees_the_change(gates))
        return sees_the_change(gates) and grandchild_saw()

    with Gates.from_directory(rules) as gates:
        _, saw = in_a_forked_process(child)
        write(rules, **SHIPPED)
        assert saw()
        assert sees_the_change(gates)


def test_a_child_of_a_fork_tells_the_application_of_a_change(rules: Path) -> None:
    heard: list[str] = []
    with Gates.from_directory(rules, wait=10, on_change=heard.extend) as gates:
        assert eventually(lambda: heard == ["g"])  # of the first rules: told a moment after they are there
        heard.clear()
        _, heard_it = in_a_forked_process(lambda: eventually(lambda: heard == ["g"]))
        write(rules, **SHIPPED)
        assert heard_it()
        assert gates.is_ready


def work_of_a_pool(gates: Gates, answer: Connection) -> None:
    answer.send("ready")
    answer.send(sees_the_change(gates))


def test_a_process_of_multiprocessing_sees_a_change(rules: Path) -> None:
    forking = multiprocessing.get_context("fork")
    ours, theirs = forking.Pipe()
    with Gates.from_directory(rules) as gates:
        process = forking.Process(target=work_of_a_pool, args=(gates, theirs))
        process.start()
        assert ours.recv() == "ready"
        write(rules, **SHIPPED)
        assert ours.recv() is True
        process.join(20)
    assert process.exitcode == 0


def test_a_child_counts_from_0_what_it_evaluates_itself() -> None:
    registry = CollectorRegistry()
    gates = Gates.from_rules({"g": entry(**SHIPPED)}, metrics=PrometheusMetrics(registry))
    labels = {"gate": "g", "variant": "none", "reason": "SHIPPED"}

    def counted() -> float:
        return registry.get_sample_value("rampgate_exposures_total", labels) or 0

    def child() -> bool:
        for _ in range(3):
            gates.decide("g")
        return counted() == 3

    gates.decide("g")
    _, was_right = in_a_forked_process(child)
    assert was_right()
    assert counted() == 1
    gates.close()


def threads() -> int:
    """How many are the SDK's; other tests may have left some behind, which begin anew in a child."""
    return sum(thread.name.startswith("rampgate") for thread in threading.enumerate())


def test_closed_gates_stay_closed_in_a_child(rules: Path) -> None:
    before = threads()
    gates = Gates.from_directory(rules)
    gates.close()

    def child() -> bool:
        return threads() <= before

    _, was_right = in_a_forked_process(child)
    assert was_right()


class Slow(Observer):
    """An observer that forks while it hears of new rules, after they are in force and before its neighbour has heard of them."""

    def __init__(self) -> None:
        self.saw: Callable[[], bool] = lambda: True
        self.work: Callable[[], bool] | None = None

    def rules_changed(self, gates: Mapping[str, Loaded]) -> None:
        if self.work is not None:
            work, self.work = self.work, None
            _, self.saw = in_a_forked_process(work)


def test_a_child_that_is_forked_before_observers_hear_of_new_rules_tells_its_own() -> None:
    slow, registry, source = Slow(), CollectorRegistry(), MemorySource({"g": entry(generation=1)})
    gates = Gates(source, stale_after=60)
    gates.observe(slow)
    gates.observe(PrometheusMetrics(registry))
    slow.work = lambda: eventually(lambda: registry.get_sample_value("rampgate_rules_generation", {"gate": "g"}) == 2)
    source.replace({"g": entry(generation=2)})
    assert slow.saw()
    gates.close()


def test_a_child_whose_parent_was_being_scraped_for_long_goes_on_all_the_same() -> None:
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    gates = Gates.from_rules({"g": entry(percent=100)}, metrics=metrics)
    held, free = threading.Event(), threading.Event()

    def scrape() -> None:
        with metrics._reading, metrics._lock:
            held.set()
            free.wait(20)

    def child() -> bool:
        gates.decide("g", {"userId": "u"})
        return eventually(lambda: first_exposures(registry) == 1) and eventually(lambda: gates._pulse._thread is not None)

    scraping = threading.Thread(target=scrape)
    scraping.start()
    held.wait(20)
    _, was_right = in_a_forked_process(child)
    free.set()
    scraping.join()
    assert was_right()
    gates.close()


def first_exposures(registry: CollectorRegistry) -> float:
    """Of all arms together."""
    arms = (
        registry.get_sample_value("rampgate_first_exposures_total", {"gate": "g", "variant": each}) for each in ("control", "treatment")
    )
    return sum(counted or 0 for counted in arms)


def evaluate_and_end(gates: Gates) -> None:
    for number in range(100):
        gates.decide("g", {"userId": f"u{number}"})


SHARED = """
import multiprocessing, sys
from prometheus_client import CollectorRegistry, multiprocess
from rampgate import Gates
from rampgate.exposure import Observer
from rampgate.integrations.prometheus import PrometheusMetrics
from tests.sdk.test_fork import evaluate_and_end

if __name__ == "__main__":
    gates = Gates.from_rules({"g": sys.argv[1]}, metrics=PrometheusMetrics(CollectorRegistry()))
    process = multiprocessing.get_context("fork").Process(target=evaluate_and_end, args=(gates,))
    process.start()
    process.join()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    print(sum(sample.value for family in registry.collect() for sample in family.samples if sample.name == "rampgate_exposures_total"))
"""


def test_what_a_short_process_of_multiprocessing_counted_is_in_its_files_when_it_has_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SHARED, render_entry(entry())]
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (ran.stdout, ran.stderr) == ("100.0\n", "")
