"""core/query_doubts: queries that compare with nobody, or pass whatever happens."""

from typing import Any

import pytest

from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.promql_parse import parse
from rampgate_operator.core.query_doubts import blind_step, matchers_of, passes_for_ever, value_without_series
from tests.core.story import make_spec, steps

WITH_CONTROL: list[dict[str, Any]] = [{"name": "off", "value": 0}, {"name": "on", "value": 1}]
WITHOUT: list[dict[str, Any]] = [{"name": "off", "value": 0, "weight": 0}, {"name": "on", "value": 1}]
BOTH = 'a{variant="$variant"} - a{variant=~"off|baseline"}'

BLIND: list[tuple[str, list[dict[str, Any]], dict[str, Any], str, float | None]] = [
    ("control keeps its weight", WITH_CONTROL, {}, BOTH, None),
    ("control has none, and all are enrolled", WITHOUT, {}, BOTH, 100),
    ("control has none, and the ramp ends before", WITHOUT, {"ramp": steps(1, 50)}, BOTH, None),
    ("control alone, which has no weight", WITHOUT, {}, 'a - a{variant="off"}', 1),
    ("the baseline alone", WITH_CONTROL, {}, 'a - a{variant="baseline"}', 100),
    ("everybody but the treatment", WITHOUT, {}, 'a - a{variant!="$variant"}', 100),
    (
        "everybody but the treatment, testers too",
        WITHOUT,
        {"overrides": [{"variant": "on", "units": ["qa"]}]},
        'a - a{variant!="on"}',
        None,
    ),
    (
        "everybody but the treatment, the ineligible too",
        WITHOUT,
        {"eligibility": [{"attribute": "a", "in": ["b"]}]},
        'a{variant!="on"}',
        None,
    ),
    ("names in parentheses", WITHOUT, {}, 'a{variant=~"(off|baseline)"}', 100),
    ("a pattern that is no list", WITHOUT, {}, 'a{variant=~"off|base.*"}', None),
    ("no word of variants", WITHOUT, {}, "a", None),
    ("the treatment alone", WITHOUT, {}, 'a{variant="$variant"}', None),
    ("a name that is none of them", WITHOUT, {}, 'a{variant="other"}', None),
    ("what is blind has a substitute", WITHOUT, {}, 'a - (a{variant="off"} or vector(0))', None),
    ("what is blind is an exception", WITHOUT, {}, 'a unless a{variant="off"}', None),
    ("what has exceptions is blind", WITHOUT, {}, 'a{variant="off"} unless a', 1),
    ("what is blind may be absent", WITHOUT, {}, 'absent(a{variant="off"})', None),
    ("deep inside", WITHOUT, {}, 'clamp_min(-sum(max_over_time((a{variant="off"})[5m:1m])), 0)', 1),
]


@pytest.mark.parametrize(("variants", "fields", "query", "percent"), [row[1:] for row in BLIND], ids=[row[0] for row in BLIND])
def test_a_guardrail_is_blind_when(variants: list[dict[str, Any]], fields: dict[str, Any], query: str, percent: float | None) -> None:
    found = blind_step(make_spec(variants=variants, **fields), parse(query))
    assert (found and found[0].percent) == percent


def test_what_was_asked_of_nobody_is_shown_as_it_was_written() -> None:
    found = blind_step(make_spec(variants=WITHOUT), parse('a{job="x",variant=~"off|baseline",variant!="on"}'))
    assert found is not None
    assert matchers_of(found[1]) == 'variant=~"off|baseline", variant!="on"'


INVENTED = [
    ("sum(a)", None),
    ("sum(a) or vector(0)", 0),
    ("(sum(a) or vector(0))", 0),
    ("sum(a or vector(2))", 2),
    ("-(a or vector(2))", -2),
    ("a or b or vector(1)", 1),
    ("vector(1) or a", 1),
    ("(sum(a) or vector(0)) / sum(b)", None),
    ("(sum(a) or vector(0)) / (sum(b) or vector(4))", 0),
    ("(a or vector(3)) * 2 + 1 - 4", 3),
    ("(a or vector(0)) > 5", None),
    ("count(a or vector(7))", None),
    ("rate(a[5m]) or b", None),
    ("-a", None),
    ("1", 1),
]


@pytest.mark.parametrize(("query", "value"), INVENTED)
def test_without_any_series_a_query_reads(query: str, value: float | None) -> None:
    assert value_without_series(parse(query)) == value


@pytest.mark.parametrize(
    ("sentence", "query", "limits", "value"),
    [
        ("within its limits", "a or vector(0)", {"max": 1}, 0),
        ("at its limit", "a or vector(1)", {"max": 1}, 1),
        ("above its limit, so that silence is a breach", "a or vector(9)", {"max": 1}, None),
        ("below its limit, so that silence is a breach", "a or vector(0)", {"min": 0.5}, None),
        ("no number", "(a or vector(0)) / (b or vector(0))", {"max": 1}, None),
        ("no data, as it should be", "a", {"max": 1}, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invented_value_passes_for_ever_when_it_is(sentence: str, query: str, limits: dict[str, float], value: float | None) -> None:
    guardrail = Guardrail.from_wire({"name": "g", "query": query, **limits})
    assert passes_for_ever(guardrail, parse(query)) == value, sentence
