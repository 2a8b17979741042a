"""The benchmark says when a promise is not kept, and the rules of others are what their documents say."""

import numpy as np
import pytest

from benchmarks.guardrails.cells import cells
from benchmarks.guardrails.figures import BARS, missed
from benchmarks.guardrails.peers import NEVER, above, growthbook, kayenta, ours, see
from rampgate_operator.simulation.plan import plan
from rampgate_operator.simulation.world import constant, incident
from tests.guardrails.ramps import counters, ramp_of


def test_a_bar_is_missed_on_its_wrong_side_alone() -> None:
    assert missed({name: bar.value for name, bar in BARS.items()}) == []
    wrong = {name: bar.value + (1 if bar.sign == "≤" else -1) * 1e-6 for name, bar in BARS.items()}
    assert missed(wrong) == list(BARS)


def test_every_cell_has_a_name_of_its_own() -> None:
    names = [cell.name for cell in cells()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("more_than", "ends"),
    [(0, [0, 2, NEVER]), (1, [1, 3, NEVER])],
)
def test_failing_looks_are_counted_over_the_whole_ramp(more_than: int, ends: list[int]) -> None:
    seen = see(plan(ramp_of(counters("orders"))), rate=10, harm=1.0, pattern=constant, ramps=3)
    for look in range(50):
        seen.treated[:, look], seen.failed[:, look] = 100, [9, 9 if look >= 2 else 0, 0]
    assert above(seen, rate=0.05, more_than=more_than).tolist() == ends


def test_pooled_totals_take_an_incident_for_harm_and_batches_do_not() -> None:
    seen = see(plan(ramp_of(counters("orders"))), rate=100, harm=1.0, pattern=incident, ramps=100)
    pooled, alike, batches, judged = (
        np.mean(rule < NEVER) for rule in (growthbook(seen, cohort=False), growthbook(seen, cohort=True), ours(seen), kayenta(seen))
    )
    assert pooled > 0.9
    assert max(alike, batches, judged) < 0.1
