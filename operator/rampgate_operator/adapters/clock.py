"""The system's clock: the only place of the operator where time is read."""

from datetime import UTC, datetime


class SystemClock:
    """Wall-clock time in UTC."""

    def now(self) -> datetime:
        """Give the time, aware."""
        return datetime.now(UTC)  # noqa: TID251  # the one place
