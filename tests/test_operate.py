"""`rampgate operator` as a process: what it says and how it ends, without a cluster."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen

import pytest

from rampgate_operator import process
from rampgate_operator.__main__ import main
from tools.devcluster.loopback import free_port

KUBECONFIG = """
current-context: here
contexts: [{{name: here, context: {{cluster: one, user: somebody}}}}]
clusters: [{{name: one, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: somebody, user: {{token: secret}}}}]
"""
SOURCE = {"RAMPGATE_SOURCES__DEFAULT__URL": "http://someone:secret@prometheus:9090/prefix/"}
PATIENCE = 60.0
"""Seconds until something that must happen counts as not happening."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rampgate_operator", "operator", *arguments]


def operator(*arguments: str, **environment: str) -> "CompletedProcess[str]":
    return subprocess.run(command(*arguments), env=os.environ | environment, capture_output=True, text=True, check=False, timeout=PATIENCE)


class Waiting:
    """The operator, started with a kubeconfig whose API server does not answer."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        kubeconfig, self._log = directory / "kubeconfig", directory / "log"
        kubeconfig.write_text(KUBECONFIG.format(port=free_port()))
        with self._log.open("wb") as log:
            self.process: Popen[bytes] = Popen(
                command(),
                stdin=PIPE,
                stdout=log,
                stderr=log,
                env=os.environ | environment | {"KUBECONFIG": str(kubeconfig), "RAMPGATE_LISTEN": "127.0.0.1:0"},
            )

    def text(self) -> str:
        """Give the log as it is now."""
        return self._log.read_text()

    def log(self, wanted: str) -> str:
        """Give the log once it has a text."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.text():
            assert time.monotonic() < deadline, self.text()
            assert self.process.poll() is None, self.text()
            time.sleep(0.02)
        return self.text()


@pytest.fixture
def waiting(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Waiting]:
    running = Waiting(tmp_path, getattr(request, "param", SOURCE))
    yield running
    running.process.kill()
    running.process.communicate()


def test_help_shows_the_configuration_and_the_exit_statuses() -> None:
    shown = operator("--help").stdout
    assert all(text in shown for text in ("sources:", "RAMPGATE_SOURCES__DEFAULT__URL", "--config FILE", "exit status"))


def test_a_wrong_argument_is_exit_status_2() -> None:
    assert operator("--wrong").returncode == 2


def test_every_mistake_in_the_configuration_is_a_line_and_the_exit_status_2(tmp_path: Path) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text("namespaces: shop\nsources: {main: {url: 'http://p?x=1'}}")
    refused = operator("--config", str(file), RAMPGATE_WORKERS="0")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"rampgate operator: {file}: namespaces: write a list, such as [shop]",
        f"rampgate operator: {file}: sources.main.url: write http://HOST[:PORT][/PREFIX] or https://…, without a query or a fragment",
        "rampgate operator: RAMPGATE_WORKERS: Input should be greater than or equal to 1",
    ]


def test_a_kubeconfig_that_does_not_exist_is_one_line_and_the_exit_status_2() -> None:
    refused = operator("--log-level", "warning", KUBECONFIG="/nope")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == ["rampgate operator: no cluster: not inside a pod, and the kubeconfig /nope does not exist"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_while_it_waits_for_the_api_server(number: signal.Signals, waiting: Waiting) -> None:
    waiting.log("cannot take the lease")
    waiting.process.send_signal(number)
    assert waiting.process.wait(PATIENCE) == 0
    assert waiting.text().endswith(f"{number.name}: stopping\n")


def test_each_source_is_named_with_its_url_and_without_its_credentials(waiting: Waiting) -> None:
    log = waiting.log("cannot take the lease")
    assert "[INFO] rampgate_operator.process: metrics source default: http://prometheus:9090/prefix\n" in log
    assert "secret" not in log


@pytest.mark.parametrize("waiting", [{}], indirect=True, ids=["no source"])
def test_that_there_is_no_source_is_a_warning(waiting: Waiting) -> None:
    assert "[WARNING] rampgate_operator.process: no metrics source is configured" in waiting.log("cannot take the lease")


@pytest.fixture
def own_log() -> Iterator[None]:
    """Whatever the command makes of this process's log, other tests find it as before."""
    handlers, level = logging.root.handlers, logging.root.level
    logging.root.handlers = []
    yield
    logging.root.handlers = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("own_log")
def test_a_part_that_fails_is_told_and_is_exit_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def run(*_: object, **__: object) -> None:
        raise ExceptionGroup("parts", [KeyError("bug")])

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(sys, "setrecursionlimit", lambda _limit: None)  # this process goes on, with stacks that are no deeper
    assert main(["operator", "--log-format", "json"]) == 1
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["severity"] == "fatal"
    assert "KeyError: 'bug'" in line["exc_info"]


DEEP = """
import asyncio, copy, sys
from rampgate_operator.adapters import deep_json
from rampgate_operator.cli.operate import DEEPEST
from rampgate_operator.core.nudging import urgency_of
from rampgate_operator.core.observation import read_entry

sys.setrecursionlimit(DEEPEST)
for levels in (1_490, 9_990, 10_000):
    copy.deepcopy(deep_json.loads('{"a":' * levels + "1" + "}" * levels))  # what kube-apiserver takes, as kopf copies it


def read():
    for opens, closes in (("[", "]"), ('{"a":', "}")):
        for levels in (DEEPEST - 1_000, DEEPEST - 50, DEEPEST - 10, 150_000):
            rest = '"control":{"name":"c","value":1},"x":' + opens * levels + "1" + closes * levels + "}"
            lines = ['{"format":1,"gate":"g","attempt":1,"percent":0,"generation":%d,' % number + rest for number in (1, 2)]
            maps = [{"metadata": {}, "data": {"format": "rampgate.dev/1", "g.json": line}} for line in lines]
            urgency_of(*maps)
            entry = read_entry(lines[0], "g")
    print(entry)


read()
asyncio.run(asyncio.to_thread(read))
"""


def test_an_entry_that_nests_without_end_does_not_end_the_process() -> None:
    """A ConfigMap's value is a tenant's to write, and what bounds a resource's levels does not bound those of a text.

    Python 3.11 guards its stack by that limit alone: under a higher one this was a segmentation fault.
    """
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "None\nNone\n"), done.stderr[-1000:]
