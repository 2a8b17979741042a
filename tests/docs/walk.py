"""A page's commands, run by bash as a reader would from the checkout's root."""

import os
import signal
import subprocess
from collections.abc import Mapping

import pytest

from tests.docs.pages import ROOT


def walk(script: str, environment: Mapping[str, str], *, seconds: float) -> tuple[int, str]:
    """Give its exit status and all that it printed; one that hangs for so long ends with all that it started, and the test fails."""
    walked = subprocess.Popen(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = walked.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(walked.pid, signal.SIGKILL)
        pytest.fail(walked.communicate()[0])
    return walked.returncode, out
