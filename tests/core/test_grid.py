"""Windows are cut where a step's clock says, whoever asks and whenever."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampgate_operator.core.grid import edges

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HALF_MINUTE = 30 * SECOND

CASES = [
    ("a window is asked for once it is over", 0, 30, (0, 30)),
    ("not before", 0, 29, (0,)),
    ("several that are over are asked for one by one", 30, 95, (30, 60, 90)),
    ("what begins off the grid ends on it", 10, 70, (10, 30, 60)),
    ("what begins before the grid begins", -40, 30, (-40, -30, 0, 30)),
    ("an instant is no window", 30, 30, (30,)),
    ("neither is a time that runs backwards", 60, 0, (60,)),
]


@pytest.mark.parametrize(("since", "until", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_windows_end_on_the_grid(since: int, until: int, expected: tuple[int, ...]) -> None:
    found = edges(NOON + since * SECOND, NOON + until * SECOND, origin=NOON, interval=HALF_MINUTE)
    assert found == tuple(NOON + seconds * SECOND for seconds in expected)


@given(ends=st.lists(st.integers(0, 2_000), min_size=1, max_size=8), interval=st.integers(1, 120))
def test_whenever_one_asks_the_windows_are_those_of_one_who_asks_at_the_end(ends: list[int], interval: int) -> None:
    def ask(since: datetime, seconds: int) -> tuple[datetime, ...]:
        return edges(since, NOON + seconds * SECOND, origin=NOON, interval=interval * SECOND)

    windows, since = list[tuple[datetime, datetime]](), NOON
    for seconds in sorted(ends):
        asked = ask(since, seconds)
        windows += pairwise(asked)
        since = asked[-1]
    assert windows == list(pairwise(ask(NOON, max(ends))))
