"""What is generated from the models is up to date, explained and bounded."""

from collections.abc import Iterator

import pytest

from rampgate_operator.core.resource import ExperimentResource
from tests.manifests.creations import CREATIONS
from tests.manifests.updates import UPDATES
from tools import chart, crds, generated, reference, states

# Kubernetes bounds these itself, and a variant's value is the user's own JSON, bounded by the size of an object.
FREE = (".apiVersion", ".kind", ".metadata", ".metadata.name", ".spec.variants[].value")
MINIMUM_OF_ROWS = 80


def fields(schema: crds.Schema, path: str = "") -> Iterator[tuple[str, crds.Schema]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from fields(schema["items"], f"{path}[]")


FIELDS = [(path, field) for path, field in fields(crds.openapi()) if path not in FREE]


def rules(schema: crds.Schema) -> Iterator[str]:
    for candidate in (schema, *(field for _, field in fields(schema))):
        yield from (rule["message"] for rule in candidate.get("x-kubernetes-validations", []))


@pytest.mark.parametrize("page", [crds, chart, reference, states], ids=["the CRD", "the chart's copy", "the reference", "the states"])
def test_what_is_committed_is_what_the_models_say(page, capsys) -> None:
    assert page.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", [crds, chart, reference, states], ids=["the CRD", "the chart's copy", "the reference", "the states"])
def test_a_file_that_has_drifted_is_named_with_the_command_that_writes_it(page, tmp_path, monkeypatch, capsys) -> None:
    drifted = tmp_path / "drifted"
    drifted.write_text(page.text() + "\n")
    monkeypatch.setattr(page, "FILE", drifted)
    monkeypatch.setattr(generated, "ROOT", tmp_path)
    assert page.main(["--check"]) == 1
    assert f"python -m {page.__name__}" in capsys.readouterr().err
    page.main([])
    assert page.main(["--check"]) == 0


@pytest.mark.parametrize(("path", "field"), FIELDS, ids=[path for path, _ in FIELDS])
def test_a_field_is_explained_and_bounded(path: str, field: crds.Schema) -> None:
    assert path.endswith("[]") or len(field["description"]) > 3
    if field["type"] == "array":
        assert "maxItems" in field
    if field["type"] == "string":
        assert "maxLength" in field or "enum" in field


def test_every_object_forbids_nothing_silently() -> None:
    unstructured = {"anyOf", "oneOf", "$ref", "title", "const", "additionalProperties", "uniqueItems", "multipleOf"}
    assert [path for path, field in FIELDS if unstructured & field.keys()] == []


def test_the_table_breaks_every_rule_and_every_rule_is_kept_by_the_manifest_with_every_field() -> None:
    said = {sentence for row in (*CREATIONS, *UPDATES) for _, sentence in row.refused}
    assert set(rules(crds.openapi())) - said == set()
    everything = ExperimentResource.from_wire(CREATIONS[0].manifest)
    assert CREATIONS[0].refused == ()
    assert set(everything.spec.model_dump(exclude_unset=True)) == set(type(everything.spec).model_fields)


def test_the_table_has_its_rows_each_with_a_sentence_of_its_own() -> None:
    sentences = [row.sentence for row in (*CREATIONS, *UPDATES)]
    assert len(sentences) == len(set(sentences)) >= MINIMUM_OF_ROWS


def test_the_crd_fits_into_the_annotation_of_client_side_apply() -> None:
    assert len(crds.text().encode()) < 200_000  # of 256 KiB for all annotations
