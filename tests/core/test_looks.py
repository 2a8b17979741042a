"""core/looks: a question that makes no sense cannot be built."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rampgate_operator.core.looks import Kind, LookRequest

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("kind", "at", "window", "sentence"),
    [
        (Kind.VALUE, AT.replace(tzinfo=None), None, "aware"),
        (Kind.VALUE, AT, MINUTE, "goes with Kind.INCREASES"),
        (Kind.INCREASES, AT, None, "goes with Kind.INCREASES"),
        (Kind.INCREASES, AT, timedelta(0), "longer than zero"),
    ],
)
def test_a_question_without_sense_is_refused(kind: Kind, at: datetime, window: timedelta | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LookRequest(key="k", source="main", query="up", at=at, kind=kind, window=window)


@pytest.mark.parametrize(("kind", "window"), [(Kind.VALUE, None), (Kind.INCREASES, MINUTE)])
def test_a_question_with_sense_is_accepted(kind: Kind, window: timedelta | None) -> None:
    assert LookRequest(key="k", source="main", query="up", at=AT, kind=kind, window=window).kind is kind
