"""core/remember: what is remembered, and how much of it, whatever a tenant writes."""

import json
import tracemalloc
from collections.abc import Callable

import pytest

from rampgate_operator.core.flagd import compile_flag
from rampgate_operator.core.observation import read_entry
from rampgate_operator.core.remember import remember

MEBIBYTE = 1024**2


def test_answers_are_remembered_until_they_have_more_characters_than_they_may() -> None:
    asked: list[str] = []

    @remember(characters=300)
    def ask(text: str, *, twice: bool) -> str:
        asked.append(text)
        return text * (1 + twice)

    assert [ask("a", twice=True), ask("a", twice=True), ask("a", twice=False), ask("a", twice=False)] == ["aa", "aa", "a", "a"]
    assert asked == ["a", "a"]
    ask("b" * 100, twice=False)  # with what every answer costs, all three are not more than 300
    ask("a", twice=True)
    assert len(asked) == 3
    ask("c" * 10, twice=False)  # and now they would be
    ask("c" * 10, twice=False)
    assert len(asked) == 4
    ask("a", twice=True)
    assert len(asked) == 5


@pytest.mark.parametrize(
    "read",
    [lambda line: read_entry(line, "g"), lambda line: compile_flag("g", line, killed=False)],
    ids=["entry", "flag"],
)
def test_large_entries_that_come_one_after_the_other_do_not_fill_the_memory(read: Callable[[str], object]) -> None:
    """A tenant may write one a second; the operator has 640 MiB for all of them."""
    fields = {"format": 1, "gate": "g", "attempt": 1, "percent": 10, "control": {"name": "c", "value": "x" * 900_000}}
    read(json.dumps({**fields, "generation": 0}))
    tracemalloc.start()
    try:
        for generation in range(1, 60):
            assert read(json.dumps({**fields, "generation": generation})) is not None
        assert tracemalloc.get_traced_memory()[0] < 40 * MEBIBYTE
    finally:
        tracemalloc.stop()
