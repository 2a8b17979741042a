"""Where windows of counting begin and end: on a grid that a step's clock fixes, so that a restart asks for the same ones again.

Knows instants. Must not know what is counted, or what the time is.
"""

from datetime import datetime, timedelta


def edges(since: datetime, until: datetime, *, origin: datetime, interval: timedelta) -> tuple[datetime, ...]:
    """Give `since` and every instant `origin + k * interval` after it, up to and including `until`.

    Two neighbours are a window. Fewer than two edges: no window is over yet. A `since` off the grid makes the first window a shorter one.
    """
    passed, over = (since - origin) // interval, (until - origin) // interval
    return (since, *(origin + k * interval for k in range(passed + 1, over + 1)))


def next_of_grid(after: datetime, *, origin: datetime, interval: timedelta) -> datetime:
    """Give the first instant `origin + k * interval` that is later than `after`."""
    return origin + ((after - origin) // interval + 1) * interval
