"""Judges the Experiments of a text before anybody applies it: the API server's sentences, the operator's, then doubts; with lines.

Knows which documents are ours and in which order they are judged. Must not know files, settings or how findings are printed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rampgate_operator.core.documents import Document, Unreadable, read_documents
from rampgate_operator.core.doubts import Plan, find_doubts
from rampgate_operator.core.examine import find_faults
from rampgate_operator.core.problems import Problem, problems
from rampgate_operator.core.promql import LOOKBACK, query_for
from rampgate_operator.core.resource import GROUP, KIND
from rampgate_operator.core.spec import Spec


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A line of the text, the field that stands there (empty: the document) and what is to be said of it."""

    line: int
    severity: Severity
    path: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a file does not say.

    Attributes:
        namespace: that of manifests which name none.
        sources: what the operator's configuration names, and how old a sample each may return; None: names are not judged.
        begins: before this no ramp begins, whatever its notBefore; None: not known.
    """

    namespace: str = "default"
    sources: Mapping[str, timedelta] | None = None
    begins: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Linted:
    """The findings by line, and how many documents were judged and skipped."""

    findings: tuple[Finding, ...]
    experiments: int
    skipped: int


def lint_bytes(content: bytes, terms: Terms) -> Linted:
    """Judge a file's content as `lint` does; what is not UTF-8 is a finding with its line."""
    try:
        return lint(content.decode("utf-8-sig"), terms)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        finding = Finding(line=line, severity=Severity.ERROR, path="", message="no YAML: this is not UTF-8")
        return Linted(findings=(finding,), experiments=0, skipped=0)


def lint(text: str, terms: Terms) -> Linted:
    """Judge every Experiment of a YAML stream, also those inside of lists; documents of other kinds are counted."""
    findings, experiments, skipped = list[Finding](), 0, 0
    for document in _documents(text):
        if isinstance(document, Unreadable):
            findings.append(Finding(line=document.line, severity=Severity.ERROR, path="", message=document.message))
        elif is_ours(document.value):
            experiments += 1
            findings += _judge(document, terms)
        else:
            skipped += 1
    return Linted(findings=tuple(sorted(findings, key=lambda each: each.line)), experiments=experiments, skipped=skipped)


def read_experiments(content: bytes) -> Mapping[str, Spec | None]:
    """Give the Experiments of a file by name; None for one in which `lint` finds errors. What is no YAML has none."""
    found: dict[str, Spec | None] = {}
    for document in _documents(content.decode("utf-8-sig", errors="replace")):
        if isinstance(document, Document) and is_ours(document.value):
            faults = [one for one in _judge(document, Terms()) if one.severity is Severity.ERROR]
            metadata = document.value.get("metadata")
            name = str(metadata.get("name") if isinstance(metadata, dict) else None)
            found[name] = None if faults else Spec.from_wire(document.value["spec"])
    return found


def is_ours(value: Any) -> bool:  # noqa: ANN401  # JSON
    """Whether it is an Experiment, or wants to be one: our group with a misspelled kind, or our kind with no group."""
    if not isinstance(value, dict):
        return False
    group = str(value.get("apiVersion") or "").rpartition("/")[0]
    return group == GROUP or (value.get("kind") == KIND and not group)


def _documents(text: str) -> Iterator[Document | Unreadable]:
    for document in read_documents(text):
        if isinstance(document, Document) and _is_list(document.value):
            yield from document.items()
        else:
            yield document


def _is_list(value: Any) -> bool:  # noqa: ANN401  # JSON
    return isinstance(value, dict) and str(value.get("kind")).endswith("List") and isinstance(value.get("items"), list)


def _judge(document: Document, terms: Terms) -> Iterator[Finding]:
    for path, line in document.duplicates:
        message = f'duplicate field "{path}": kubectl takes the last one and says nothing; remove the others'
        yield Finding(line=line, severity=Severity.ERROR, path=path, message=message)
    for severity, problem in _said(document.value, terms):
        yield Finding(line=document.line_of(problem.path), severity=severity, path=problem.path, message=problem.message)


def _said(manifest: Mapping[str, Any], terms: Terms) -> Iterator[tuple[Severity, Problem]]:
    refused = problems(manifest)
    if refused:
        yield from ((Severity.ERROR, problem) for problem in refused)
        return
    metadata = manifest["metadata"]
    metadata = {"name": metadata["name"], "namespace": metadata.get("namespace") or terms.namespace}
    found = find_faults({"metadata": metadata, "spec": manifest["spec"]}, sources=terms.sources)
    if isinstance(found, Spec):
        yield from ((Severity.WARNING, doubt) for doubt in find_doubts(_plan(found, metadata, terms)))
    else:
        yield from ((Severity.ERROR, problem) for problem in found)


def _plan(spec: Spec, metadata: Mapping[str, str], terms: Terms) -> Plan:
    treatment = spec.drawn_treatments[0].name
    place = {"gate": metadata["name"], "namespace": metadata["namespace"]}
    reaches = {}
    for guardrail in spec.guardrails or ():
        if guardrail.query is None:
            continue
        lookback = (terms.sources or {}).get(guardrail.source, LOOKBACK)
        reaches[guardrail.name] = query_for(treatment, text=guardrail.query, lookback=lookback, **place).reach
    not_before = spec.schedule.not_before if spec.schedule else None
    begins = max(filter(None, (not_before, terms.begins)), default=None)
    return Plan(spec=spec, reaches=reaches, begins=begins, sources=terms.sources)
