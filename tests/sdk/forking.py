"""A child process, as an application server makes one."""

import os
from collections.abc import Callable

FORKING = ("-W", "ignore:This process:DeprecationWarning")
"""For an interpreter that forks beside threads, of which Python warns from 3.12 on: that it goes well all the same is what is tested."""


def in_a_forked_process(work: Callable[[], bool]) -> tuple[int, Callable[[], bool]]:
    """Fork as uWSGI does, by nothing but fork; the child does its work and ends with what it found."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)  # also of a work that raises: else the child would go on as a second pytest
    return child, lambda: os.waitpid(child, 0)[1] == 0
