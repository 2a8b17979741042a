"""Every command of the documents exists, with its options, its files and its patches."""

import importlib.util
import json
import os
import re
import shlex
import tomllib
from itertools import pairwise
from typing import Any

import pytest
import yaml

from rampgate_operator.__main__ import main
from rampgate_operator.configuration import load_settings
from rampgate_operator.core.problems import problems
from tests.docs.pages import PAGES, ROOT, blocks

MAKEFILE = (ROOT / "Makefile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXAMPLE = yaml.safe_load((ROOT / "examples" / "experiments" / "new-checkout.yaml").read_text())
INLINE = [match for page in PAGES for match in re.findall(r"`((?:make|rampgate|python -m|pip|kubectl) [^`\n]+)`", page.prose)]
LINES = [line for block in blocks("sh") for line in block.text.splitlines() if line.strip()]
SHOWN = {block.text.partition("\n")[0].removeprefix("# ") for block in blocks("yaml")}
"""What a block of the documents says in its first line that it is."""
WRITTEN = SHOWN | {line.rpartition("> ")[2] for line in LINES if "> " in line}
"""Files that commands of the documents write, or that the reader does."""
COMMANDS = sorted({*LINES, *INLINE})
VERBS = {
    "annotate",
    "apply",
    "auth",
    "config",
    "create",
    "delete",
    "describe",
    "exec",
    "explain",
    "get",
    "label",
    "logs",
    "patch",
    "rollout",
    "scale",
    "top",
    "wait",
}
HELM_VERBS = {"install", "upgrade", "rollback", "uninstall", "test", "show"}
CHECKED_HERE = {"make", "rampgate", "pip", "kubectl", "helm", "export", "python", "N=$(("}
RUN = {"curl", "jq"}
"""By test_ofrep.py and tests/apiserver/test_runbook.py, against a server."""

WALKED = {"docs/first-experiment.md", "docs/quickstart.md"}
"""Their commands are run, by test_first_experiment.py and tests/cluster/test_quickstart.py."""


def split(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def stages(line: str) -> list[list[str]]:
    """The commands of a pipe."""
    words = split(line)
    ends = [index for index, word in enumerate(words) if word == "|"]
    return [words[start:end] for start, end in zip([0, *(end + 1 for end in ends)], [*ends, None], strict=True)]


def commands(program: str) -> list[list[str]]:
    return [words for line in COMMANDS for words in stages(line) if words[:1] == [program]]


def merge(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386, as far as objects go."""
    merged = {**target, **{name: value for name, value in patch.items() if not isinstance(value, dict)}}
    merged |= {name: merge(target.get(name) or {}, value) for name, value in patch.items() if isinstance(value, dict)}
    return {name: value for name, value in merged.items() if value is not None}


def patches(*kinds: str) -> list[dict[str, Any]]:
    patching = [words for words in commands("kubectl") if words[1] == "patch" and "--type=merge" in words]
    found = [words for words in patching if any(kind in words for kind in kinds)]
    return [json.loads(words[words.index("-p") + 1].replace("$N", "2")) for words in found]  # N is the next attempt


def test_every_line_of_a_shell_block_is_a_command_that_is_checked_here() -> None:
    lines = [line for block in blocks("sh") if block.page not in WALKED for line in block.text.splitlines() if line.strip()]
    assert {words[0] for line in lines for words in stages(line)} - CHECKED_HERE - RUN == set()


@pytest.mark.parametrize("words", commands("make"), ids=" ".join)
def test_a_make_target_exists(words: list[str]) -> None:
    for word in words[1:]:
        name, is_variable, _ = word.partition("=")
        assert re.search(rf"^{name} \?=" if is_variable else rf"^{name}:.*## ", MAKEFILE, re.MULTILINE), word


@pytest.mark.parametrize("words", commands("rampgate"), ids=" ".join)
def test_a_subcommand_has_the_options_it_is_given(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*(word for word in words[1:2] if not word.startswith("-")), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [option for option in words if option.startswith("--") and option not in shown] == []


@pytest.mark.parametrize("words", commands("python"), ids=" ".join)
def test_a_module_or_file_that_is_run_exists(words: list[str]) -> None:
    if words[1] == "-m":
        assert importlib.util.find_spec(words[2]) is not None
    else:
        assert (ROOT / words[1]).exists()


@pytest.mark.parametrize("words", commands("pip"), ids=" ".join)
def test_an_extra_that_is_installed_exists(words: list[str]) -> None:
    found = re.fullmatch(r"(?:\.|rampgate)(?:\[([\w,]+)\])?", words[2])
    assert found is not None
    assert found[1] is None or set(found[1].split(",")) <= PROJECT["optional-dependencies"].keys()


@pytest.mark.parametrize("words", commands("kubectl"), ids=" ".join)
def test_kubectl_is_given_a_verb_it_has_and_files_that_are_there(words: list[str]) -> None:
    assert words[1] in VERBS
    files = [after for option, after in pairwise(words) if option in ("-f", "-k", "--patch-file")]
    assert [file for file in files if file not in WRITTEN and not (ROOT / file).exists()] == []


@pytest.mark.parametrize("words", commands("helm"), ids=" ".join)
def test_helm_is_given_a_verb_it_has_and_the_chart_that_is_there(words: list[str]) -> None:
    assert words[1] in HELM_VERBS
    charts = [word for word in words if word.startswith("charts/")]
    assert [chart for chart in charts if not (ROOT / chart / "Chart.yaml").exists()] == []
    assert charts or words[1] in {"rollback", "uninstall", "test"} or "./chart" in words, "ours, or an application's own"


@pytest.mark.parametrize("patch", patches("rexp", "experiments.rampgate.dev"), ids=json.dumps)
def test_a_patch_of_an_experiment_leaves_one_that_is_accepted(patch: dict[str, Any]) -> None:
    assert [str(problem) for problem in problems(merge(EXAMPLE, patch))] == []
    assert merge(EXAMPLE, patch) != EXAMPLE


@pytest.mark.parametrize("patch", patches("configmap"), ids=json.dumps)
def test_a_patch_of_the_rules_touches_the_kill_key_alone(patch: dict[str, Any]) -> None:
    assert list(patch) == ["data"]
    assert list(patch["data"]) == ["kill"]


def test_the_environment_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [word.partition("=") for words in commands("export") for word in words[1:] if word.startswith("RAMPGATE_")]
    for name, _, value in given:
        monkeypatch.setenv(name, value)
    settings = load_settings(None, os.environ)
    assert len(given) == 4
    assert (settings.namespaces, settings.workers) == (("shop",), 4)
    assert str(settings.sources["default"].token_file) == "/var/run/secrets/token"
