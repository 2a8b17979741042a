"""What no schema can say of a spec is said by the operator, with the field's path."""

from typing import Any

import pytest

from rampgate_operator.core.checks import find_problems
from rampgate_operator.core.spec import Spec
from tests.manifests.table import changed, full_manifest

ZONE = "spec.schedule.windows[0].timeZone"
VERSION = "spec.eligibility[2].semver"


def found(changes: dict[str, Any]) -> list[tuple[str, str]]:
    spec = Spec.from_wire(changed(full_manifest(), changes)["spec"])
    return [(problem.path, problem.message) for problem in find_problems(spec)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spec.schedule": {}, "spec.eligibility": None, "spec.overrides": None},
        {"spec.variants[0].value": 1, "spec.variants[1].value": 2.5},
        {"spec.variants[0].value": {"a": None}, "spec.variants[1].value": {}},
        {"spec.variants[0].value": [], "spec.variants[1].value": ["x"]},
        {"spec.overrides[0].units": ["qa-1", "qa-1"]},
        {ZONE: "America/Argentina/Buenos_Aires"},
    ],
    ids=[
        "every field",
        "nothing optional",
        "whole and broken numbers",
        "two objects",
        "two lists",
        "one unit twice",
        "a zone in three parts",
    ],
)
def test_a_spec_that_can_be_run_has_no_problems(changes: dict[str, Any]) -> None:
    assert found(changes) == []


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (True, "true", "all values must be of one type: this is string, the first is boolean"),
        (False, 0, "all values must be of one type: this is number, the first is boolean"),
        (1, "1", "all values must be of one type: this is string, the first is number"),
        ({}, [], "all values must be of one type: this is array, the first is object"),
    ],
)
def test_values_of_two_types_are_a_problem(first: object, second: object, sentence: str) -> None:
    assert found({"spec.variants[0].value": first, "spec.variants[1].value": second}) == [("spec.variants[1].value", sentence)]


def test_a_value_that_was_never_given_is_a_problem() -> None:
    spec = Spec.from_wire(full_manifest()["spec"])
    empty = spec.model_copy(update={"variants": [variant.model_copy(update={"value": None}) for variant in spec.variants]})
    assert [problem.message for problem in find_problems(empty)] == ["null is no value; use false, an empty text or an empty object"] * 2


@pytest.mark.parametrize(
    "zone",
    [
        "Berlin",
        "Europe",
        "Europe/Atlantis",
        "../UTC",
        "/etc/localtime",
        "+01:00",
        "a\0b",
        "localtime",
        "Factory",
        "posixrules",
        "right/UTC",
    ],
)
def test_a_time_zone_that_does_not_exist_is_a_problem(zone: str) -> None:
    assert found({ZONE: zone}) == [(ZONE, f"{zone!r} is no time zone of the IANA database; use a name such as Europe/Berlin or UTC")]


def test_a_unit_that_two_variants_claim_is_a_problem() -> None:
    overrides = [{"variant": "treatment", "units": ["qa-1"]}, {"variant": "control", "units": ["qa-2", "qa-1"]}]
    sentence = "'qa-1' is already given treatment; a unit can have one variant"
    assert found({"spec.overrides": overrides}) == [("spec.overrides[1].units[1]", sentence)]


def test_a_version_that_cannot_be_read_is_a_problem_of_its_field() -> None:
    assert found({VERSION: ">=2.y"}) == [(VERSION, "'2.y' is no version; write it as major.minor.patch, such as 2.4.0")]


def test_a_version_within_groups_is_a_problem_of_its_own_field() -> None:
    wrong = {"attribute": "appVersion", "semver": "^"}
    nest = {"any": [{"attribute": "plan", "equals": "pro"}, {"not": wrong}, {"all": [wrong]}]}
    assert [path for path, _ in found({"spec.eligibility[1]": nest})] == [
        "spec.eligibility[1].any[1].not.semver",
        "spec.eligibility[1].any[2].all[0].semver",
    ]


def test_every_problem_is_named() -> None:
    assert [path for path, _ in found({VERSION: "^", ZONE: "Berlin"})] == [VERSION, ZONE]
