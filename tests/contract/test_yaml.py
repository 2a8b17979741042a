"""YAML as core/documents.py reads it, and as the real kubectl does: one table for both."""

import json
import subprocess

import pytest

from rampgate_operator.core.documents import Document, read_documents
from tests.manifests.yaml_texts import HEAD, REFUSED, TEXTS, Text
from tools.devcluster.binaries import kubectl_path

STREAMS = (
    ("two documents, with a comment behind the dashes", f"{HEAD}1\n--- # next\n{HEAD}2\n", 2),
    ("the end of a document is marked", f"{HEAD}1\n...\n", 1),
    ("empty documents are none", f"---\n---\n{HEAD}1\n---\n# nothing\n", 1),
    ("a byte order mark", f"\N{ZERO WIDTH NO-BREAK SPACE}{HEAD}1\n", 1),
    ("lines that end as on Windows", f"{HEAD}1\n---\n{HEAD}2\n".replace("\n", "\r\n"), 2),
    (
        "JSON, indented by tabs",
        '{\n\t"apiVersion": "rampgate.dev/v1alpha1", "kind": "Experiment",\n\t"metadata": {"name": "\\ud83d\\ude00"}\n}',
        1,
    ),
    ("a document behind the dashes", f"{HEAD}1\n--- {{a: 1}}\n", None),
    ("a directive", f"%YAML 1.1\n---\n{HEAD}1\n", None),
)


def kubectl_reads(stream: str) -> list[dict[str, object]] | None:
    """What kubectl takes a stream for; None when it refuses it."""
    command = [str(kubectl_path()), "--kubeconfig=/dev/null", "annotate", "--local", "--output=json", "-f", "-", "read=yes"]
    answer = subprocess.run(command, input=stream.encode(), capture_output=True, check=False, timeout=30)
    if answer.returncode:
        assert b"error parsing STDIN" in answer.stderr or b"invalid Yaml document separator" in answer.stderr, answer.stderr
        return None
    decoder, text, found = json.JSONDecoder(), answer.stdout.decode(), []
    while text.strip():
        value, end = decoder.raw_decode(text.lstrip())
        text = text.lstrip()[end:]
        del value["metadata"]["annotations"]
        found.append(value)
    return found


def rampgate_reads(stream: str) -> list[dict[str, object]] | None:
    documents = list(read_documents(stream.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")))
    values = [document.value for document in documents if isinstance(document, Document)]
    return values if len(values) == len(documents) else None


@pytest.mark.parametrize("row", TEXTS, ids=lambda row: row.sentence)
def test_kubectl_reads_a_text_as_the_table_says(row: Text) -> None:
    found = kubectl_reads(HEAD + row.text)
    assert (REFUSED if found is None else found[0]["spec"]) == row.value


@pytest.mark.parametrize(("stream", "number"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_a_stream_is_cut_as_kubectl_cuts_it(stream: str, number: int | None) -> None:
    found = kubectl_reads(stream)
    assert (None if found is None else len(found)) == number
    assert rampgate_reads(stream) == found
