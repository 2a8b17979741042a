"""How the log is written: for a person, or as one JSON object a line.

Knows handlers and formatters. A line about an Experiment has `extra={"namespace": …, "experiment": …, "reason": …}`; they become
its fields `namespace`, `name` and `reason` (`name` of a record is the logger's).
"""

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

_HUMAN = "[%(asctime)s] [%(levelname)s] %(name)s: %(message)s"
_FIELDS = {"levelname": "severity", "name": "logger", "experiment": "name"}
_SEVERITIES = {"WARNING": "warn", "CRITICAL": "fatal"}
"""As kopf names them."""


def configure_logs(*, as_json: bool, level: str) -> None:
    """Write the log to stderr from now on; `level` as `logging` names it, in capitals."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _OneObject(["levelname", "name", "message"], timestamp=True, rename_fields=_FIELDS) if as_json else logging.Formatter(_HUMAN)
    )
    handler.addFilter(_is_news)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # one line per event says nothing
    if level != "DEBUG":
        logging.getLogger("kopf").setLevel(logging.WARNING)  # nor does that it logs in, or that its activities succeed


class _OneObject(JsonFormatter):
    """One JSON object a line: timestamp, severity, logger, message, and whatever was logged as `extra`."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Name severities as kopf does."""
        severity = str(log_data["severity"])
        return log_data | {"severity": _SEVERITIES.get(severity, severity.lower())}


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line says what no other does: that kopf may not list either, listing.py has said better."""
    if record.name != "kopf._cogs.clients.watching":
        return True
    message = record.getMessage()
    return "APIForbiddenError" not in message or "watch=true" in message
