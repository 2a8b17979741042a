"""The system's clock: the only place of the operator where time is read."""

from datetime import UTC, datetime


class SystemClock:
    """Wall-clock time in UTC, in whole milliseconds: what is decided and what is persisted must be the same instant."""

    def now(self) -> datetime:
        """Give the time, aware."""
        now = datetime.now(UTC)  # noqa: TID251  # the one place
        return now.replace(microsecond=now.microsecond // 1000 * 1000)
