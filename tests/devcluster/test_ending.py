"""How long `down` waits for a keeper, and what it says of one that stays. A process that holds the directory stands for it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.devcluster import keeper, state
from tools.devcluster.keeper import CHECKOUT, KeeperError
from tools.devcluster.places import DATA, NODE

HOLDS = """
import pathlib, signal, sys, time
from tools.devcluster import state
directory = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with state.held(directory):
    state.write(directory, state.State("", "", {}, None, None, sys.argv[2] or None))
    while not (directory / "removed").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def hold(tmp_path, wait_for) -> Iterator[object]:
    """Hold the directory, as the keeper of a node or of a control plane alone, until a file `removed` is there."""
    holders = []

    def start(node: str) -> None:
        holders.append(subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path, node], cwd=CHECKOUT))
        wait_for(lambda: state.read(tmp_path) is not None, "the directory is held")

    yield start
    (tmp_path / "removed").touch()
    for holder in holders:
        holder.wait(20)


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(keeper, "END_SECONDS", 0.1)
    monkeypatch.setattr(keeper.removal, "is_under_way", lambda: True)


def test_it_says_that_a_nodes_files_are_still_being_removed_and_waits_for_that(hold, tmp_path: Path):
    hold(NODE)
    said = []

    def report(line: str) -> None:
        said.append(line)
        (tmp_path / "removed").touch()

    assert keeper.end(tmp_path, report)
    assert said == [f"its servers have ended; still removing the node's files, {DATA}"]


def test_it_advises_nobody_to_kill_what_removes_files(hold, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(keeper, "REMOVAL_SECONDS", 0.1)
    hold(NODE)
    with pytest.raises(KeeperError, match="goes on; `down` again waits for it") as told:
        keeper.end(tmp_path)
    assert "kill" not in str(told.value)


@pytest.mark.parametrize(("node", "is_removing"), [("", True), (NODE, False)], ids=["no node", "a node whose parts still run"])
def test_a_keeper_that_hangs_is_told_with_what_ends_it(hold, tmp_path: Path, monkeypatch, node: str, is_removing: bool):
    monkeypatch.setattr(keeper.removal, "is_under_way", lambda: is_removing)
    hold(node)
    with pytest.raises(KeeperError, match=r"`kill -9 \d+` ends it and its servers"):
        keeper.end(tmp_path)
