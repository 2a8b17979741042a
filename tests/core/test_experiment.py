"""core/experiment: what a person wants, as far as it can be understood."""

from typing import Any

import pytest

from rampgate_operator.core.experiment import read_experiment, read_managers
from tests.core.story import SPEC, make_spec

METADATA = {"name": "new-checkout", "namespace": "shop", "uid": "u1", "generation": 4}


def body(spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {**METADATA, **metadata}, "spec": spec}


def test_an_accepted_spec_is_in_force() -> None:
    spec = make_spec()
    experiment = read_experiment(body(SPEC), accepted=None, examined=spec)
    assert (experiment.spec, experiment.problem) == (spec, None)
    assert (experiment.namespace, experiment.name, experiment.uid, experiment.generation) == ("shop", "new-checkout", "u1", 4)


def test_the_last_accepted_spec_stays_in_force_but_kill_pause_and_attempt_are_the_newest() -> None:
    before = make_spec()
    newest = {**SPEC, "killed": True, "paused": True, "attempt": 3}
    experiment = read_experiment(body(newest), accepted=before, examined="spec.ramp: no")
    assert (experiment.spec, experiment.problem) == (before, "spec.ramp: no")
    assert (experiment.killed, experiment.paused, experiment.attempt) == (True, True, 3)


@pytest.mark.parametrize("value", [None, False, "true", 1, []])
def test_only_true_kills_and_pauses(value: object) -> None:
    experiment = read_experiment(body({"killed": value, "paused": value}), accepted=None, examined="no")
    assert (experiment.killed, experiment.paused) == (False, False)


@pytest.mark.parametrize("spec", [None, {}, {"attempt": "2"}, {"attempt": None}])
def test_an_attempt_that_cannot_be_read_is_the_first(spec: Any) -> None:
    assert read_experiment(body(spec), accepted=None, examined="no").attempt == 1


def test_the_salt_is_the_specs_or_the_name() -> None:
    def salt(spec: Any) -> str:
        return read_experiment(body(SPEC), accepted=None, examined=spec).salt

    assert (salt(make_spec()), salt(make_spec(salt="s")), salt("no")) == ("shop/new-checkout", "s", "shop/new-checkout")


def test_the_manager_of_a_field_is_the_last_that_set_it() -> None:
    entries = [
        {"manager": "kubectl", "time": "2026-12-02T00:00:00Z", "fieldsV1": {"f:spec": {".": {}, "f:killed": {}}}},
        {"manager": "helm", "time": "2026-12-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:killed": {}, "f:ramp": {"f:steps": {}}}}},
        {"manager": "rampgate", "time": "2026-12-03T00:00:00Z", "subresource": "status", "fieldsV1": {"f:status": {"f:phase": {}}}},
        {"manager": "nothing"},
    ]
    managers = read_experiment(body(SPEC, managedFields=entries), accepted=None, examined="no").managers
    assert {name: managers.get(name) for name in ("killed", "ramp", "phase")} == {"killed": "kubectl", "ramp": "helm", "phase": None}


def test_without_managed_fields_nobody_is_named() -> None:
    assert read_managers(()) == {}
    assert read_managers([{"fieldsV1": {"f:spec": {"f:killed": {}}}}]) == {"killed": ""}
