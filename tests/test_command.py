"""The command `rampgate`, as a person types it."""

import subprocess
import sys
from subprocess import CompletedProcess

from rampgate import __version__


def rampgate(*arguments: str) -> "CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "rampgate_operator", *arguments], capture_output=True, text=True, check=False, timeout=30)


def test_help_names_every_subcommand() -> None:
    shown = rampgate("--help")
    assert shown.returncode == 0
    assert {"operator", "eval"} <= set(shown.stdout.split())


def test_the_version_is_the_sdks() -> None:
    shown = rampgate("--version")
    assert (shown.returncode, shown.stdout) == (0, f"rampgate {__version__}\n")


def test_a_missing_extra_is_exit_status_3_and_says_what_to_install_from_a_checkout() -> None:
    script = "import sys; sys.modules['kopf'] = None; from rampgate_operator.__main__ import main; sys.exit(main(['operator']))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "kopf is not installed" in ended.stderr
    assert "in a checkout, pip install '.[operator]'" in ended.stderr
