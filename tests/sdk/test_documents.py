"""docs/sdk.md and docs/rules-format.md: their code runs, their example is an entry, their lists are complete."""

import re
from pathlib import Path
from typing import Any

import pytest

from rampgate import Gates, Reason
from rampgate.conditions import OPERATORS
from rampgate.eligibility import Join
from rampgate.rules import parse_entry, render_entry
from rampgate.testing import rampgate_gates
from tests.sdk.entries import entry

__all__ = ["rampgate_gates"]

DOCS = Path(__file__).parents[2] / "docs"
SDK = (DOCS / "sdk.md").read_text()
FORMAT = (DOCS / "rules-format.md").read_text()


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def test_the_sdks_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Gates] = []
    start = Gates.__init__

    def remember(gates: Gates, *arguments: Any, **options: Any) -> None:
        opened.append(gates)
        start(gates, *arguments, **options)

    monkeypatch.setattr(Gates, "__init__", remember)
    (tmp_path / "format").write_text("rampgate.dev/1")
    (tmp_path / "new-checkout.json").write_text(render_entry(entry(gate="new-checkout")))
    examples = blocks(SDK, "python")
    assert len(examples) == 8
    names: dict[str, object] = {}
    try:
        exec("\n".join(examples).replace("/etc/rampgate", str(tmp_path)), names)
    finally:
        for gates in opened:
            gates.close()
    assert "new-checkout" in opened[0].names()


def test_the_example_of_the_fixture_passes(rampgate_gates: Any) -> None:
    (example,) = (block for block in blocks(SDK, "python") if "rampgate_gates" in block)
    names: dict[str, Any] = {}
    exec(example, names)
    names["test_the_new_checkout_has_one_page"](rampgate_gates)


def test_the_formats_example_is_a_canonical_entry() -> None:
    (example,) = blocks(FORMAT, "json")
    read = parse_entry(example, gate="new-checkout")
    assert (read.problem, read.rule is None) == ("", False)


def test_every_reason_operator_and_group_is_documented() -> None:
    for reason in Reason:
        assert f"`{reason}`" in SDK
        assert f"`{reason}`" in FORMAT
    for operator in (*OPERATORS, *Join):
        assert f"| `{operator}` |" in FORMAT
