"""docs/operations.md and docs/runbook.md: an entry for each alert, and nothing in either that there is not."""

import re
from typing import Any

import pytest
import yaml

from rampgate_operator.core.promql_parse import parse
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.status import Phase, Verdict, WaitingFor
from tests.docs.pages import ROOT, blocks, page
from tests.docs.test_metrics import listed
from tests.docs.test_shell import VERBS, commands, split

ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "charts" / "rampgate" / "files" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in ALERTS}
DESCRIBED = {rule["alert"]: re.findall(r"`(kubectl [^`]+)`", rule["annotations"]["description"])[0] for rule in ALERTS}
OPERATIONS = page("docs/operations.md")
PROSE = f"{OPERATIONS.text}\n{page('docs/runbook.md').text}"
PARTS = ["Means", "Harm", "Look", "Do"]
WORDS = {"waiting_for": set(WaitingFor), "reason": set(Reason), "verdict": set(Verdict), "phase": set(Phase)}
CRD = yaml.safe_load((ROOT / "crds" / "rampgate.dev_experiments.yaml").read_text())
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def entries() -> dict[str, str]:
    """Alert to its entry."""
    found = re.finditer(r"^### (Rampgate\w+)\n(.*?)(?=^##)", OPERATIONS.text, re.MULTILINE | re.DOTALL)
    return {match[1]: match[2] for match in found}


def metrics(text: str) -> set[str]:
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\brampgate_\w+", text)}


def paths(words: list[str]) -> list[str]:
    """The fields of an Experiment that a command prints."""
    asked = [word.partition("=")[2] for word in words if word.startswith("jsonpath=")] if "experiments.rampgate.dev" in words else []
    return [path for text in asked for path in re.findall(r"{(\.[^{}]+)}", text)]


def at(path: str) -> dict[str, Any]:
    """The schema of a field; KeyError when there is none."""
    schema = SCHEMA
    for name, items in re.findall(r"\.(\w+)(\[[^\]]*\])?", path):
        schema = schema["properties"][name]
        schema = schema["items"] if items else schema
    return dict(schema)


PRINTED = sorted({path for words in [*commands("kubectl"), *map(split, DESCRIBED.values())] for path in paths(words)})


def test_every_alert_has_its_entry_and_no_other_alert_has_one() -> None:
    assert list(entries()) == list(EXPRESSIONS)


@pytest.mark.parametrize("alert", EXPRESSIONS)
def test_an_entry_says_what_it_means_who_is_harmed_where_to_look_and_what_to_do(alert: str) -> None:
    assert re.findall(r"^\* \*\*(\w+)\*\*: ", entries()[alert], re.MULTILINE) == PARTS


@pytest.mark.parametrize("alert", EXPRESSIONS)
def test_an_alert_asks_for_metrics_that_there_are_and_for_words_that_they_say(alert: str) -> None:
    expr = EXPRESSIONS[alert]
    assert metrics(expr) <= listed().keys()
    for label, operator, value in re.findall(r'(\w+)(=~?)"([^"]+)"', expr):
        said = set(value.split("|")) if operator == "=~" else {value}
        assert said <= WORDS.get(label, said), label


def test_the_pages_name_metrics_that_there_are() -> None:
    assert metrics(PROSE) <= listed().keys()


@pytest.mark.parametrize("query", [line for block in blocks("promql") for line in block.text.splitlines()])
def test_a_query_of_the_documents_is_one(query: str) -> None:
    assert parse(query)


@pytest.mark.parametrize("command", DESCRIBED.values(), ids=DESCRIBED)
def test_the_next_command_of_an_alert_is_one_of_kubectls(command: str) -> None:
    assert split(command)[1] in VERBS


@pytest.mark.parametrize("path", PRINTED)
def test_a_field_that_is_printed_is_one_of_an_experiment(path: str) -> None:
    assert at(path)


def test_fields_that_there_are_not_are_found() -> None:
    with pytest.raises(KeyError):
        at(".status.latch.mesage")
