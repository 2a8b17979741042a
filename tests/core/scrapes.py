"""A world that knows the truth: targets serve, restart, appear and vanish, and are scraped out of step, twice, or not at all.

Each request is an event here, so that what was scraped of it is known without reading any counter.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from rampgate_operator.core.counting import Sample, Series, increases, without_base
from tests.core.story import NOON

ARMS = ("on", "off", "baseline")
SCRAPE_MS, LOOKBACK_MS, FAIL_ONE_IN = 5_000, 20_000, 5
SHORTEST_LIFE_MS = 1_000
LONGEST_RAMP_MS = 2_000_000
BEFORE_MS = 60_000
"""How long some targets have been there when the ramp begins."""
Request = tuple[int, bool]
"""When it was served, and whether it failed."""


def milliseconds(at: datetime) -> int:
    return round((at - NOON).total_seconds() * 1000)


@dataclass(frozen=True)
class Habits:
    """How badly targets and scrapes behave.

    Where nothing is lost, each life is scraped at its last moment, and before it has counted as much as the one before.
    """

    loses_nothing: bool
    missed: float
    """The share of scrapes that fail."""
    twice: float
    """The share of scrapes that come twice."""
    lives: int
    vanishes: bool


@dataclass(frozen=True)
class Scraped:
    """One sample of a counter, and how many events it is the first to see."""

    at: int
    value: int
    news: int


class Target:
    """One process of one arm, in all its lives."""

    def __init__(self, arm: str, pod: str) -> None:
        self.arm, self._labels = arm, {"variant": arm, "pod": pod}
        self.total: list[Scraped] = []
        self.events: list[Scraped] = []

    def be_steady(self) -> "Target":
        """Serve a request and be scraped every second, all the time."""
        seconds = range(-BEFORE_MS + 1_000, LONGEST_RAMP_MS, 1_000)
        self.total = [Scraped(at, number, 1) for number, at in enumerate(seconds, 1)]
        return self

    def live(self, habits: Habits, *, until: int, chance: random.Random) -> "Target":
        """Begin somewhere in the first half of the time, and restart as often as the habits say."""
        offset = chance.randrange(SCRAPE_MS)
        born = chance.randrange(-BEFORE_MS, until // 2 - SHORTEST_LIFE_MS)
        dies = chance.randrange(until // 2, until) if habits.vanishes else until
        moments = range(born + SHORTEST_LIFE_MS, dies - SHORTEST_LIFE_MS + 1, SHORTEST_LIFE_MS)
        turns = sorted(chance.sample(moments, min(habits.lives - 1, len(moments))))  # a short life has no room for as many
        for begins, ends in pairwise((born, *turns, dies)):
            self._live_once(begins, ends - 1, offset, habits, chance)  # two lives have no moment in common
        return self

    def _live_once(self, begins: int, ends: int, offset: int, habits: Habits, chance: random.Random) -> None:
        number = chance.choice((0, 5, 20, 60))
        requests = sorted((chance.randrange(begins + 1, ends), chance.randrange(FAIL_ONE_IN) == 0) for _ in range(number))
        served, failed = [at for at, _ in requests], [at for at, fails in requests if fails]
        scrapes = set(_scrapes(begins, ends, offset, habits, chance))
        if habits.loses_nothing:
            scrapes |= {ends, chance.randint(begins, min(_passes(self.total, served, ends), _passes(self.events, failed, ends)))}
        # an application that does not create its series at 0 has none before the first error
        shows_nought = habits.loses_nothing and bool(self.events)
        _scrape(served, sorted(scrapes), self.total, shows_nought=True)
        _scrape(failed, sorted(scrapes), self.events, shows_nought=shows_nought)

    def series(self, what: str) -> Series:
        samples: list[Sample] = [(each.at, float(each.value)) for each in getattr(self, what)]
        return Series(self._labels, tuple(dict(sorted(samples)).items()))


class World:
    """All targets; and one of each arm that is always there, so that no window is without requests."""

    def __init__(self, habits: Habits, *, targets: int, until: int, seed: int) -> None:
        chance = random.Random(seed)
        restless = (Target(chance.choice(ARMS), str(number)).live(habits, until=until, chance=chance) for number in range(targets))
        self._targets = [*restless, *(Target(arm, "steady").be_steady() for arm in ARMS)]
        self._series = {what: [target.series(what) for target in self._targets] for what in ("total", "events")}

    def scraped(self, what: str, arms: tuple[str, ...], *, since: int, until: int) -> int:
        """The truth: how many events of some arms were first seen in `(since, until]`."""
        samples = (each for target in self._targets if target.arm in arms for each in getattr(target, what))
        return sum(each.news for each in samples if since < each.at <= until)

    def increases(self, what: str, edges: tuple[int, ...]) -> tuple[Mapping[str, float], ...]:
        """What the counters say, asked as the adapter asks: with a margin, and for what has no base with a longer memory."""
        whole = self._series[what]
        near = [one for one in (_cut(each, edges[0] - LOOKBACK_MS, edges[-1]) for each in whole) if one.samples]
        wanted = without_base(near, start=edges[0], end=edges[-1])
        past = (_cut(each, -BEFORE_MS - 1, edges[0]) for each in whole if each.identity in wanted)
        earlier = {one.identity: one.samples[-1][1] for one in past if one.samples}
        return increases(near, edges=edges, earlier=earlier)


def _scrapes(begins: int, ends: int, offset: int, habits: Habits, chance: random.Random) -> Iterator[int]:
    for at in range(begins - begins % SCRAPE_MS + offset, ends, SCRAPE_MS):
        if begins < at and chance.random() >= habits.missed:
            yield at
            if chance.random() < habits.twice:
                yield at + 1


def _passes(before: list[Scraped], served: list[int], ends: int) -> int:
    """The last moment at which a counter that began again is still seen to have done so: it is below what it was."""
    last = before[-1].value if before else 0
    return served[last - 1] - 1 if 0 < last <= len(served) else ends


def _scrape(served: list[int], scrapes: list[int], into: list[Scraped], *, shows_nought: bool) -> None:
    seen = 0
    for at in scrapes:
        value = bisect_right(served, at)
        if value or shows_nought:
            into.append(Scraped(at, value, value - seen))
        seen = value


def _cut(series: Series, after: int, until: int) -> Series:
    """What a range selector returns: the samples in `(after, until]`."""
    ats = [at for at, _ in series.samples]
    return Series(series.labels, series.samples[bisect_right(ats, after) : bisect_right(ats, until)])
