"""rampgate.integrations.vocabulary: what is made of decisions is made once, and not kept for ever."""

import pytest

from rampgate import Decision, Gates
from rampgate.integrations import vocabulary
from rampgate.integrations.vocabulary import Translated
from tests.sdk.entries import entry


def test_what_is_remembered_of_decisions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "_REMEMBERED", 8)
    made: list[str] = []

    def translate(decision: Decision) -> str:
        made.append(decision.gate)
        return decision.gate

    translated = Translated(translate)
    decisions = [Gates.from_rules({f"g{n}": entry(gate=f"g{n}")}).decide(f"g{n}") for n in range(9)]
    assert [translated(decision) for decision in (*decisions, decisions[8], decisions[0])] == [f"g{n}" for n in (*range(9), 8, 0)]
    assert made == [f"g{n}" for n in (*range(9), 0)]
