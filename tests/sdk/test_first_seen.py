"""rampgate.exposure.FirstSeen: who is new, in bounded memory."""

from rampgate.evaluate import Memory
from rampgate.exposure import FirstSeen


class Seen:
    """Who was seen, of draws that are in force."""

    def __init__(self, capacity: int = 1_000) -> None:
        self.first_seen = FirstSeen(capacity)
        self.in_force: dict[str, Memory] = {}

    def memory(self, draw: str) -> Memory:
        self.in_force[draw] = memory = self.first_seen.memory(draw)
        return memory

    def is_first(self, unit: str, *, draw: str = "draw") -> bool:
        return self.first_seen.is_first_exposure(self.memory(draw), unit, arm=0)

    def is_first_failure(self, unit: str, *, draw: str = "draw") -> bool:
        return self.first_seen.is_first_failure(self.memory(draw), unit)


def test_first_seen_tells_draws_and_units_apart() -> None:
    seen = Seen()
    cases = [("u", "draw"), ("v", "draw"), ("u", "another")]
    assert [seen.is_first(unit, draw=draw) for unit, draw in cases * 2] == [True] * 3 + [False] * 3
    assert [seen.is_first_failure(unit, draw=draw) for unit, draw in cases * 2] == [True] * 3 + [False] * 3


def test_a_draw_that_leaves_force_is_forgotten() -> None:
    seen = Seen()
    assert (seen.is_first("u"), seen.is_first_failure("u")) == (True, True)
    del seen.in_force["draw"]
    assert (seen.is_first("u"), seen.is_first_failure("u")) == (True, True)


def test_first_seen_forgets_the_oldest_half_when_it_is_full() -> None:
    seen = Seen(capacity=200)
    for number in range(1_000):
        seen.is_first(f"u{number}", draw=str(number % 3))
        memories = [seen.first_seen.memory(str(each)) for each in range(3)]
        assert sum(len(memory.newer) + len(memory.older) for memory in memories) <= 200
    assert [seen.is_first(f"u{number}", draw=str(number % 3)) for number in (999, 950, 0)] == [False, False, True]


def test_failures_are_forgotten_likewise() -> None:
    seen = Seen(capacity=200)
    for number in range(1_000):
        seen.is_first_failure(f"u{number}")
        memory = seen.first_seen.memory("draw")
        assert len(memory.failed_newer) + len(memory.failed_older) <= 200
    assert [seen.is_first_failure(f"u{number}") for number in (999, 950, 0)] == [False, False, True]


def test_a_unit_that_is_seen_all_the_time_is_never_forgotten() -> None:
    seen = Seen(capacity=100)
    firsts = [seen.is_first("always") for number in range(1_000) if seen.is_first(f"u{number}")]
    assert firsts == [True] + [False] * 999


def test_a_failed_unit_that_is_remembered_stays_failed_when_halves_change() -> None:
    seen = Seen(capacity=8)
    assert (seen.is_first("u"), seen.is_first_failure("u")) == (True, True)
    for number in range(3):
        seen.is_first(f"u{number}")
    assert seen.is_first("u") is False
    for number in range(10, 13):
        seen.is_first(f"u{number}")
    assert (seen.is_first("u"), seen.is_first_failure("u")) == (False, False)
