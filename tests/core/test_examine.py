"""core/examine: one sentence per fault of a spec that the API server lets through."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from rampgate_operator.core.compile import compile_draw, draw_digest
from rampgate_operator.core.examine import examine
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase, Status
from tests.core.story import COUNTED, ERRORS, NOON, SPEC, make_spec

SOURCES = dict.fromkeys(("default", "other"), timedelta(minutes=5))


def judged(status: Status | None = None, sources: Mapping[str, timedelta] = SOURCES, **fields: Any) -> Spec | str:
    body = {"metadata": {"name": "new-checkout", "namespace": "shop"}, "spec": {**SPEC, **fields}}
    return examine(body | ({"status": status.to_wire()} if status else {}), sources=sources)


def test_a_good_spec_is_accepted() -> None:
    assert judged(guardrails=[ERRORS, {**ERRORS, "name": "more", "source": "other"}]) == make_spec(
        guardrails=[ERRORS, {**ERRORS, "name": "more", "source": "other"}]
    )


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_a_value_may_nest_as_deep_as_twenty_levels() -> None:
    variants = [{"name": "off", "value": {}}, {"name": "on", "value": nested(20)}]
    assert isinstance(judged(variants=[variants[0], {"name": "on", "value": {"a": nested(19)}}]), Spec)
    assert judged(variants=[variants[0], {"name": "on", "value": nested(21)}]) == "spec.variants[1].value: nests deeper than 20 levels"


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("a model refuses", {"ramp": {"steps": []}}, "spec.ramp.steps"),
    ("a check refuses", {"schedule": {"windows": [{"days": ["Mon"], "from": "09:00", "to": "10:00", "timeZone": "Mars"}]}}, "Mars"),
    ("a query cannot be read", {"guardrails": [{**ERRORS, "query": "sum("}]}, "spec.guardrails[0].query"),
    (
        "a counter is no selector",
        {"guardrails": [{**COUNTED, "counters": {**COUNTED["counters"], "total": 'sum(a{variant="$variant"})'}}]},
        "spec.guardrails[0].counters.total: A counter must be one selector",
    ),
    (
        "a source is unknown",
        {"guardrails": [ERRORS, {**ERRORS, "name": "b", "source": "mine"}]},
        "spec.guardrails[1].source: there is no source 'mine'; the operator's configuration names: default, other",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_spec_is_refused_where(fields: dict[str, Any], sentence: str) -> None:
    found = judged(**fields)
    assert isinstance(found, str)
    assert sentence in found


def test_an_operator_without_sources_says_so() -> None:
    assert "the operator's configuration names: none" in str(judged(sources={}, guardrails=[ERRORS]))


@pytest.mark.parametrize(("number", "more"), [(5, ""), (6, "; and 1 more")])
def test_five_faults_are_shown_and_the_rest_counted(number: int, more: str) -> None:
    found = judged(guardrails=[{**ERRORS, "name": f"g{index}", "source": "mine"} for index in range(number)])
    assert isinstance(found, str)
    assert (found.count("there is no source"), found.endswith(f"default, other{more}")) == (5, True)


@pytest.mark.parametrize(("attempt", "refused"), [(1, True), (2, False)], ids=["within the attempt", "with a higher one"])
def test_units_are_not_moved(attempt: int, refused: bool) -> None:
    began = Status(
        phase=Phase.RAMPING, attempt=1, attempt_started_at=NOON, draw_digest=draw_digest(compile_draw(make_spec(), "shop/new-checkout"))
    )
    found = judged(began, attempt=attempt, salt="another")
    assert ("not what attempt 1 began with" in str(found)) is refused
    assert judged(began, attempt=attempt, owner="others") == make_spec(attempt=attempt, owner="others")


def test_before_the_first_step_everything_may_change() -> None:
    assert judged(Status(attempt=1, attempt_started_at=NOON), salt="another") == make_spec(salt="another")
