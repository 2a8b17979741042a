"""gunicorn and uWSGI with gates made before they fork: every worker sees what changes, and what Prometheus reads is the sum of all."""

import os
import secrets
import signal
import subprocess
import sys
import time
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


_BROKEN = pytest.mark.skipif(sys.version_info >= (3, 13), reason="uWSGI 2.0 with this flag ends on Python 3.13 with any application")
SERVERS = ("gunicorn", "uwsgi", pytest.param("uwsgi with Python's own hooks", marks=_BROKEN))


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
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/up", timeout=10) as response:
                return bool(response.read() == b"treatment")
        except OSError:
            return False

    def every_worker_serves(self, variant: str) -> bool:
        """Whether this is what all of them come to say; who answers is the kernel's choice, and one of them may be idle for long."""
        heard: dict[int, str] = {}

        def all_say_so() -> bool:
            process, served = self.ask("u")
            heard[process] = served
            return len(heard) == WORKERS and set(heard.values()) == {variant}

        return eventually(all_say_so)

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
    assert shop.every_worker_serves("treatment")
    shop.write(serve="ROLLED_BACK", latch="Guardrail")
    assert shop.every_worker_serves("control")


def values(prometheus: Prometheus, *queries: str) -> list[float | None]:
    """What Prometheus knows at this moment, the same one for all; None where it knows nothing."""
    params, found = {"time": f"{time.time():.3f}"}, []
    for query in queries:
        answer = requests.get(f"{prometheus.url}/api/v1/query", params={**params, "query": query}, timeout=10).json()["data"]["result"]
        found.append(float(answer[0]["value"][1]) if answer else None)
    return found


def test_what_prometheus_reads_is_the_sum_of_all_workers_and_never_falls(shop: Shop, prometheus: Prometheus) -> None:
    address, namespace = f"{HOST}:{shop.port}", f"t-prefork-{secrets.token_hex(4)}"
    mine = f'{{namespace="{namespace}",gate="g",variant="treatment"'
    prometheus.add_target("prefork", address, {"namespace": namespace})
    try:
        answered = Counter(shop.ask(f"unit-{number % 40}")[0] for number in range(400))
        while len(answered) < WORKERS:  # one of them may have been idle
            answered[shop.ask("unit-0")[0]] += 1
        wanted = {
            f"sum(rampgate_exposures_total{mine}}})": answered.total(),
            f'sum(rampgate_requests_total{mine},outcome="ok"}})': answered.total(),
            f"sum(resets(rampgate_exposures_total{mine}}}[10m]))": 0,
            f'rampgate_processes{{namespace="{namespace}"}}': WORKERS,
            f'rampgate_rules_generation{{namespace="{namespace}",gate="g"}}': 1795600000,
        }
        first, found = f"rampgate_first_exposures_total{mine}}}", list[float | None]()

        def all_is_read() -> bool:
            found[:] = values(prometheus, *wanted, first)
            return found[:-1] == list(wanted.values())

        assert eventually(all_is_read), found
        assert found[-1] is not None
        assert 40 <= found[-1] <= 40 * WORKERS
    finally:
        prometheus.remove_target("prefork", address)
