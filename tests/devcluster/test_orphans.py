"""However a parent ends, its servers end too."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.devcluster.keeper import CHECKOUT

# A server that does not care about SIGTERM, so that the second, harder stop is seen to work as well.
STUBBORN = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w').close(); time.sleep(600)"
PARENT = """
import sys, threading
from pathlib import Path
from tools.devcluster.server import Server

home = Path(sys.argv[1])
server = Server("stubborn", [sys.executable, "-c", sys.argv[2], home / "ready"], log=home / "log", remove=home / "data")
starter = threading.Thread(target=server.start, args=((home / "ready").exists,))
starter.start()
starter.join()  # the thread that started it is gone from here on: nothing may hang on its life
print("up", flush=True)
"""
REAL_PARENT = """
import signal, sys
from pathlib import Path
from tools.devcluster.cluster import Cluster

cluster = Cluster.start(Path(sys.argv[1]))
print("up", flush=True)
signal.pause()
"""


def start(script: str, *arguments: str | Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize(
    ("sentence", "last_lines", "sent"),
    [
        ("it comes to its end without stopping anything", "", None),
        ("an exception ends it", "raise RuntimeError", None),
        ("Ctrl-C", "import signal; signal.pause()", signal.SIGINT),
        ("SIGTERM, which runs no finally", "import signal; signal.pause()", signal.SIGTERM),
        ("SIGKILL", "import signal; signal.pause()", signal.SIGKILL),
        ("SIGKILL while a fork of it lives on", "import os, signal; os.fork() or os.closerange(0, 3); signal.pause()", signal.SIGKILL),
    ],
)
def test_a_server_ends_with_its_parent(tmp_path, processes, wait_for, sentence, last_lines, sent):
    (tmp_path / "data").mkdir()
    parent = start(PARENT + last_lines, tmp_path, STUBBORN)
    if sent is not None:
        assert len(servers := processes(f"{tmp_path}/ready")) == 2, servers  # the server and its watcher
        parent.send_signal(sent)
    parent.communicate()

    try:
        wait_for(lambda: not processes(f"{tmp_path}/ready"), f"the server is gone after {sentence}")
        wait_for(lambda: not (tmp_path / "data").exists(), "what only the server needed is removed")
    finally:
        for pid in processes(str(tmp_path)):
            os.kill(pid, signal.SIGKILL)


def test_a_server_ends_with_its_watcher(tmp_path, processes, wait_for):
    parent = start(PARENT + "import signal; signal.pause()", tmp_path, STUBBORN)
    (watcher,) = [pid for pid, line in processes(f"{tmp_path}/ready").items() if "child.py" in line]

    os.kill(watcher, signal.SIGKILL)

    wait_for(lambda: not processes(f"{tmp_path}/ready"), "the server is gone after its watcher was killed")
    parent.kill()
    parent.communicate()


def test_etcd_and_the_api_server_end_when_their_parent_is_killed(tmp_path, processes, wait_for):
    parent = start(REAL_PARENT, tmp_path)
    assert {"etcd", "kube-apiserver"} <= {Path(line.split()[0]).name for line in processes(str(tmp_path)).values()}

    parent.kill()
    parent.communicate()

    wait_for(lambda: not processes(str(tmp_path)), "etcd and kube-apiserver are gone")
