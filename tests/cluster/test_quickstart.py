"""docs/quickstart.md is walked from top to bottom, by a newcomer who has a cluster, its image and Helm 4 by the name of `helm`.

Left out are the lines that make a cluster and bring the image there. Runs before all else: nothing is installed yet, nor afterwards.
"""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from tests.docs.pages import page
from tests.docs.walk import walk
from tools import image
from tools.devcluster.binaries import require
from tools.pods.place import Place

PAGE = page("docs/quickstart.md")
GIVEN = ("python -m tools.devcluster ", "eval ")
LONGEST = 600
"""Seconds that a newcomer spends, at most."""
VARYING = re.compile(r"(over )?\d[\d,.]*[smh]?\b(\d+s)?| +|Hold|Metrics|Pods|Rules")
"""What differs each time: ages, numbers, widths of columns, and what a ramp just waits for."""


def shape(text: str) -> list[str]:
    return [re.sub(r"#[# ]*", "#", VARYING.sub("#", line)).strip("#") for line in text.splitlines() if line.strip()]


def script() -> str:
    """The page's commands as one script; what each block prints is parted by a line of its own."""
    blocks = [block.text for block in PAGE.blocks if block.language == "sh" and not block.text.startswith(GIVEN)]
    assert len(blocks) == len([block for block in PAGE.blocks if block.language == "sh"]) - 1
    return "set -euo pipefail\n" + "\necho '--- block'\n".join(blocks)


@pytest.mark.timeout(LONGEST + 60)
def test_the_page_runs_from_top_to_bottom_in_ten_minutes_and_prints_what_it_says(place: Place, tmp_path: Path) -> None:
    if place.image != image.IMAGE:
        pytest.skip(f"the page's manifests name {image.IMAGE}, which this cluster calls {place.image}")
    (tmp_path / "helm").symlink_to(require("helm4"))
    homes = {f"HELM_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    path = os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, **homes, "PATH": path, "KUBECONFIG": str(place.kubeconfig)}
    began = time.monotonic()
    status, out = walk(script(), environment, seconds=LONGEST)
    assert status == 0, out
    sys.stdout.write(f"{out}\nthe page took {time.monotonic() - began:.0f} s\n")
    printed = shape(out)
    for block in PAGE.blocks:
        if block.language == "text":
            assert [line for line in shape(block.text) if line not in printed] == [], out
