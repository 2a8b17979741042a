"""Events without floods: what repeats itself is counted on one Event, and an Experiment that never stops talking is heard only so often.

Knows what was posted lately. Must not know why. The limits are client-go's (tools/record, EventCorrelator), by Experiment.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from rampgate_operator.core.conditions import Announcement
from rampgate_operator.ports import Body, Cluster

REPEATS_WITHIN = timedelta(minutes=10)
BURST, REFILL = 25, timedelta(minutes=5)
"""Events of one Experiment at once, and how long it takes until it may post one more."""
MOST_REMEMBERED = 5000
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class _Posted:
    event: Body
    count: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class _Bucket:
    tokens: float
    at: datetime


class Events:
    """Posts Events; for one event loop."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._posted: OrderedDict[tuple[str, ...], _Posted] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def post(self, experiment: Body, announcement: Announcement, at: datetime) -> None:
        """Post an Event, or count it on the one that said the same within ten minutes; nothing when there were too many."""
        uid = experiment["metadata"]["uid"]
        if not self._may_post(uid, at):
            return
        # each transition is its own news; what people are told of a condition is the same news with other numbers
        key = (uid, announcement.reason.value, announcement.message if announcement.is_transition else "")
        known, event, count = self._posted.get(key), None, 1
        if known is not None and at - known.at <= REPEATS_WITHIN:
            count = known.count + 1
            event = await self._cluster.repeat_event(known.event, announcement, at, count=count)
        if event is None:
            count, event = 1, await self._cluster.create_event(experiment, announcement, at)
        self._posted[key] = _Posted(event=event, count=count, at=at)
        _bound(self._posted, key)

    def _may_post(self, uid: str, now: datetime) -> bool:
        bucket = self._buckets.get(uid, _Bucket(tokens=BURST, at=now))
        tokens = min(float(BURST), bucket.tokens + max(timedelta(0), now - bucket.at) / REFILL)
        may = tokens >= 1
        self._buckets[uid] = _Bucket(tokens=tokens - may, at=now)
        _bound(self._buckets, uid)
        return may


def _bound(remembered: OrderedDict[K, V], newest: K) -> None:
    remembered.move_to_end(newest)
    if len(remembered) > MOST_REMEMBERED:
        remembered.popitem(last=False)
