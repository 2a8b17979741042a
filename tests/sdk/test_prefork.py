"""gunicorn and uWSGI with gates made before they fork: every worker sees what changes, and what Prometheus reads is the sum of all."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from rampgate.rules import render_entry
from tests.sdk.entries import entry
from tests.sdk.waiting import eventually
from tools.devcluster.loopback import HOST, free_port
from tools.devcluster.prometheus import Prometheus

WORKERS = 4
ARM_ONLY = {"percent": 100, "variants": [{"name": "control", "value": 0, "weight": 0}, {"name": "treatment", "value": 1, "weight": 1}]}
CONFIGURATION = """
from prometheus_client import multiprocess

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""


SERVERS = ("gunicorn", "uwsgi", "uwsgi with Python's own hooks")


class Shop:
    """An application server, its rules, and what its workers answer."""

    def __init__(self, server: str, folder: Path) -> None:
        self.rules, shared, self.configuration = folder / "rules", folder / "shared", folder / "gunicorn.conf.py"
        self.rules.mkdir()
        shared.mkdir()
        self.configuration.write_text(CONFIGURATION)
        (self.rules / "format").write_text("rampgate.dev/1")
        self.write(**ARM_ONLY)
        self.port = free_port()
        command = self.gunicorn() if server == "gunicorn" else self.uwsgi(hooks=server != "uwsgi")
        environment = {**os.environ, "RULES": str(self.rules), "PROMETHEUS_MULTIPROC_DIR": str(shared)}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        self.log = (folder / "server.log").open("wb")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log, start_new_session=True)

    def gunicorn(self) -> list[str]:
        """How gunicorn is started; `--preload` loads the application before it forks."""
        command = [sys.executable, "-m", "gunicorn", "--preload", "-w", str(WORKERS), "-b", f"{HOST}:{self.port}", "--no-control-socket"]
        return [*command, "-c", str(self.configuration), "tests.sdk.prefork_app:application"]

    def uwsgi(self, *, hooks: bool) -> list[str]:
        """How uWSGI is started, which always loads the application before it forks."""
        command = [str(Path(sys.executable).with_name("uwsgi")), "--master", "--processes", str(WORKERS), "--enable-threads", "--need-app"]
        command += ["--die-on-term", "--http-socket", f"{HOST}:{self.port}", "--module", "tests.sdk.prefork_app:application"]
        return [*command, "--virtualenv", sys.prefix, *(["--py-call-osafterfork"] if hooks else [])]

    def write(self, **changes: object) -> None:
        """Replace the rules, as a whole."""
        new = self.rules / "new"
        new.write_text(render_entry(entry(**changes)))
        new.rename(self.rules / "g.json")

    def ask(self, unit: str) -> tuple[int, str]:
        """Which process answered, and with what."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/?unit={unit}", timeout=10) as response:
            process, variant = response.read().decode().split()
        return int(process), variant

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return self.ask("first")[1] == "treatment"
        except OSError:
            return False

    def every_worker_serves(self, variant: str) -> bool:
        """Whether all of them have been heard, and none says anything else."""
        heard = [self.ask("u") for _ in range(60)]
        return len({process for process, _ in heard}) == WORKERS and {served for _, served in heard} == {variant}

    def close(self) -> None:
        """End it."""
        self.process.terminate()  # the master alone, as a supervisor does
        try:
            self.process.wait(30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.log.close()


@pytest.fixture(params=SERVERS)
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    shop = Shop(request.param, tmp_path)
    try:
        assert eventually(shop.is_up, within=30), shop.log.name
        yield shop
    finally:
        shop.close()


def test_every_worker_that_was_forked_after_the_gates_were_made_sees_a_change(shop: Shop) -> None:
    assert eventually(lambda: shop.every_worker_serves("treatment"), within=30)
    shop.write(serve="ROLLED_BACK", latch="Guardrail")
    assert eventually(lambda: shop.every_worker_serves("control"), within=30)


def value(prometheus: Prometheus, query: str) -> float | None:
    """What Prometheus knows; None when it knows nothing."""
    answer = requests.get(f"{prometheus.url}/api/v1/query", params={"query": query}, timeout=10).json()["data"]["result"]
    return float(answer[0]["value"][1]) if answer else None


def test_what_prometheus_reads_is_the_sum_of_all_workers_and_never_falls(shop: Shop, prometheus: Prometheus) -> None:
    address, namespace = f"{HOST}:{shop.port}", f"t-prefork-{shop.port}"
    mine = f'{{namespace="{namespace}",gate="g",variant="treatment"'
    prometheus.add_target("prefork", address, {"namespace": namespace})
    try:
        answered = Counter(shop.ask(f"unit-{number % 40}")[0] for number in range(400))
        while len(answered) < WORKERS:  # one of them may have been idle
            answered[shop.ask("unit-0")[0]] += 1
        total, drops = f"sum(rampgate_exposures_total{mine}}})", f"sum(resets(rampgate_exposures_total{mine}}}[10m]))"
        assert eventually(lambda: value(prometheus, total) == answered.total() + 1, within=30)  # and the one that found it up
        requested = value(prometheus, f'sum(rampgate_requests_total{mine},outcome="ok"}})')
        assert (requested, value(prometheus, drops)) == (value(prometheus, total), 0)
        first = value(prometheus, f"rampgate_first_exposures_total{mine}}}")
        assert first is not None
        assert 40 <= first <= 41 * WORKERS
        assert value(prometheus, f'rampgate_processes{{namespace="{namespace}"}}') == WORKERS
        assert value(prometheus, f'rampgate_rules_generation{{namespace="{namespace}",gate="g"}}') == 1795600000
    finally:
        prometheus.remove_target("prefork", address)
