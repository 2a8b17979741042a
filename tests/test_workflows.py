"""What runs where the project is hosted is checked here, as far as it can be without running it."""

import subprocess
from pathlib import Path

from tools.devcluster.binaries import require

ROOT = Path(__file__).parents[1]


def test_actionlint_finds_nothing_in_the_workflows() -> None:
    files = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
    assert files
    done = subprocess.run([require("actionlint"), *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_scripts_of_kind_are_shell() -> None:
    subprocess.run(["sh", "-n", ROOT / "tools" / "kind.sh"], check=True)
