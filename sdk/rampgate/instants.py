"""Instants: RFC 3339 with an offset, to the microsecond.

Knows how they are written. Must not know what they are compared for.
"""

import re
from datetime import datetime

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
"""RFC 3339; Python alone would read much else that ISO 8601 knows."""


def parse_instant(text: str) -> datetime | None:
    """Read an instant (RFC 3339 §5.6), to the microsecond; None when it is none, or has no offset."""
    if _INSTANT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:  # the 31st of February
        return None


def read_instant(value: object) -> datetime | None:
    """Read whatever an application has for an instant, its text or a datetime; None when it is none, or has no offset."""
    instant = parse_instant(value) if isinstance(value, str) else value
    return instant if isinstance(instant, datetime) and instant.utcoffset() is not None else None
