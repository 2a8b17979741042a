"""Random histories of edits, readings, crashes and clocks: the invariants of ledger.py hold in every one, and none ends stuck.

The histories are the same in every run (derandomized); a failure shows the shortest one that hypothesis finds.
"""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.histories import WEIGHTED, end_well, play

HISTORIES = st.lists(st.sampled_from(WEIGHTED), min_size=25, max_size=60)


async def tell(history: list[str]) -> None:
    await end_well(await play(history))


@pytest.mark.timeout(600)  # to shorten a history that fails takes its time
@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(history=HISTORIES)
def test_every_history_keeps_the_invariants_and_ends_well(history: list[str]) -> None:
    asyncio.run(tell(history))


FOUND = {  # what random histories found, shortened; each was mended
    "a key in a foreign ConfigMap was tried to be removed for ever": ["a foreign ConfigMap", "delete the Experiment"],
    "a deleted Experiment's ConfigMap was never looked at again": [
        "lose the watch", "delete the Experiment", "a foreign ConfigMap", "wait 1 min",
    ],
    "an attempt began by a spec that was no longer asked for": [
        "begin again with a kill", "an invalid schedule", "lower the attempt", "remove killed",
    ],
    "a status was rebuilt at 0 while pods went on": ["an invalid schedule", "create it again"],
    "a step that a crash cut short was held against a process that had lost its readings": ["crash after two effects", "wait 1 min"],
    "a tampered entry was repaired under a lower number": ["wait 1 min", "tamper with the entry"],
    "a step was taken over break-glass that the watch had missed": ["lose the watch", "break the glass", "wait 1 min", "wait 1 min"],
    "a step was taken beside a foreign ConfigMap that the watch had missed": [
        "lose the watch", "a foreign ConfigMap", "wait 1 min", "wait 1 min",
    ],
    "a first step was taken by a guardrail whose counting had begun, but which nobody had looked at": [
        "crash after one effect", "wipe the status", "steps with approval",
    ],
}  # fmt: skip


@pytest.mark.parametrize("history", FOUND.values(), ids=FOUND)
async def test_what_was_found_stays_mended(history: list[str]) -> None:
    await tell(history)


TURNS = {
    "a step": ["wait 1 s", "wait 1 min"],
    "a breach": ["errors: bad", "wait 10 s"],
    "a kill": ["kill"],
    "a new attempt": ["begin again", "wait 10 s"],
    "a ship": ["ship"],
    "an edit of the steps": ["other steps"],
    "an edit of the rules": ["overrides"],
    "a deadline": ["a deadline that rolls back", "wait 1 min"],
    "a deleted ConfigMap": ["delete the ConfigMap"],
    "a lost status": ["wipe the status"],
    "a deleted Experiment": ["delete the Experiment"],
    "a stripped label": ["strip the label"],
    "an entry of another hand": ["tamper with the entry"],
}


@pytest.mark.parametrize("crash", ["crash before the next effect", "crash after one effect", "crash after two effects"])
@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
async def test_a_crash_amid_a_turn_ends_as_the_turn_does(turn: list[str], crash: str) -> None:
    smooth, crashed = await play(["wait 1 min", *turn]), await play(["wait 1 min", crash, *turn])
    assert crashed.outline() == smooth.outline()
