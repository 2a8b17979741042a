"""Twenty thousand mutilated entries and odd contexts; `make fuzz` runs a million. That it would find something is tested too."""

import pytest

from rampgate import snapshot
from rampgate.errors import UnusableEntryError
from rampgate.gates import Gates
from rampgate.snapshot import Loaded
from tests.sdk.fuzz import fuzz


@pytest.mark.timeout(300)
def test_no_mutilated_entry_and_no_odd_context_raises_hangs_loses_good_rules_or_harms_a_neighbour() -> None:
    report = fuzz(20_000, seed=20_261_126)
    assert min(report.understood, report.not_understood, report.unusable) > 1_000


def test_a_fault_that_forgets_the_last_good_entry_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(last: Loaded | None, raw: bytes, *, gate: str, killed: bool) -> Loaded:
        return load(None, raw, gate=gate, killed=killed)

    load = snapshot._load
    monkeypatch.setattr(snapshot, "_load", forgetful)
    with pytest.raises(AssertionError, match=r"answers .* instead of .* seed 1, case \d+, entry"):
        fuzz(500, seed=1)


def test_a_fault_that_raises_in_an_evaluation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gates, "_in_trouble", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fuzz(500, seed=1)


def test_a_fault_that_raises_when_an_entry_is_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(last: Loaded | None, raw: bytes, *, gate: str, killed: bool) -> Loaded:
        loaded = load(last, raw, gate=gate, killed=killed)
        if loaded.problem:
            raise UnusableEntryError(loaded.problem)
        return loaded

    load = snapshot._load
    monkeypatch.setattr(snapshot, "_load", strict)
    with pytest.raises(UnusableEntryError):
        fuzz(500, seed=1)
