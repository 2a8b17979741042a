"""`rampgate eval`, as a person at 3 a.m. runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

import pytest

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


def rampgate(*arguments: str, environment: Mapping[str, str] | None = None) -> "CompletedProcess[str]":
    command = [sys.executable, "-m", "rampgate_operator", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "format").write_text("rampgate.dev/1")
    (tmp_path / "new-checkout.json").write_text(render_entry(ENTRY))
    return tmp_path


CONFIG_MAP = {"kind": "ConfigMap", "data": {"format": "rampgate.dev/1", "new-checkout.json": render_entry(ENTRY)}}


def evaluate(directory: Path, *arguments: str, gate: str = "new-checkout") -> "CompletedProcess[str]":
    return rampgate("eval", gate, "--rules", str(directory), *arguments)


TARGETED = {
    **ENTRY,
    "gate": "targeted",
    "percent": 5,
    "eligibility": [
        {"attribute": "country", "in": ["US", "CA", "DE", "FR", "IT", "ES"]},
        {"any": [{"attribute": "plan", "equals": "pro"}, {"not": {"attribute": "user.age", "lessThan": 18}}]},
    ],
}
CONTEXT = {"userId": "u-1", "country": "US", "plan": "free", "user": {"age": "17"}}
TEXT = """\
targeted: attempt 1 at 5 %, generation 7

  gate         the rules have it, in generation 7
  kill         no key `kill` names this gate
  serve        attempt 1 has neither been killed nor rolled back
  entry        understood
  override     there is none
  eligibility  eligible: all tests hold
               yes  country in ["US", "CA", "DE", "FR", "IT", and 1 more]  it is "US"
               yes  any
               no     plan equals "pro"                                    it is "free"
               yes    not
               no       user.age lessThan 18                               it is "17", which is no number
  ship         not shipped
  unit         userId is "u-1"
> enroll       not enrolled: bucket 8.17 % is not below 5.00 %
               murmur3_x86_32 of "shop/new-checkout:enroll:u-1" is 350952227

  not asked any more: arm

