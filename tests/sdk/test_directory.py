"""rampgate.sources.directory: a mounted ConfigMap as the kubelet swaps it, and plain files as people edit them."""

import logging
import os
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from rampgate import Gates, Reason
from rampgate.rules import render_entry
from rampgate.sources import directory
from rampgate.sources.directory import DirectorySource
from tests.sdk.entries import entry
from tests.sdk.waiting import eventually

FORMAT = {"format": "rampgate.dev/1"}
CONTROL = render_entry(entry(percent=0))
TREATMENT = render_entry(entry(ship="treatment"))


class Mount:
    """A volume as the kubelet writes one: files are links into `..data`, itself a link that is swapped."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._count = 0
        root.mkdir()

    def project(self, files: Mapping[str, str]) -> None:
        self._count += 1
        current = self.root / f"..2026_11_25_{self._count}"
        current.mkdir()
        for name, text in files.items():
            (current / name).write_text(text)
        link, swap = self.root / "..data", self.root / "..data_tmp"
        previous = link.readlink() if link.is_symlink() else None
        swap.symlink_to(current.name)
        swap.rename(link)
        for name in files:
            if not (self.root / name).is_symlink():
                (self.root / name).symlink_to(Path("..data") / name)
        for path in self.root.iterdir():
            if not path.name.startswith("..") and path.name not in files:
                path.unlink()
        if previous is not None:
            shutil.rmtree(self.root / previous)


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path / "rules")


def serves(gates: Gates, variant: str) -> bool:
    return eventually(lambda: gates.variant("g", {"userId": "u"}, default="default") == variant)


def test_a_mounted_configmap_is_there_when_the_constructor_returns(mount: Mount) -> None:
    mount.project({**FORMAT, "g.json": TREATMENT})
    with Gates.from_directory(mount.root, wait=10) as gates:
        assert gates.variant("g", default="default") == "treatment"


def test_a_swap_is_seen_and_told(mount: Mount) -> None:
    mount.project({**FORMAT, "g.json": CONTROL})
    changes: list[frozenset[str]] = []
    with Gates.from_directory(mount.root, wait=10, on_change=changes.append) as gates:
        mount.project({**FORMAT, "g.json": TREATMENT})
        assert eventually(lambda: changes == [{"g"}, {"g"}])
        assert gates.variant("g", default="default") == "treatment"


def test_a_callback_that_exits_keeps_no_kill_from_a_process(mount: Mount) -> None:
    mount.project({**FORMAT, "g.json": TREATMENT})
    with Gates.from_directory(mount.root, wait=10, on_change=lambda _: sys.exit(1)) as gates:
        mount.project({**FORMAT, "g.json": TREATMENT, "kill": "g"})
        assert eventually(lambda: gates.decide("g").reason is Reason.KILLED)


def test_the_kill_key_is_obeyed_and_its_end_too(mount: Mount) -> None:
    mount.project({**FORMAT, "g.json": TREATMENT})
    with Gates.from_directory(mount.root, wait=10) as gates:
        mount.project({**FORMAT, "g.json": TREATMENT, "kill": "g"})
        assert eventually(lambda: gates.decide("g").reason is Reason.KILLED)
        mount.project({**FORMAT, "g.json": TREATMENT})
        assert serves(gates, "treatment")


def test_a_gate_whose_key_is_gone_is_unknown(mount: Mount) -> None:
    mount.project({**FORMAT, "g.json": TREATMENT})
    with Gates.from_directory(mount.root, wait=10) as gates:
        mount.project(FORMAT)
        assert eventually(lambda: gates.decide("g").reason is Reason.UNKNOWN_GATE)


def another_change_is_seen(mount: Mount, gates: Gates, files: Mapping[str, str]) -> bool:
    """Project `files` with a further gate: once that one is served, everything before it has been seen as well."""
    mount.project({**FORMAT, **files, "later.json": render_entry(entry(gate="later"))})
    return eventually(lambda: gates.decide("later").reason is not Reason.UNKNOWN_GATE)


@pytest.mark.parametrize("raw", ["", "{", TREATMENT[:-1], "[]"])
def test_a_half_written_entry_keeps_the_last_good_one(mount: Mount, raw: str) -> None:
    mount.project({**FORMAT, "g.json": TREATMENT})
    with Gates.from_directory(mount.root, wait=10) as gates:
        assert another_change_is_seen(mount, gates, {"g.json": raw})
        assert gates.variant("g", default="default") == "treatment"


@pytest.mark.parametrize("target", ["nowhere", ".#lock.json"], ids=["a link that leads nowhere", "a link to itself"])
def test_a_link_that_is_no_file_harms_no_other_key(tmp_path: Path, target: str) -> None:
    for name, text in {**FORMAT, "g.json": TREATMENT}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / ".#lock.json").symlink_to(target)
    with Gates.from_directory(tmp_path, wait=10) as gates:
        assert gates.variant("g", default="default") == "treatment"
        (tmp_path / "kill").write_text("g")
        assert eventually(lambda: gates.decide("g").reason is Reason.KILLED)


@pytest.mark.parametrize("trouble", ["emptied", "unmounted", "wrong mount", "not readable as a directory"])
def test_a_mount_in_trouble_keeps_all_last_good_rules_and_comes_back(mount: Mount, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    mount.project({**FORMAT, "g.json": CONTROL})
    with caplog.at_level(logging.WARNING), Gates.from_directory(mount.root, wait=10) as gates:
        shutil.rmtree(mount.root)
        if trouble == "emptied":
            mount.root.mkdir()
        elif trouble == "wrong mount":
            Mount(mount.root).project({"app.json": "{}"})
        elif trouble == "not readable as a directory":
            mount.root.write_text("a file")
        assert eventually(lambda: bool(caplog.records))
        assert gates.variant("g", {"userId": "u"}, default="default") == "control"
        if mount.root.is_dir():
            shutil.rmtree(mount.root)
        mount.root.unlink(missing_ok=True)
        Mount(mount.root).project({**FORMAT, "g.json": TREATMENT})
        assert serves(gates, "treatment")


def test_rules_that_cannot_be_read_grow_older_and_rules_that_can_do_not(mount: Mount) -> None:
    mount.project({**FORMAT, "g.json": CONTROL})
    with Gates.from_directory(mount.root, wait=10, stale_after=0.5) as gates:
        shutil.rmtree(mount.root)
        assert eventually(lambda: gates.decide("g").stale)
        Mount(mount.root).project({**FORMAT, "g.json": CONTROL})
        assert eventually(lambda: not gates.decide("g").stale)


def test_trouble_is_logged_once_and_not_at_every_look(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    looks = threading.Semaphore(0)

    class Counting(DirectorySource):
        def _look(self) -> None:
            looks.release()
            super()._look()

    source = Counting(tmp_path / "absent", interval=0.001)
    with caplog.at_level(logging.WARNING), Gates(source):
        assert all(looks.acquire(timeout=10) for _ in range(5))
    assert len([record for record in caplog.records if "absent" in record.getMessage()]) == 1


def test_rules_that_come_late_are_taken_and_until_then_the_default_is_served(tmp_path: Path) -> None:
    with Gates.from_directory(tmp_path / "late", wait=0) as gates:
        assert gates.decide("g", default="default")[1:4] == (None, "default", Reason.ERROR)
        Mount(tmp_path / "late").project({**FORMAT, "g.json": TREATMENT})
        assert serves(gates, "treatment")


def test_plain_files_are_followed_without_any_links(tmp_path: Path) -> None:
    for name, text in {**FORMAT, "g.json": CONTROL, "README.md": "not ours"}.items():
        (tmp_path / name).write_text(text)
    with Gates.from_directory(tmp_path, wait=10) as gates:
        assert gates.variant("g", {"userId": "u"}, default="default") == "control"
        (tmp_path / "g.json").write_text(TREATMENT)
        assert serves(gates, "treatment")
        (tmp_path / "new").write_text(CONTROL)
        (tmp_path / "new").rename(tmp_path / "g.json")
        assert serves(gates, "control")
        (tmp_path / "g.json").unlink()
        assert eventually(lambda: gates.decide("g").reason is Reason.UNKNOWN_GATE)


def test_a_file_cut_off_while_it_is_written_keeps_the_last_good_entry(tmp_path: Path) -> None:
    for name, text in {**FORMAT, "g.json": TREATMENT}.items():
        (tmp_path / name).write_text(text)
    with Gates.from_directory(tmp_path, wait=10) as gates:
        (tmp_path / "g.json").write_text(CONTROL[: len(CONTROL) // 2])
        (tmp_path / "later.json").write_text(render_entry(entry(gate="later")))
        assert eventually(lambda: gates.decide("later").reason is not Reason.UNKNOWN_GATE)
        assert gates.variant("g", {"userId": "u"}, default="default") == "treatment"


def test_many_swaps_while_reading_end_with_the_last_rules_and_never_mix_two_moments(mount: Mount) -> None:
    def pair(number: int) -> dict[str, str]:
        return {**FORMAT, **{f"{gate}.json": render_entry(entry(gate=gate, generation=number)) for gate in ("g", "h")}}

    mount.project(pair(1))
    mixed: list[object] = []
    with Gates.from_directory(mount.root, wait=10) as gates:

        def compare(_changed: frozenset[str]) -> None:
            generations = {gates.decide(gate).generation for gate in ("g", "h")}
            mixed.extend([generations] if len(generations) > 1 else [])

        gates._on_change = compare
        for number in range(2, 200):
            mount.project(pair(number))
        assert eventually(lambda: gates.decide("g").generation == 199)
    assert mixed == []


def test_close_ends_the_thread(mount: Mount) -> None:
    before = set(threading.enumerate())
    gates = Gates.from_directory(mount.root, wait=0)
    assert "rampgate-directory" in {thread.name for thread in set(threading.enumerate()) - before}
    gates.close()
    assert set(threading.enumerate()) <= before


def test_a_directory_without_rules_does_not_hold_up_the_start(tmp_path: Path) -> None:
    waited = threading.Event()
    thread = threading.Thread(target=lambda: (Gates.from_directory(tmp_path, wait=0.01).close(), waited.set()))
    thread.start()
    assert waited.wait(10)
    thread.join()


def write_as_if_it_were_old(file: Path, text: str) -> None:
    """Replace what a file says, in place, and leave it the time that whoever copies an archive gives it."""
    file.write_text(text)
    os.utime(file, (1, 1))


def test_a_change_that_keeps_a_files_time_and_length_is_seen(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("rampgate.dev/1")
    write_as_if_it_were_old(tmp_path / "g.json", render_entry(entry(percent=10)))
    before = directory._version(tmp_path)

    def is_seen() -> bool:  # again and again, for the file system's clock ticks slowly
        write_as_if_it_were_old(tmp_path / "g.json", render_entry(entry(percent=20)))
        return directory._version(tmp_path) != before

    assert eventually(is_seen)


def test_a_path_may_be_text(mount: Mount) -> None:
    mount.project({**FORMAT, "g.json": TREATMENT})
    with Gates.from_directory(os.fspath(mount.root), wait=10) as gates:
        assert gates.decide("g").reason is Reason.SHIPPED


def test_a_file_that_cannot_be_read_harms_no_other_key_and_keeps_its_last_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(path: str) -> bytes:
        if path.endswith("g.json") and is_locked:
            raise PermissionError(13, "Permission denied", path)
        return reads(path)

    is_locked, reads = False, directory._read
    monkeypatch.setattr(directory, "_read", read)
    (tmp_path / "format").write_text("rampgate.dev/1")
    (tmp_path / "g.json").write_text(TREATMENT)
    with Gates.from_directory(tmp_path, wait=10) as gates:
        is_locked = True
        (tmp_path / "kill").write_text("h")
        (tmp_path / "h.json").write_text(render_entry(entry(gate="h", ship="treatment")))
        assert eventually(lambda: gates.decide("h").reason is Reason.KILLED)
        assert gates.variant("g", default="default") == "treatment"
        assert eventually(lambda: "Permission denied" in caplog.text)
        is_locked = False
        (tmp_path / "g.json").write_text(CONTROL)
        assert serves(gates, "control")
