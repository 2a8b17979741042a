"""The wheel, as `pip install` takes it into an environment with nothing in it: the SDK, one hash function, and no more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rampgate.rules import render_entry
from tests.sdk.entries import entry

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
SCRIPT = """
import json, sys
from importlib.metadata import distributions
from rampgate import Gates
gates = Gates.from_rules({"g": sys.argv[1]})
print(json.dumps({
    "installed": sorted(each.name for each in distributions()),
    "served": gates.value("g", default="default"),
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment into which only the wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = folder / "environment"
    for command in (
        [UV, "build", "--offline", "--wheel", "--out-dir", folder],
        [UV, "venv", "--offline", "--python", sys.executable, environment],
    ):
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    installed = [UV, "pip", "install", "--python", environment / "bin" / "python", wheel]
    subprocess.run(installed, cwd=folder, check=True, capture_output=True)
    return environment / "bin" / "python"


def run(python: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([python, "-I", *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_the_base_install_brings_mmh3_and_nothing_else_and_evaluates(python: Path) -> None:
    ended = run(python, "-c", SCRIPT, render_entry(entry(ship="treatment")))
    assert json.loads(ended.stdout) == {"installed": ["mmh3", "rampgate"], "served": True}, ended.stderr


@pytest.mark.parametrize(("command", "extra"), [("operator", "operator"), ("serve", "server"), ("simulate", "operator,plots")])
def test_a_command_whose_extra_is_missing_says_which(python: Path, command: str, extra: str) -> None:
    simulated = ["-f", "none.yaml", "--base-rate", "1%", "--traffic", "1/s"]
    needed = {"operator": [], "serve": ["--rules", "."], "simulate": simulated}[command]
    ended = run(python, "-m", "rampgate_operator", command, *needed)
    assert (ended.returncode, f"rampgate[{extra}]" in ended.stderr or f"'.[{extra}]'" in ended.stderr) == (3, True), ended.stderr


@pytest.mark.parametrize(
    ("module", "package"),
    [("prometheus", "prometheus_client"), ("openfeature", "openfeature"), ("sources.cluster", "")],
)
def test_an_integration_asks_for_its_own_library_only(python: Path, module: str, package: str) -> None:
    name = f"rampgate.{module}" if "." in module else f"rampgate.integrations.{module}"
    ended = run(python, "-c", f"import {name}")
    assert (f"No module named '{package}'" in ended.stderr) if package else (ended.returncode, ended.stderr) == (0, "")
