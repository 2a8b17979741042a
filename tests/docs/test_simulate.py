"""What docs/simulate.md shows is what its command prints; figures may differ a little, for another numpy draws other numbers."""

import re
import shlex

import pytest

from rampgate_operator.__main__ import main
from tests.docs.pages import ROOT, page

PAGE = page("docs/simulate.md")
COMMAND = next(line for block in PAGE.blocks if block.language == "sh" for line in block.text.splitlines() if line.startswith("rampgate"))
SHOWN = next(block.text for block in PAGE.blocks if block.language == "text")


def columns(text: str) -> list[tuple[str, float]]:
    """Each line's beginning, and of a row how many per cent were rolled back."""
    lines = [(re.split(r"  +", line)[0], re.search(r"([0-9.]+) ±", line)) for line in text.splitlines()]
    return [(begins, float(share[1]) if share else 0.0) for begins, share in lines]


def test_the_page_shows_what_its_first_command_prints(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(COMMAND)[1:]) == 0
    for (begins, share), (shown, then) in zip(columns(capfd.readouterr().out), columns(SHOWN), strict=True):
        assert begins == shown
        assert share == pytest.approx(then, abs=3)
