"""What the documents point to is there, what they list is complete, and what is generated is current."""

import subprocess

import pytest
from pydantic.alias_generators import to_camel

from rampgate_operator.core.guardrail_spec import OnBreach
from rampgate_operator.core.promql import QueryError, compile_query
from rampgate_operator.core.status import Phase, Verdict, WaitingFor
from rampgate_operator.settings import LeaseSettings, Settings, SourceSettings
from tests.docs.pages import PAGES, Page, page, rows, section
from tools import docs
from tools.demo.checks import Check

LONGEST_README = 150
QUERIES = rows(section(page("docs/guardrails.md"), "What is refused, and why"))


def test_what_is_generated_is_what_the_code_says(capfd: pytest.CaptureFixture[str]) -> None:
    assert docs.main(["--check"]) == 0, capfd.readouterr().err


def test_a_generator_that_fails_is_reported_after_the_others_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def run(command: list[str], *, check: bool) -> "subprocess.CompletedProcess[str]":
        ran.append(command[2:])
        return subprocess.CompletedProcess(command, returncode=command[2] == "tools.crds")

    monkeypatch.setattr(docs.subprocess, "run", run)
    assert docs.main(["--check"]) == 1
    assert ran == [[name, "--check"] for name in docs.GENERATORS]


@pytest.mark.parametrize("at", PAGES, ids=str)
def test_every_link_leads_somewhere(at: Page) -> None:
    broken = []
    for link in at.links:
        name, _, anchor = link.partition("#")
        target = (at.path.parent / name).resolve() if name else at.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            broken.append(link)
    assert broken == []


def test_the_readme_leads_to_every_page() -> None:
    reached = {link.partition("#")[0] for link in page("README.md").links}
    assert {str(each) for each in PAGES} - reached == {"README.md"}


def test_the_readme_stays_short() -> None:
    assert page("README.md").text.count("\n") <= LONGEST_README


def test_the_readme_counts_the_demos_checks_right() -> None:
    assert f"a table of {len(Check)} checks" in page("README.md").text


@pytest.mark.parametrize(
    ("name", "heading", "words"),
    [
        ("docs/concepts.md", "How an attempt moves", [*Phase, *WaitingFor]),
        ("docs/runbook.md", "A ramp does not advance", list(WaitingFor)),
        ("docs/concepts.md", "Words", list(Verdict)),
        ("docs/guardrails.md", "When there is no reading", [Verdict.NO_DATA, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.NO_COMPARISON]),
        ("docs/guardrails.md", "What a breach does", list(OnBreach)),
    ],
    ids=["phases and waits", "waits", "verdicts", "readings that are missing", "breaches"],
)
def test_a_list_of_words_is_complete(name: str, heading: str, words: list[str]) -> None:
    text = section(page(name), heading)
    assert [word for word in words if f"`{word}`" not in text] == []


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0].replace("`", "").split(", ")[0]: row for row in rows(section(page("docs/running.md"), "4. Configuration"))}
    text = section(page("docs/running.md"), "4. Configuration")
    for model, prefix in ((Settings, ""), (SourceSettings, "sources.*."), (LeaseSettings, "lease.")):
        for name in map(to_camel, model.model_fields):
            assert prefix + name in documented or f"`{name}`" in text or f"`{prefix}{name}`" in text, name
    assert documented["workers"][1] == f"`{Settings.model_fields['workers'].default}`"
    assert documented["sources.*.maxConcurrent"][1] == f"`{SourceSettings.model_fields['max_concurrent'].default}`"


@pytest.mark.parametrize(("query", "sentence"), QUERIES, ids=[query for query, _ in QUERIES])
def test_a_query_that_is_said_to_be_refused_is_refused_with_that_sentence(query: str, sentence: str) -> None:
    names = {"gate": "new-checkout", "experiment": "new-checkout", "variant": "treatment"}
    with pytest.raises(QueryError) as refused:
        compile_query(query.strip("`").replace("\\|", "|"), namespace="shop", substitutions=names)
    assert sentence in str(refused.value)
