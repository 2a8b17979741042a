"""A port is given to one process alone, long before something listens there."""

import subprocess
import sys

import pytest

from tools.devcluster import loopback
from tools.devcluster.keeper import CHECKOUT

OTHER = """
import sys
from tools.devcluster.loopback import free_port

print(free_port(), flush=True)
sys.stdin.read()
"""


def test_a_port_is_given_to_no_other_process_until_the_one_that_has_it_ends(monkeypatch):
    monkeypatch.setattr(loopback, "PORTS", 1)
    with subprocess.Popen([sys.executable, "-c", OTHER], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        monkeypatch.setattr(loopback, "FIRST_PORT", port)
        with pytest.raises(OSError, match="no free port"):
            loopback.free_port()
        other.communicate()

    assert loopback.free_port() == port


def test_a_process_is_given_no_port_twice(monkeypatch):
    monkeypatch.setattr(loopback, "FIRST_PORT", loopback.free_port())
    monkeypatch.setattr(loopback, "PORTS", 1)

    with pytest.raises(OSError, match="no free port"):
        loopback.free_port()
