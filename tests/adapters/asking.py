"""One question to one source, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.core.looks import Answer, Increases, Kind, LookRequest

ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
Open = Callable[..., Prometheus]


async def ask(
    client: Prometheus,
    query: str = "1",
    *,
    at: datetime = ANY_TIME,
    window: timedelta | None = None,
    cuts: tuple[datetime, ...] = (),
    tenant: str = "shop",
) -> Answer:
    kind, since = (Kind.VALUE, None) if window is None else (Kind.INCREASES, at - window)
    request = LookRequest(key="k", source="main", query=query, at=at, kind=kind, since=since, cuts=cuts, tenant=tenant)
    return (await client.answer([request]))["k"]


def together(counted: Increases) -> Mapping[str, float]:
    """What all windows brought, by variant."""
    variants = {variant for window in counted.windows for variant in window}
    return {variant: sum(window.get(variant, 0.0) for window in counted.windows) for variant in variants}
