"""Random histories of edits, readings, crashes and clocks: the invariants of ledger.py hold in every one, and none ends stuck.

The histories are the same in every run (derandomized); a failure shows the shortest one that hypothesis finds.
"""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.histories import WEIGHTED, end_well, play

HISTORIES = st.lists(st.sampled_from(WEIGHTED), min_size=25, max_size=60)


async def tell(history: list[str]) -> None:
    await end_well(await play(history))


@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(history=HISTORIES)
def test_every_history_keeps_the_invariants_and_ends_well(history: list[str]) -> None:
    asyncio.run(tell(history))
