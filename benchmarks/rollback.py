"""`python -m benchmarks.rollback`: from a fault to its rollback, end to end.

A real API server, a real Prometheus that scrapes every five seconds, the operator as its own process, and an application of three processes
with the SDK. Each Experiment serves 30 requests a second, three of them by its treatment; 1 % of all requests fail, until the fault breaks
10, 30 or 100 % of the treatment's. Told are seconds and the treatment's requests until the last process has put everybody back on control:
the least, the median and the most of many Experiments that run at once, each with its fault at a moment of its own, so that it falls
anywhere between two scrapes and two looks. `--record` writes benchmarks/results/rollback.json.
"""

import argparse
import itertools
import json
import math
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.scale import CHECKOUT, record, say
from tests.apiserver.team import Operator, Team
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl
from tools.devcluster.loopback import HOST, free_port
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role
from tools.devcluster.server import supervised

RESULTS = Path(__file__).parent / "results" / "rollback.json"
REPETITIONS, PROCESSES, PER_SECOND, SCRAPE_SECONDS = 20, 3, 30.0, 5.0
PERCENTS, INTERVALS = (10, 30, 100), ("5s", "30s")
SETTLE_SECONDS, SPREAD_SECONDS, PATIENCE = 60, 60, 180.0
"""How long all is well; over how long the faults begin, more than any interval; how long the last rollback is waited for."""
SPEC: dict[str, Any] = {
    "variants": [{"name": "control", "value": False}, {"name": "treatment", "value": True}],
    "unit": "userId",
    "ramp": {"steps": [{"percent": 20, "hold": "1h"}]},
    "guardrails": [{"name": "errors", "errorRate": {"per": "Request"}, "maxIncrease": "10%"}],
}


class Gate(NamedTuple):
    """One Experiment: how often it is looked at, and what share of its treatment's requests the fault breaks."""

    name: str
    interval: str
    percent: int


def every_gate(repetitions: int) -> list[Gate]:
    """Give all Experiments."""
    return [
        Gate(f"every-{interval}-to-{percent}-{number}", interval, percent)
        for interval in INTERVALS
        for percent in PERCENTS
        for number in range(repetitions)
    ]


@contextmanager
def application(gates: Sequence[Gate], team: Team, cluster: Cluster, prometheus: Prometheus) -> Iterator[list["subprocess.Popen[str]"]]:
    """Run its processes."""
    with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
        token.write(cluster.token(Role.ADMIN))
        token.flush()
        processes = [_start_process(gates, team, cluster, prometheus, token.name) for _ in range(PROCESSES)]
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.communicate()


def _start_process(gates: Sequence[Gate], team: Team, cluster: Cluster, prometheus: Prometheus, token_file: str) -> "subprocess.Popen[str]":
    port = free_port()
    faults = json.dumps({gate.name: gate.percent / 100 for gate in gates})
    place = [f"--namespace={team.namespace}", f"--api-server={cluster.url}", f"--token-file={token_file}", f"--ca-file={cluster.ca_file}"]
    command = [sys.executable, "-m", "benchmarks.rollback_shop", faults, *place, f"--port={port}", f"--per-second={PER_SECOND / PROCESSES}"]
    process = subprocess.Popen(supervised(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    prometheus.add_target("shop", f"{HOST}:{port}", {"namespace": team.namespace})
    return process


def measure(repetitions: int, directory: Path) -> dict[str, float]:
    """Run all Experiments, and give the figures."""
    gates, namespace = every_gate(repetitions), f"t-{secrets.token_hex(4)}"
    with Cluster.start() as cluster, Prometheus.launch(scrape_interval=SCRAPE_SECONDS) as prometheus:
        apply_crds(cluster, CHECKOUT / "crds")
        kubectl(cluster, "create", "namespace", namespace)
        team = Team(cluster, namespace)
        for gate in gates:
            team.apply(gate.name, changes={**SPEC, "interval": gate.interval})
        with (
            Operator(cluster, prometheus, namespace, log=directory / "operator.log"),
            application(gates, team, cluster, prometheus) as processes,
        ):
            _until(team, (gate.name for gate in gates), "Ramping")
            say(f"{len(gates)} Experiments ramp; all is well for {SETTLE_SECONDS} s")
            time.sleep(SETTLE_SECONDS)
            faults = _break(gates, processes)
            say(f"the faults begin, over {SPREAD_SECONDS} s")
            time.sleep(SPREAD_SECONDS)
            left = _until(team, faults, "RolledBack")
            served = [_end(process) for process in processes]
        early = [name for name, at in faults.items() if name not in left and _latched_at(team, name) < at]
    say(f"of {len(gates)}, {len(early)} were rolled back before their fault, and {len(left)} not within {PATIENCE:g} s of the last one")
    return dict(_figures([gate for gate in gates if gate.name not in {*early, *left}], faults, served))


def _break(gates: Sequence[Gate], processes: Sequence["subprocess.Popen[str]"]) -> dict[str, float]:
    """Give each gate a moment, and tell it to the processes."""
    begin = time.time() + 1
    faults = {gate.name: begin + random.uniform(0, SPREAD_SECONDS) for gate in gates}
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(json.dumps(faults) + "\n")
        process.stdin.flush()
    return faults


def _end(process: "subprocess.Popen[str]") -> dict[str, dict[str, float]]:
    """Tell a process to end, and give what it says it has served."""
    said, _ = process.communicate(timeout=PATIENCE)
    return dict(json.loads(said))


def _until(team: Team, names: Iterable[str], phase: str) -> set[str]:
    """Wait until all are in a phase; give those that were not in time."""
    left, deadline = set(names), time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        left = {name for name in left if team.status(name).get("phase") != phase}
        time.sleep(1)
    return left


def _latched_at(team: Team, name: str) -> float:
    return datetime.fromisoformat(team.status(name)["latch"]["at"]).timestamp()


def _figures(gates: Sequence[Gate], faults: dict[str, float], served: Sequence[dict[str, dict[str, float]]]) -> Iterator[tuple[str, float]]:
    for interval, percent in itertools.product(INTERVALS, PERCENTS):
        names = [gate.name for gate in gates if (gate.interval, gate.percent) == (interval, percent)]
        measured = {
            "seconds": [max(process[name]["last_at"] for process in served) - faults[name] for name in names],
            "requests": [sum(process[name]["requests"] for process in served) for name in names],
        }
        for what, values in measured.items():
            for statistic, of in (("min", min), ("median", median), ("max", max)):
                yield f"{what}_1_to_{percent}_every_{interval}_{statistic}", float(of(values)) if values else math.nan


def main() -> int:
    """Measure, print, and with `--record` write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="Experiments a row (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/rollback.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rampgate-bench-") as directory:
        figures = measure(options.repetitions, Path(directory))
    record(figures, RESULTS if options.record else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
