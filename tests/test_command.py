"""The command `rampgate`, as a person types it."""

import json
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from rampgate_operator.core.compile import canonical

ENTRY = {
    "attempt": 1,
    "control": {"name": "control", "value": "old"},
    "format": 1,
    "gate": "new-checkout",
    "generation": 7,
    "hashInput": "UTF8",
    "percent": 100,
    "salt": "shop/new-checkout",
    "unit": "userId",
    "variants": [{"name": "control", "value": "old", "weight": 0}, {"name": "treatment", "value": "new", "weight": 1}],
}


def rampgate(*arguments: str) -> "CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "rampgate_operator", *arguments], capture_output=True, text=True, check=False, timeout=30)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "format").write_text("rampgate.dev/1")
    (tmp_path / "new-checkout.json").write_text(canonical(ENTRY))
    return tmp_path


def test_help_names_every_subcommand() -> None:
    shown = rampgate("--help")
    assert shown.returncode == 0
    assert {"operator", "eval"} <= set(shown.stdout.split())


def test_help_of_the_operator_shows_the_configuration_and_the_exit_statuses() -> None:
    shown = rampgate("operator", "--help").stdout
    assert all(text in shown for text in ("sources:", "RAMPGATE_SOURCES__DEFAULT__URL", "--config FILE", "exit status"))


def test_a_wrong_argument_is_exit_status_2() -> None:
    assert rampgate("operator", "--wrong").returncode == 2


def test_a_configuration_that_cannot_be_used_is_exit_status_2_with_the_field(tmp_path: Path) -> None:
    file = tmp_path / "rampgate.yaml"
    file.write_text("workers: 0")
    refused = rampgate("operator", "--config", str(file))
    assert refused.returncode == 2
    assert "workers" in refused.stderr


@pytest.mark.parametrize("text", ["sources: [", "just words", "- a list"], ids=["broken YAML", "a text", "a list"])
def test_a_file_that_is_no_mapping_is_exit_status_2_without_a_traceback(text: str, tmp_path: Path) -> None:
    file = tmp_path / "rampgate.yaml"
    file.write_text(text)
    refused = rampgate("operator", "--config", str(file))
    assert refused.returncode == 2
    assert "configuration cannot be used" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_environment_variable_that_is_no_json_is_exit_status_2_with_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPGATE_NAMESPACES", "shop")
    refused = rampgate("operator")
    assert refused.returncode == 2
    assert "namespaces" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_eval_says_what_a_unit_gets_and_why(directory: Path) -> None:
    shown = rampgate("eval", "new-checkout", "--directory", str(directory), "--context", '{"userId": "u-1"}')
    assert shown.returncode == 0
    assert json.loads(shown.stdout) == {
        "gate": "new-checkout",
        "variant": "treatment",
        "value": "new",
        "reason": "ENROLLED",
        "generation": 7,
    }


def test_eval_of_an_unknown_gate_is_exit_status_1(directory: Path) -> None:
    shown = rampgate("eval", "other", "--directory", str(directory))
    assert shown.returncode == 1
    assert json.loads(shown.stdout)["reason"] == "UNKNOWN_GATE"
