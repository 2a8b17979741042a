"""docs/ofrep.md: its clients are run against a server, and its tables are complete."""

import shlex
import shutil
import subprocess
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from openfeature import api

from rampgate import Gates
from rampgate.integrations.ofrep import ofrep_app
from rampgate_operator.cli import serve
from tests.docs.pages import blocks, page, rows, section
from tests.docs.test_python import ENTRY
from tests.sdk.node_packages import javascript_packages
from tests.sdk.ofrep_server import Asked, listening

PAGE = "docs/ofrep.md"
ADDRESS = "127.0.0.1:8016"
CLIENT, MOUNTED = (block for block in blocks("python") if block.page == PAGE)
(SCRIPT,) = blocks("js")
ASKED = [line for block in blocks("sh") if block.page == PAGE for line in block.text.splitlines() if line.startswith("curl ")]


@pytest.fixture
def server() -> Iterator[Asked]:
    with Gates.from_rules({"new-checkout": ENTRY}) as gates, listening(ofrep_app(gates)) as asked:
        yield asked


def at(server: Asked, text: str) -> str:
    return text.replace(ADDRESS, f"127.0.0.1:{server.port}")


def test_the_python_client_is_answered(server: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(at(server, CLIENT.text), str(CLIENT), "exec"), {})
    api.get_client().provider.session.close()  # type: ignore[attr-defined]  # the OFREP provider's
    api.clear_providers()
    assert capsys.readouterr().out == "one page\n"


def test_the_javascript_client_is_answered(server: Asked) -> None:
    with NamedTemporaryFile("w", suffix=".mjs", dir=javascript_packages()) as script:
        script.write(at(server, SCRIPT.text))
        script.flush()
        ended = subprocess.run(["node", script.name], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "one page\n"), ended.stderr


@pytest.mark.parametrize("line", ASKED)
def test_curl_is_answered(line: str, server: Asked) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the lines for curl were not run: it is not installed here")
    words = shlex.split(at(server, line))
    ended = subprocess.run([*words, "--fail-with-body"], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, "treatment" in ended.stdout or ended.stdout == "ok\n") == (0, True), ended.stderr


def test_the_application_is_made(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("rampgate.dev/1")
    names: dict[str, Any] = {}
    exec(compile(MOUNTED.text.replace("/etc/rampgate", str(tmp_path)), str(MOUNTED), "exec"), names)
    with names["gates"], listening(names["app"]) as server:
        assert [server.evaluate(headers=headers).status for headers in ({}, {"X-API-Key": "a key"})] == [401, 200]


def test_every_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    serve.add_to(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["serve", "--help"])
    offered = {word.strip("[],") for word in capsys.readouterr().out.split() if word.strip("[").startswith("--")}
    documented = " ".join(row[0] for row in rows(section(page(PAGE), "Options")))
    assert {option for option in offered - {"--help"} if f"`{option} " not in documented} == set()
