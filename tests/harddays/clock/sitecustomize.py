"""Steps the operator's wall clock: on the PYTHONPATH of its process, Python runs this before anything else.

The seconds in the file RAMPGATE_TEST_CLOCK are added to what `SystemClock` reads, the only place where the operator reads the time.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from rampgate_operator.adapters.clock import SystemClock

_offset = Path(os.environ["RAMPGATE_TEST_CLOCK"])
_now = SystemClock.now


def _stepped(clock: SystemClock) -> datetime:
    return _now(clock) + timedelta(seconds=float(_offset.read_text()))


SystemClock.now = _stepped  # type: ignore[method-assign]
