"""The models judge every manifest of the table as the API server does (tests/apiserver/test_manifests.py)."""

import pytest
from pydantic import ValidationError

from rampgate_operator.core.problems import from_validation_error, problems, update_problems
from rampgate_operator.core.spec import Spec
from tests.manifests.creations import CREATIONS
from tests.manifests.table import Row, UpdateRow, changed, full_manifest, minimal_manifest
from tests.manifests.updates import UPDATES


@pytest.mark.parametrize("row", CREATIONS, ids=lambda row: row.sentence)
def test_the_models_judge_a_new_manifest_as_the_table_says(row: Row) -> None:
    assert {(problem.path, problem.message) for problem in problems(row.manifest)} == set(row.refused)


@pytest.mark.parametrize("row", UPDATES, ids=lambda row: row.sentence)
def test_the_models_judge_an_edit_as_the_table_says(row: UpdateRow) -> None:
    assert {(problem.path, problem.message) for problem in update_problems(row.after, row.before)} == set(row.refused)


def test_an_edit_of_what_an_older_schema_accepted_is_judged_alone() -> None:
    old, new = full_manifest() | {"spec": {"owner": "x"}}, full_manifest()
    assert update_problems(new, old) == []


def test_a_status_that_cannot_be_read_fixes_nothing() -> None:
    old = full_manifest() | {"status": {"phase": "Elsewhere"}}
    assert update_problems(changed(full_manifest(), {"spec.unit": "accountId"}), old) == []


def test_a_problem_is_printed_as_kubectl_prints_it() -> None:
    (problem,) = problems(changed(full_manifest(), {"spec.attempt": 0}))
    assert str(problem) == "spec.attempt: should be greater than or equal to 1"


def test_errors_of_a_part_are_named_from_the_root() -> None:
    with pytest.raises(ValidationError) as error:
        Spec.from_wire(changed(full_manifest(), {"spec.ramp.steps[1].percent": "10", "spec.control": 7})["spec"])
    assert {problem.path for problem in from_validation_error(error.value, under="spec")} == {"spec.control", "spec.ramp.steps[1].percent"}


def test_a_manifest_that_is_no_experiment_is_refused() -> None:
    found = problems({"apiVersion": "v1", "kind": "Experiment", "metadata": {"name": "x"}, "spec": minimal_manifest()["spec"]})
    assert [(problem.path, problem.message) for problem in found] == [
        ("apiVersion", 'Unsupported value: "v1": supported values: "rampgate.dev/v1alpha1"')
    ]


def test_the_spec_survives_the_way_to_the_wire_and_back() -> None:
    spec = Spec.from_wire(full_manifest()["spec"])
    assert Spec.from_wire(spec.to_wire()) == spec
