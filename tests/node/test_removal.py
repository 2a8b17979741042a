"""However a node ends, the machine is afterwards as it was."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.devcluster.conftest import mentioning
from tests.node.conftest import web
from tools.devcluster import state
from tools.devcluster.keeper import CHECKOUT
from tools.devcluster.kubectl import kubectl
from tools.devcluster.node import Node, NodeError, alone
from tools.devcluster.places import DATA, LINK
from tools.devcluster.removal import leftovers


@pytest.fixture
def devcluster(tmp_path):
    def run(command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        arguments = [sys.executable, "-m", "tools.devcluster", command, *options]
        return subprocess.run(arguments, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=100)

    yield lambda command, *options: run(command, f"--dir={tmp_path}", *options)
    run("down", f"--dir={tmp_path}")


def machine() -> dict[str, object]:
    """What a node could have changed: mounts, interfaces, routes, filters, forwarding, and folders that its parts are known for."""
    return {
        "mounts": Path("/proc/self/mounts").read_text(),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "routes": subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout,
        "filters": subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout,
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "folders": [path.exists() for path in map(Path, ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers"))],
    }


def run_pod(cluster) -> None:
    kubectl(cluster, "apply", "-f", "-", stdin=web("one"))
    kubectl(cluster, "wait", "--for=condition=Ready", "pod/one", "--timeout=50s")


def pod_processes() -> list[str]:
    return [line for line in mentioning("httpd -f -p 8080").values() if line.startswith("httpd")]


def test_a_node_with_a_pod_changes_nothing_but_a_link_and_its_routes_and_leaves_nothing():
    before = machine()
    with Node.start() as node:
        run_pod(node.cluster)
        assert len(pod_processes()) == 1
        during = machine()
        assert leftovers() != []
        directory = node.directory

    assert machine() == before
    assert leftovers() + pod_processes() == []
    assert not directory.exists()
    changed = {name for name in before if during[name] != before[name]}
    assert changed == {"interfaces", "routes"}
    assert set(during["interfaces"]) - set(before["interfaces"]) == {LINK}


def test_after_the_starter_was_killed_up_works_again_and_down_leaves_nothing(devcluster, tmp_path):
    devcluster("up", "--node", "--no-prometheus")
    os.kill(state.keeper(tmp_path), signal.SIGKILL)

    again = devcluster("up", "--node", "--no-prometheus")
    status = devcluster("status")
    devcluster("down")

    assert again.returncode == 0, again.stderr
    assert status.returncode == 0, status.stdout
    assert leftovers() == []


def test_status_lists_what_a_killed_node_left_and_down_removes_it(devcluster, tmp_path):
    devcluster("up", "--node", "--no-prometheus")
    run_pod(SimpleNamespace(kubeconfig=lambda _: tmp_path / "apiserver" / "admin.kubeconfig"))
    os.kill(state.keeper(tmp_path), signal.SIGKILL)

    status = devcluster("status")
    down = devcluster("down")

    assert (status.returncode, f"folder {DATA}" in status.stderr) == (3, True), status.stderr
    assert "removed what a killed node left" in down.stdout
    assert leftovers() + pod_processes() == []


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path, wait_for):
    command = [sys.executable, "-m", "tools.devcluster", "up", "--node", f"--dir={tmp_path}"]
    up = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for((DATA / "containerd.toml").exists, "containerd is starting")

    up.send_signal(signal.SIGINT)
    up.communicate()

    assert up.returncode == 1
    assert leftovers() == []


def test_a_second_node_is_refused(tmp_path):
    with alone(), pytest.raises(NodeError, match="a node runs already, and a machine has room for one"):
        Node.start(tmp_path)


def test_load_without_a_node_says_how_to_start_one(tmp_path):
    command = [sys.executable, "-m", "tools.devcluster", "load", str(tmp_path / "image.tar")]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert (done.returncode, "up --node" in done.stderr) == (3, True)
