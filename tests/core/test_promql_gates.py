"""core/promql_gates: the SDK's metrics of many gates."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampgate_operator.core.promql_gates import bounds_of, last_values_of, samples_of, select
from rampgate_operator.core.promql_parse import parse
from rampgate_operator.core.promql_tree import Selector

MINUTE = timedelta(minutes=1)


def test_one_metric_goes_by_its_name() -> None:
    selected = select(["x_total"], namespaces=["shop"], gates=["b", "a"])
    assert samples_of(selected, length=MINUTE) == 'x_total{namespace=~"shop",gate=~"a|b"}[1m]'
    assert last_values_of(selected, memory=MINUTE) == 'last_over_time(x_total{namespace=~"shop",gate=~"a|b"}[1m])'
    assert bounds_of(selected, length=MINUTE) == (
        'group by (namespace, gate, le) (last_over_time(x_total{namespace=~"shop",gate=~"a|b"}[1m]))'
    )


def test_several_metrics_go_by_a_pattern_and_what_has_no_gate_by_the_namespaces() -> None:
    selected = select({"x_total", "y"}, namespaces=["shop", "bank"])
    assert samples_of(selected, length=MINUTE) == '{__name__=~"x_total|y",namespace=~"bank|shop"}[1m]'


@given(
    gates=st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, unique=True), other=st.text(st.characters(codec="utf-8"))
)
def test_a_gate_is_selected_by_its_own_name_whatever_that_is(gates: list[str], other: str) -> None:
    tree = parse(samples_of(select(["x_total"], namespaces=["shop"], gates=gates), length=MINUTE))
    assert isinstance(tree, Selector)
    pattern = next(matcher.value for matcher in tree.matchers if matcher.name == "gate")
    assert all(re.fullmatch(pattern, gate) for gate in gates)
    assert bool(re.fullmatch(pattern, other)) == (other in gates)


SPELLINGS = [
    (0.3, ["0.3", "0.30", ".3", "3e-01", "00.3"], ["0.31", "0x3", "3", "10.3", "0.03", "0.3|"]),
    (1.0, ["1", "1.0", "1.00", "1e+00"], ["10", "1.01", "11", "0.1", ""]),
    (10.0, ["10", "10.0", "1e+01"], ["1", "100", "10.5"]),
    (2.5, ["2.5", "2.50", "2.5e+00"], ["25", "2,5"]),
    (0.00001, ["1e-05", "0.00001", "0.000010"], ["0.0001"]),
    (1_000_000.0, ["1e+06", "1000000", "1000000.0"], ["100000"]),
    (1_234_567.0, ["1.234567e+06", "1234567.0"], ["1x234567e+06"]),
    (0.0, ["0", "0.0", "0e+00"], ["", "1"]),
    (float("inf"), ["+Inf", "Inf"], ["inf+", ""]),
]


@pytest.mark.parametrize(("bound", "same", "others"), SPELLINGS)
def test_a_bound_is_selected_however_it_is_written(bound: float, same: list[str], others: list[str]) -> None:
    pattern = next(matcher.value for matcher in select(["x"], namespaces=["n"], bounds=[bound]).matchers if matcher.name == "le")
    assert [text for text in same if not re.fullmatch(pattern, text)] == []
    assert [text for text in others if re.fullmatch(pattern, text)] == []
