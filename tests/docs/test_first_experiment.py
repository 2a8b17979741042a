"""docs/first-experiment.md is walked from top to bottom: a real control plane, a real Prometheus, the operator and the application.

Left out is what makes the checkout's virtual environment, in which this runs already.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, page
from tests.docs.walk import walk
from tools.devcluster import keeper
from tools.devcluster.loopback import free_port

PAGE = page("docs/first-experiment.md")
GIVEN = ("make build", "source .venv/bin/activate")
EXAMPLES = ROOT / "examples" / "first"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "first"
    keeper.end(tmp_path / "first")


def test_its_files_are_the_examples() -> None:
    shown = {block.language: block.text for block in PAGE.blocks if block.language in ("python", "yaml")}
    assert shown == {"python": (EXAMPLES / "shop.py").read_text(), "yaml": (EXAMPLES / "experiment.yaml").read_text()}


def until_it_answers(line: str) -> str:
    """Ask again as a reader does: Prometheus finds a new target within a second or two."""
    return f'until answer="$({line})"; [[ "$answer" == *shop* ]]; do sleep 0.2; done'


def script(directory: Path) -> str:
    """The page's commands as one script, in a place and on a port of its own; what it starts ends with it."""
    lines = [line for block in PAGE.blocks if block.language == "sh" for line in block.text.splitlines()]
    assert [line for line in GIVEN if not any(each.startswith(line) for each in lines)] == []
    commands = [until_it_answers(line) if line.startswith("curl ") else line for line in lines if not line.startswith(GIVEN)]
    text = "\n".join(commands).replace("/tmp/first", str(directory)).replace("8000", str(free_port()))
    return f"set -euo pipefail\ntrap 'kill $(jobs -p) || true' EXIT\n{text}\n"


def log(directory: Path) -> str:
    """The operator's last words, for who has to find out why the page no longer runs."""
    file = directory / "operator.log"
    return "\n".join(file.read_text().splitlines()[-20:]) if file.exists() else ""


@pytest.mark.timeout(240)
def test_the_page_runs_from_top_to_bottom(directory: Path) -> None:
    assert shutil.which("curl") is not None, "the page asks Prometheus with curl"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    status, out = walk(script(directory), environment, seconds=200)
    assert status == 0, out + log(directory)
    for expected in ("one-page created", "needs approval", "=> treatment, value true: ENROLLED", "above max 0.05", "stopped the cluster"):
        assert expected in out, out