=> control, value "old": NOT_ENROLLED, in metrics baseline
"""


def test_eval_explains_every_step_down_to_the_test_that_mattered(directory: Path) -> None:
    (directory / "targeted.json").write_text(render_entry(TARGETED))
    shown = evaluate(directory, "--context", json.dumps(CONTEXT), gate="targeted")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == TEXT


DOCUMENTED = {
    **ENTRY,
    "generation": 1795600000,
    "percent": 50,
    "control": {"name": "control", "value": False},
    "variants": [{"name": "control", "value": False, "weight": 1}, {"name": "treatment", "value": True, "weight": 1}],
    "eligibility": [
        {"attribute": "country", "in": ["US", "CA"]},
        {"any": [{"attribute": "plan", "equals": "pro"}, {"attribute": "user.age", "greaterOrEqual": 18}]},
        {"not": {"attribute": "email", "endsWith": ["@rival.example"]}},
    ],
    "overrides": [{"variant": "treatment", "units": ["qa-1"]}],
}


def test_eval_prints_what_the_documents_show(directory: Path) -> None:
    (directory / "new-checkout.json").write_text(render_entry(DOCUMENTED))
    context = {"userId": "user-1", "country": "US", "plan": "free", "user": {"age": "18"}}
    page = Path(__file__).parent.parent / "docs" / "running.md"
    assert evaluate(directory, "--context", json.dumps(context)).stdout in page.read_text()


def test_eval_as_json_is_the_decision_and_the_steps_with_their_figures(directory: Path) -> None:
    shown = evaluate(directory, "--context", '{"userId": "u-1"}', "--output", "json")
    assert shown.returncode == 0
    document = json.loads(shown.stdout)
    assert document["decision"] == {
        "gate": "new-checkout",
        "variant": "treatment",
        "value": "new",
        "reason": "ENROLLED",
        "label": "treatment",
        "generation": 7,
        "attempt": 1,
        "percent": 100,
    }
    names = ["gate", "kill", "serve", "entry", "override", "eligibility", "ship", "unit", "enroll", "arm"]
    assert [step["step"] for step in document["steps"]] == names
    assert [step["step"] for step in document["steps"] if step["decides"]] == ["arm"]
    assert document["steps"][-1].keys() == {"step", "why", "decides", "text", "hashInput", "hash", "point", "total", "shares"}
    assert document["steps"][-2].keys() == {"step", "why", "decides", "text", "hashInput", "hash", "bucket", "percent"}
    assert document["steps"][-1]["shares"][1] == {"variant": "treatment", "weight": 1, "below": 1}


def test_eval_as_json_has_every_test_of_eligibility_as_it_nests(directory: Path) -> None:
    (directory / "targeted.json").write_text(render_entry(TARGETED))
    shown = evaluate(directory, "--context", json.dumps(CONTEXT), "-o", "json", gate="targeted")
    (step,) = [step for step in json.loads(shown.stdout)["steps"] if step["step"] == "eligibility"]
    assert step["tests"][1] == {
        "group": "any",
        "holds": True,
        "tests": [
            {"attribute": "plan", "operator": "equals", "operand": "pro", "found": "free", "holds": False, "why": 'it is "free"'},
            {
                "group": "not",
                "holds": True,
                "tests": [
                    {
                        "attribute": "user.age",
                        "operator": "lessThan",
                        "operand": 18,
                        "found": "17",
                        "holds": False,
                        "why": 'it is "17", which is no number',
                    }
                ],
            },
        ],
    }


def test_eval_of_an_unknown_gate_is_exit_status_1(directory: Path) -> None:
    shown = evaluate(directory, "--output", "json", gate="other")
    assert shown.returncode == 1
    assert json.loads(shown.stdout)["decision"]["reason"] == "UNKNOWN_GATE"


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
    assert '=> treatment, value "new": ENROLLED' in shown.stdout


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
        ("no unit", 0, {}, {}, "the context has no userId: give it a non-empty string"),
        ("broken bytes", 1, {}, {"new-checkout.json": "{"}, "its entry cannot be read: no JSON"),
        ("a newer entry", 1, {}, {"new-checkout.json": render_entry({**ENTRY, "format": 2})}, "not understood: format 2 is newer than 1"),
        ("a newer state", 1, {}, {"new-checkout.json": render_entry({**ENTRY, "serve": "FROZEN"})}, "which this version does not know"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value and "{" not in value else "",
)
def test_eval_says_why_no_rule_answered(
    sentence: str, status: int, context: dict[str, object], files: dict[str, str], said: str, directory: Path
) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)
    shown = evaluate(directory, "--context", json.dumps(context))
    assert (shown.returncode, shown.stderr) == (status, ""), sentence
    (deciding,) = [line for line in shown.stdout.splitlines() if line.startswith("> ")]
    assert said in deciding


def test_eval_names_the_gates_there_are_when_asked_for_another(directory: Path) -> None:
    assert "the rules have no gate 'other'; they have: new-checkout" in evaluate(directory, gate="other").stdout


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
    shown = evaluate(directory, "--context", '{"userId": "u-1"}', "--output", "json", gate="odd")
    assert (shown.returncode, json.loads(shown.stdout)["decision"]["value"]) == (0, "\ud800ü")
    assert '"\\ud800ü": ENROLLED' in evaluate(directory, "--context", '{"userId": "u-1"}', gate="odd").stdout


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_an_experiment_says_does_not_speak_to_the_terminal(output: str, directory: Path) -> None:
    name = "\x1b[2J\x7f\x9b31m\u202eü"
    odd = {**ENTRY, "gate": "odd", "eligibility": [{"attribute": name, "exists": False}], "salt": name}
    (directory / "odd.json").write_text(render_entry(odd))
    shown = evaluate(directory, "--context", '{"userId": "u-1"}', "--output", output, gate="odd")
    assert (shown.returncode, [line for line in shown.stdout.splitlines() if not line.isprintable()]) == (0, [])
    assert r"\u001b[2J\u007f\u009b31m\u202eü" in shown.stdout
    if output == "json":
        assert json.loads(shown.stdout)["steps"][5]["tests"][0]["attribute"] == name


def test_a_context_without_a_bottom_is_wrong_usage(directory: Path) -> None:
    shown = evaluate(directory, "--context", "[" * 5000)
    assert (shown.returncode, "no JSON" in shown.stderr, "Traceback" in shown.stderr) == (2, True, False)


@pytest.mark.parametrize("levels", range(900, 1000, 20))
def test_a_context_that_is_just_not_too_deep_is_shown_and_one_that_is_refused(levels: int, directory: Path) -> None:
    (directory / "deep.json").write_text(render_entry({**ENTRY, "gate": "deep", "eligibility": [{"attribute": "x", "exists": True}]}))
    shown = evaluate(directory, "--context", '{"x": ' + "[" * levels + "]" * levels + "}", "--output", "json", gate="deep")
    assert (shown.returncode in {0, 2}, "Traceback" in shown.stderr) == (True, False)


def test_a_name_without_a_namespace_is_wrong_usage(directory: Path) -> None:
    refused = evaluate(directory, "--name", "gates")
    assert (refused.returncode, refused.stderr) == (2, "rampgate eval: --name goes with --namespace\n")


@pytest.mark.parametrize("places", [[], ["--rules", ".", "--namespace", "shop"]])
def test_rules_come_from_exactly_one_place(places: list[str]) -> None:
    assert rampgate("eval", "new-checkout", *places).returncode == 2


def test_a_kubeconfig_that_is_not_there_is_exit_status_2_and_named(tmp_path: Path) -> None:
    environment = os.environ | {"KUBECONFIG": str(tmp_path / "none")}
    refused = rampgate("eval", "new-checkout", "--namespace", "shop", environment=environment)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"the kubeconfig {tmp_path / 'none'} does not exist" in refused.stderr


def test_without_the_operators_extra_rules_are_explained_from_a_directory_and_the_cluster_is_exit_status_3(directory: Path) -> None:
    script = (
        "import sys\n"
        "for name in ('kubernetes', 'kubernetes.aio', 'kopf', 'pydantic', 'yaml'): sys.modules[name] = None\n"
        "from rampgate_operator.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for place, status in ((["--rules", str(directory)], 0), (["--namespace", "shop"], 3)):
        command = [sys.executable, "-c", script, "eval", "new-checkout", *place]
        assert subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == status
