"""The command `rampgate`, as a person types it."""

import json
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from rampgate import __version__
from rampgate.rules import render_entry

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
    (tmp_path / "new-checkout.json").write_text(render_entry(ENTRY))
    return tmp_path


def test_help_names_every_subcommand() -> None:
    shown = rampgate("--help")
    assert shown.returncode == 0
    assert {"operator", "eval"} <= set(shown.stdout.split())


def test_eval_says_what_a_unit_gets_and_why(directory: Path) -> None:
    shown = rampgate("eval", "new-checkout", "--directory", str(directory), "--context", '{"userId": "u-1"}')
    assert shown.returncode == 0
    assert json.loads(shown.stdout) == {
        "gate": "new-checkout",
        "variant": "treatment",
        "value": "new",
        "reason": "ENROLLED",
        "label": "treatment",
        "generation": 7,
        "attempt": 1,
        "percent": 100,
    }


def test_eval_of_an_unknown_gate_is_exit_status_1(directory: Path) -> None:
    shown = rampgate("eval", "other", "--directory", str(directory))
    assert shown.returncode == 1
    assert json.loads(shown.stdout)["reason"] == "UNKNOWN_GATE"


CONFIG_MAP = {"kind": "ConfigMap", "data": {"format": "rampgate.dev/1", "new-checkout.json": render_entry(ENTRY)}}


def evaluate(directory: Path, *arguments: str, gate: str = "new-checkout") -> "CompletedProcess[str]":
    return rampgate("eval", gate, "--directory", str(directory), *arguments)


def test_the_version_is_the_sdks() -> None:
    shown = rampgate("--version")
    assert (shown.returncode, shown.stdout) == (0, f"rampgate {__version__}\n")


def test_a_missing_extra_is_exit_status_3_and_says_what_to_install_from_a_checkout() -> None:
    script = "import sys; sys.modules['kopf'] = None; from rampgate_operator.__main__ import main; sys.exit(main(['operator']))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "kopf is not installed" in ended.stderr
    assert "in a checkout, pip install '.[operator]'" in ended.stderr


@pytest.mark.parametrize("source", ["-", "FILE"])
def test_eval_reads_a_config_map_that_kubectl_printed(source: str, tmp_path: Path) -> None:
    file = tmp_path / "gates.json"
    file.write_text(json.dumps(CONFIG_MAP))
    with file.open() as piped:
        command = ["eval", "new-checkout", "--config-map", source.replace("FILE", str(file)), "--context", '{"userId": "u-1"}']
        shown = subprocess.run(
            [sys.executable, "-m", "rampgate_operator", *command], stdin=piped, capture_output=True, text=True, check=False, timeout=30
        )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert json.loads(shown.stdout)["variant"] == "treatment"


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ("userId=1", """no JSON; write it as '{"userId": "u-1"}'"""),
        ("[1]", """no JSON object; write it as '{"userId": "u-1"}'"""),
        ('"u-1"', """no JSON object; write it as '{"userId": "u-1"}'"""),
    ],
)
def test_a_context_that_is_no_json_object_is_exit_status_2_and_says_how_to_write_it(context: str, said: str, directory: Path) -> None:
    refused = evaluate(directory, "--context", context)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr


@pytest.mark.parametrize(
    ("sentence", "status", "context", "files", "said"),
    [
        ("a unit that is a number", 1, {"userId": 5}, {}, 'userId is 5, and a unit is a string: write "5"'),
        ("no unit", 0, {}, {}, "the context names no unit: give userId a non-empty string"),
        ("broken bytes", 1, {}, {"new-checkout.json": "{"}, "the gate's entry is not understood: no JSON"),
        ("a newer entry", 1, {}, {"new-checkout.json": render_entry({**ENTRY, "format": 2})}, "not understood: format 2 is newer than 1"),
        ("a newer state", 1, {}, {"new-checkout.json": render_entry({**ENTRY, "serve": "FROZEN"})}, "what this version does not know"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value and "{" not in value else "",
)
def test_eval_says_why_no_rule_answered(
    sentence: str, status: int, context: dict[str, object], files: dict[str, str], said: str, directory: Path
) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)
    shown = evaluate(directory, "--context", json.dumps(context))
    assert (shown.returncode, shown.stderr.count("\n")) == (status, 1), sentence
    assert said in shown.stderr


def test_eval_names_the_gates_there_are_when_asked_for_another(directory: Path) -> None:
    assert "the rules have no gate 'other'; they have: new-checkout" in evaluate(directory, gate="other").stderr


@pytest.mark.parametrize(
    ("sentence", "files", "said"),
    [
        ("no format", {"new-checkout.json": "{}"}, '/: no file "format": this is no mount of a ConfigMap with rules'),
        ("another format", {"format": "yaml"}, 'the file "format" does not say rampgate.dev/1'),
    ],
)
def test_a_directory_without_rules_is_exit_status_2_and_says_what_is_missing(
    sentence: str, files: dict[str, str], said: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    refused = evaluate(tmp_path)
    assert (refused.returncode, refused.stdout) == (2, ""), sentence
    assert said in refused.stderr


def test_a_directory_that_is_not_there_is_exit_status_2(tmp_path: Path) -> None:
    refused = evaluate(tmp_path / "gates")
    assert refused.returncode == 2
    assert "there is no such directory" in refused.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"data": null}', '{"data": {"format": 1}}', '{"data": {"format": "other"}}'])
def test_a_file_that_is_no_config_map_of_rules_is_exit_status_2_without_a_traceback(text: str, tmp_path: Path) -> None:
    file = tmp_path / "gates.json"
    file.write_text(text)
    refused = rampgate("eval", "new-checkout", "--config-map", str(file))
    assert refused.returncode == 2
    assert f"{file}: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_eval_writes_json_whatever_the_value_is(directory: Path) -> None:
    odd = {**ENTRY, "gate": "odd", "variants": [{**variant, "value": "\ud800ü"} for variant in ENTRY["variants"]]}  # type: ignore[attr-defined]  # a list
    (directory / "odd.json").write_text(render_entry({**odd, "control": {"name": "control", "value": "\ud800ü"}}))
    shown = rampgate("eval", "odd", "--directory", str(directory), "--context", '{"userId": "u-1"}')
    assert (shown.returncode, json.loads(shown.stdout)["value"]) == (0, "\ud800ü")


def test_a_context_without_a_bottom_is_wrong_usage(directory: Path) -> None:
    shown = rampgate("eval", "new-checkout", "--directory", str(directory), "--context", "[" * 5000)
    assert (shown.returncode, "no JSON" in shown.stderr, "Traceback" in shown.stderr) == (2, True, False)
