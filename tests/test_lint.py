"""`rampgate lint`, as a person and a CI job run it."""

import json
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from rampgate_operator.__main__ import main
from tests.manifests.creations import CREATIONS
from tests.manifests.table import Row, changed, minimal_manifest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(
    str(path) for folder in ("examples", "manifests") for path in (ROOT / folder).rglob("*.yaml") if path.name != "refused.yaml"
)
GOOD = """\
apiVersion: rampgate.dev/v1alpha1
kind: Experiment
metadata: {name: new-checkout, namespace: shop}
spec:
  owner: payments@shop.example
  variants:
    - {name: control, value: false}
    - {name: treatment, value: true}
  control: control
  ramp:
    steps:
      - {percent: 1, hold: 10m}
      - {percent: 50, hold: 1h}
  guardrails:
    - name: errors
      query: sum(rate(failed_total[5m]))
      max: 1
"""
WRONG = GOOD.replace("percent: 50", "percent: 500")
DOUBTFUL = GOOD.replace("hold: 10m", "hold: 1m")
LONGER = (
    "the query of guardrail 'errors' reads 300s back, and a step ends only after a reading wholly on it: it lasts at least 300s, not 1m"
)


def lint(*arguments: str, stdin: str = "") -> "CompletedProcess[str]":
    command = [sys.executable, "-m", "rampgate_operator", "lint", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=30, cwd=ROOT)


def findings(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    main(["lint", "--output", "json", *arguments])
    found: list[dict[str, Any]] = json.loads(capfd.readouterr().out)
    return found


@pytest.mark.parametrize("row", CREATIONS, ids=lambda row: row.sentence)
def test_it_says_of_a_manifest_what_the_api_server_says(row: Row, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(json.dumps(row.manifest, indent=2))
    found = findings(capfd, str(file))
    errors = {(each["path"], each["message"]) for each in found if each["severity"] == "error"}
    assert errors == set(row.refused)


@pytest.mark.parametrize(
    ("sentence", "text", "options", "status"),
    [
        ("nothing is found", GOOD, (), 0),
        ("a warning is found", DOUBTFUL, (), 0),
        ("a warning is found, strictly", DOUBTFUL, ("--strict",), 1),
        ("nothing is found, strictly", GOOD, ("--strict",), 0),
        ("an error is found", WRONG, (), 1),
        ("it is no YAML", "a: [", (), 1),
        ("there is no Experiment in it", "kind: Pod", (), 0),
        ("the source is known", GOOD, ("--source", "other", "--source", "default"), 0),
        ("the source is unknown", GOOD, ("--source", "other"), 1),
        ("usage is wrong", GOOD, ("--source", "a", "--config", "b"), 2),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)
def test_the_exit_status_when(sentence: str, text: str, options: tuple[str, ...], status: int) -> None:
    assert lint(*options, "-", stdin=text).returncode == status, sentence


def test_the_exit_status_is_explained() -> None:
    shown = lint("--help")
    assert shown.returncode == 0
    assert "exit status: 0 nothing found" in shown.stdout


def test_a_finding_is_a_line_with_its_place_and_the_counts_go_to_standard_error(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(f"kind: Pod\n---\n{WRONG}---\n{DOUBTFUL}")
    shown = lint(str(file))
    assert shown.stdout.splitlines() == [
        f"{file}:15: error: spec.ramp.steps[1].percent: should be less than or equal to 100",
        f"{file}:32: warning: spec.ramp.steps[0].hold: {LONGER}",
    ]
    assert shown.stderr == "rampgate lint: 2 Experiments in 1 file: 1 error, 1 warning; 1 document of other kinds skipped\n"


def test_json_has_the_same_and_nothing_else_on_standard_output() -> None:
    shown = lint("--output", "json", "-", stdin=WRONG)
    assert json.loads(shown.stdout) == [
        {
            "file": "<stdin>",
            "line": 13,
            "severity": "error",
            "path": "spec.ramp.steps[1].percent",
            "message": "should be less than or equal to 100",
        }
    ]
    assert json.loads(lint("--output", "json", "-", stdin=GOOD).stdout) == []


def test_a_finding_is_one_line_whatever_stands_in_the_field(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(json.dumps(changed(minimal_manifest(), {"spec.schedule": {"deadline": "to\nmor\rrow"}})))
    main(["lint", str(file)])
    assert capfd.readouterr().out == f'{file}:1: error: spec.schedule.deadline: must be of type date-time: "to\\nmor\\rrow"\n'


def test_off_without_quotes_is_a_boolean_as_it_is_for_kubectl() -> None:
    shown = lint("-", stdin=GOOD.replace("control: control", "control: off"))
    assert shown.stdout == '<stdin>:9: error: spec.control: must be of type string: "boolean"\n'


def test_a_key_that_is_given_twice_is_an_error_with_the_line_of_the_second() -> None:
    shown = lint("-", stdin=GOOD + "  owner: others\n")
    assert shown.stdout.startswith('<stdin>:18: error: spec.owner: duplicate field "spec.owner"')


def test_a_file_that_is_not_there_is_exit_status_2_and_the_others_are_judged(tmp_path: Path) -> None:
    shown = lint(str(tmp_path / "none.yaml"), str(tmp_path), "-", stdin=WRONG)
    assert (shown.returncode, shown.stdout.count("\n")) == (2, 1)
    assert f"rampgate lint: {tmp_path}/none.yaml: No such file or directory\n" in shown.stderr
    assert f"rampgate lint: {tmp_path}: Is a directory\n" in shown.stderr


@pytest.mark.parametrize(
    ("sentence", "configuration", "status", "said"),
    [
        ("it names the source", "sources: {default: {url: 'http://prometheus:9090'}}", 0, ""),
        ("it names another", "sources: {other: {url: 'http://prometheus:9090'}}", 1, "the operator's configuration names: other"),
        ("its source looks back far", "sources: {default: {url: 'http://p:9090', lookback: 1h}}", 0, "reads 3600s back"),
        ("it cannot be used", "sources: 5", 2, "sources: write a mapping"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("it") else "",
)
def test_the_operators_configuration_says_which_sources_there_are(
    sentence: str, configuration: str, status: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "operator.yaml").write_text(configuration)
    shown = lint("--config", str(tmp_path / "operator.yaml"), "-", stdin=GOOD.replace("sum(rate(failed_total[5m]))", "failed"))
    assert (shown.returncode, "Traceback" in shown.stderr) == (status, False), sentence
    assert said in shown.stdout + shown.stderr


def test_a_new_ramp_does_not_begin_before_now() -> None:
    late = GOOD + '  schedule: {deadline: "2020-01-01T00:00:00Z"}\n'
    assert lint("-", stdin=late).stdout == ""
    assert "warning: spec.ramp.steps[0]: is never reached" in lint("--new", "-", stdin=late).stdout


def test_the_namespace_of_a_manifest_without_one_may_be_given() -> None:
    homeless = GOOD.replace(", namespace: shop", "").replace("failed_total", 'failed_total{namespace="shop"}')
    assert lint("-", stdin=homeless).returncode == 1
    assert lint("--namespace", "shop", "-", stdin=homeless).returncode == 0


def test_what_we_ship_as_examples_has_no_findings() -> None:
    shown = lint("--strict", *EXAMPLES)
    assert (shown.stdout, shown.returncode) == ("", 0)
