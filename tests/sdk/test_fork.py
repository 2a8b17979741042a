"""After a fork, the child evaluates: it waits for no lock that only a thread of its parent could give back."""

import subprocess
import sys

from rampgate.rules import render_entry
from tests.sdk.entries import entry

FORKS = 20
SCRIPT = f"""
import os, signal, sys, threading
from rampgate import Gates
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
    ran = subprocess.run([sys.executable, "-c", SCRIPT, line], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
