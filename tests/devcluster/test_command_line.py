import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest

from tools.devcluster import state
from tools.devcluster.keeper import CHECKOUT


@pytest.fixture
def devcluster(tmp_path):
    def run(command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "tools.devcluster", command, f"--dir={tmp_path}", *options],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    yield run
    run("down")


def test_up_status_env_down(devcluster, tmp_path, processes):
    up = devcluster("up", "--control-plane", "--scrape-interval=0.5")
    again = devcluster("up")
    status = devcluster("status")
    env = devcluster("env", "--role=developer")
    here = state.read(tmp_path)
    assert (up.returncode, again.returncode, status.returncode, env.returncode) == (0, 0, 0, 0), up.stderr
    assert again.stdout.startswith("already running")
    assert status.stdout.count(" ready\n") == 2
    assert env.stdout.splitlines() == [
        f"export KUBECONFIG={tmp_path}/apiserver/developer.kubeconfig",
        f"export RAMPGATE_SOURCES__DEFAULT__URL={here.prometheus}",
    ]
    with urllib.request.urlopen(f"{here.prometheus}/api/v1/status/config") as response:
        assert "scrape_interval: 500ms" in json.load(response)["data"]["yaml"]

    down = devcluster("down")

    assert down.stdout.startswith("stopped")
    assert not processes(str(tmp_path))


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["status"], 3, "nothing runs"),
        (["env"], 3, "nothing runs"),
        (["down"], 0, "nothing runs"),
        (["up", "--scrape-interval=0"], 2, "between 0.05 and 3600 seconds"),
        (["up", "--node", "--control-plane"], 2, "not allowed with argument"),
        (["load"], 2, "ARCHIVE --prometheus is required"),
    ],
)
def test_the_exit_status_where_nothing_runs(devcluster, command, status, said):
    done = devcluster(*command)

    assert (done.returncode, said in done.stdout + done.stderr) == (status, True)


def test_a_server_that_cannot_start_is_status_1_with_its_last_words(devcluster, tmp_path, monkeypatch):
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "etcd").write_text("#!/bin/sh\necho no room left >&2\nexit 1\n")
    (assets / "etcd").chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))

    up = devcluster("up", "--no-prometheus")

    assert up.returncode == 1
    assert "etcd ended before it was ready:\nno room left" in up.stderr
    assert devcluster("status").returncode == 3


def test_the_servers_of_a_killed_keeper_end(devcluster, tmp_path, processes, wait_for):
    devcluster("up", "--no-prometheus")

    os.kill(state.keeper(tmp_path), signal.SIGKILL)

    wait_for(lambda: not processes(str(tmp_path)), "etcd and kube-apiserver are gone")
    assert devcluster("status").returncode == 3


def test_what_a_killed_keeper_wrote_does_not_pass_for_the_state_of_the_next(devcluster, tmp_path):
    devcluster("up", "--no-prometheus")
    killed = state.read(tmp_path)
    os.kill(state.keeper(tmp_path), signal.SIGKILL)

    devcluster("up", "--no-prometheus")

    assert state.read(tmp_path).api_server != killed.api_server
    assert devcluster("status").returncode == 0


def test_ctrl_c_during_up_leaves_nothing_behind(tmp_path, processes, wait_for):
    up = subprocess.Popen(
        [sys.executable, "-m", "tools.devcluster", "up", f"--dir={tmp_path}"], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: any("kube-apiserver" in line for line in processes(str(tmp_path)).values()), "it is starting")

    up.send_signal(signal.SIGINT)
    up.communicate()

    assert up.returncode == 1
    assert not processes(str(tmp_path))
    assert state.keeper(tmp_path) is None
