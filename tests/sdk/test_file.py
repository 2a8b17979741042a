"""rampgate.sources.file: a ConfigMap in a file, whatever becomes of the file."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rampgate import Gates, Reason
from rampgate.rules import render_entry
from rampgate.sources.file import read_config_map
from tests.sdk.entries import entry
from tests.sdk.waiting import eventually


def config_map(**changes: object) -> str:
    """As kubectl prints one."""
    data = {"format": "rampgate.dev/1", "g.json": render_entry(entry(**changes))}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "feature-gates"}, "data": data})


SHIPPED = config_map(ship="treatment")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rules.json").write_text(SHIPPED)
    return tmp_path / "rules.json"


@pytest.fixture
def gates(file: Path) -> Iterator[Gates]:
    with Gates.from_file(file, wait=10) as gates:
        yield gates


def serves(gates: Gates, variant: str) -> bool:
    return eventually(lambda: gates.variant("g", {"userId": "u"}, default="none") == variant)


def test_the_file_is_read_when_the_constructor_returns_and_changes_are_seen(file: Path, gates: Gates) -> None:
    assert gates.decide("g").reason is Reason.SHIPPED
    file.write_text(config_map(serve="ROLLED_BACK"))
    assert serves(gates, "control")


@pytest.mark.parametrize(
    ("sentence", "text"),
    [
        ("an empty file", ""),
        ("a file cut off while it is written", SHIPPED[: len(SHIPPED) // 2]),
        ("no object", "[1, 2]"),
        ("no ConfigMap", '{"data": ["g.json"]}'),
        ("values that are no text", '{"data": {"format": 1}}'),
        ("another ConfigMap", '{"data": {"app.yaml": "x"}}'),
        ("binary data that is none", '{"data": {"format": "rampgate.dev/1"}, "binaryData": {"g.json": "!"}}'),
        ("nesting without end", "[" * 100_000),
    ],
)
def test_what_is_no_configmap_of_rules_leaves_the_last_good_ones(file: Path, gates: Gates, sentence: str, text: str) -> None:
    file.write_text(text)
    assert not eventually(lambda: gates.decide("g").reason is not Reason.SHIPPED, within=0.3)
    file.write_text(config_map(serve="KILLED"))
    assert serves(gates, "control")


def test_a_file_that_goes_away_leaves_the_last_good_rules_and_may_come_back(file: Path, gates: Gates) -> None:
    file.unlink()
    assert not eventually(lambda: gates.decide("g").reason is not Reason.SHIPPED, within=0.3)
    file.write_text(config_map(serve="KILLED"))
    assert serves(gates, "control")


def test_bytes_that_are_no_utf_8_stand_in_binary_data() -> None:
    assert read_config_map(b'{"data": {"format": "rampgate.dev/1"}, "binaryData": {"g.json": "/w=="}}') == {
        "format": b"rampgate.dev/1",
        "g.json": b"\xff",
    }


def test_a_file_that_is_not_there_does_not_hold_up_the_start_and_is_the_default(tmp_path: Path) -> None:
    with Gates.from_file(tmp_path / "absent", wait=0.05) as gates:
        assert (gates.decide("g", default=7).value, gates.decide("g").reason) == (7, Reason.ERROR)


def test_close_leaves_no_thread_behind(file: Path) -> None:
    before = set(threading.enumerate())
    with Gates.from_file(file):
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) <= before  # those of earlier tests may end at any time


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = set(threading.enumerate())
    with Gates.from_file(tmp_path / "pipe", wait=0.2) as gates:
        assert gates.decide("g").reason is Reason.ERROR
    assert set(threading.enumerate()) <= before
