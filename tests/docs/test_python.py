"""Every Python block of the documents runs; docs/sdk.md and docs/ofrep.md have tests of their own, docs/first-experiment.md is walked."""

from pathlib import Path

import pytest
from openfeature import api

from tests.docs.pages import Block, blocks

PYTHON = [block for block in blocks("python") if block.page not in ("docs/sdk.md", "docs/ofrep.md", "docs/first-experiment.md")]
ENTRY = (
    '{"attempt":1,"control":{"name":"control","value":false},"format":1,"gate":"new-checkout","generation":1,"hashInput":"UTF8",'
    '"percent":100,"salt":"shop/new-checkout","unit":"userId","variants":[{"name":"control","value":false,"weight":0},'
    '{"name":"treatment","value":true,"weight":1}]}'
)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_block_runs_by_the_rules_of_a_mounted_config_map(block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "format").write_text("rampgate.dev/1")
    (tmp_path / "new-checkout.json").write_text(ENTRY)
    names: dict[str, object] = {}
    try:
        exec(compile(block.text.replace("/etc/rampgate", str(tmp_path)), str(block), "exec"), names)
    finally:
        api.clear_providers()
        names["gates"].close()  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "one page\n"
