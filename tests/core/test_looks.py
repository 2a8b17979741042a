"""core/looks: a question that makes no sense cannot be built."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rampgate_operator.core.looks import Kind, LookRequest, Metric

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNTER = Metric(name="orders_total", gate="new-checkout")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"query": "up", "at": AT.replace(tzinfo=None)}, "aware"),
        ({"query": "up", "since": AT - MINUTE}, "goes with what is counted"),
        ({"query": "up", "kind": Kind.INCREASES}, "goes with what is counted"),
        ({"query": "up", "kind": Kind.INCREASES, "since": AT}, "ascend"),
        ({"query": "up", "kind": Kind.INCREASES, "since": AT - MINUTE, "cuts": (AT,)}, "ascend"),
        ({"query": "up", "kind": Kind.INCREASES, "since": AT - MINUTE, "metric": COUNTER}, "either query or metric"),
        ({}, "either query or metric"),
        ({"query": "up", "kind": Kind.INCREASES, "since": AT - MINUTE, "tenant": ""}, "needed to count"),
        ({"query": "up", "kind": Kind.EXPOSURES, "since": AT - MINUTE}, "exposures and generations are a metric"),
        ({"query": "up", "kind": Kind.GENERATIONS}, "exposures and generations are a metric"),
        ({"metric": COUNTER, "kind": Kind.GENERATIONS, "since": AT - MINUTE}, "goes with what is counted"),
    ],
)
def test_a_question_without_sense_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LookRequest(**({"key": "k", "source": "main", "tenant": "shop", "at": AT} | fields))


def test_the_edges_of_a_question_are_those_of_its_windows() -> None:
    middle = AT - MINUTE / 2
    windows: dict[str, Any] = {"kind": Kind.INCREASES, "since": AT - MINUTE, "cuts": (middle,)}
    counted = LookRequest(key="k", source="main", tenant="shop", metric=COUNTER, at=AT, **windows)
    assert counted.edges == (AT - MINUTE, middle, AT)
    assert LookRequest(key="k", source="main", query="up", at=AT).edges == ()
