"""Forks of uWSGI's, which are C's and none of Python's: `os.register_at_fork` hears of them only with `--py-call-osafterfork`.

Knows uWSGI's hook, and whether it runs threads. Must not know what begins anew in a child.
"""

import sys
from collections.abc import Callable
from typing import Any

from rampgate.trouble import Trouble


def after_every_fork(begin_anew: Callable[[], None]) -> None:
    """Call `begin_anew` in every worker of the uWSGI that this runs in, after whatever else wants to be called there."""
    uwsgi: Any = sys.modules["uwsgi"]
    if not {"enable-threads", b"enable-threads", "threads", b"threads"} & set(getattr(uwsgi, "opt", {})):
        Trouble("rules").report("uWSGI runs no threads without enable-threads, so nothing here sees a change, NOT EVEN A KILL: set it")
    try:
        from uwsgidecorators import postfork  # type: ignore[import-untyped]  # noqa: PLC0415 - else it would take the hook
    except ImportError:
        before: Callable[[], None] | None = getattr(uwsgi, "post_fork_hook", None)

        def both() -> None:
            if before is not None:
                before()
            begin_anew()

        uwsgi.post_fork_hook = both
    else:
        postfork(begin_anew)
