"""rampgate_operator.core.sequential and limits: what independent libraries compute, and that evidence is fair where nothing is wrong."""

import json
import sys
from collections.abc import Callable
from itertools import accumulate
from math import comb, exp, inf, isclose, log
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampgate_operator.core.limits import log_above, log_upper_beta
from rampgate_operator.core.sequential import (
    GRID,
    NO_EVIDENCE,
    NO_SRM_EVIDENCE,
    TILTS,
    Batch,
    add_harm,
    add_safety,
    add_sample_ratio,
    log_likelihood_ratio,
    log_mean,
    ratio_interval,
)

Case = dict[str, Any]
CASES: dict[str, Case] = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "stats_reference_cases.json").read_text(encoding="utf-8"))["cases"]
}


def batch(fields: Case) -> Batch:
    return Batch(fields["nT"], fields["xT"], fields["nC"], fields["xC"])


def harm_path(case: Case) -> list[float]:
    paths = accumulate(case["batches"], lambda before, each: add_harm(before, batch(each), limit=case["r0"]), initial=NO_EVIDENCE)
    return [log_mean(evidence) for evidence in paths][1:]


def safety_path(case: Case) -> list[float]:
    paths = accumulate(case["batches"], lambda before, each: add_safety(before, batch(each), limit=case["r0"]), initial=NO_EVIDENCE)
    return [log_mean(evidence) for evidence in paths][1:]


def interval(case: Case) -> list[float]:
    return list(ratio_interval([batch(each) for each in case["batches"]], alpha=case["alpha"]))


def hypergeometric(case: Case) -> list[float]:
    """The expectation of a batch's e-value when each of m events is somebody's, drawn without putting back."""

    def expected(each: Case) -> float:
        treated, control, events = each["nT"], each["nC"], each["m"]
        return sum(
            comb(treated, x) * comb(control, events - x) / comb(treated + control, events) * exp(_likelihood(each, x, events - x))
            for x in range(max(0, events - control), min(treated, events) + 1)
        )

    return [expected(each) for each in case["cases"]]


def bernoulli(case: Case) -> list[float]:
    """The expectation of a batch's e-value when every request fails by itself, treatment's exactly at the margin."""

    def expected(each: Case) -> float:
        a, b = exp(_likelihood(each, 1, 0)), exp(_likelihood(each, 0, 1))
        treated = each["r0"] * each["pC"]
        return float((1 - treated + treated * a) ** each["nT"] * (1 - each["pC"] + each["pC"] * b) ** each["nC"])

    return [expected(each) for each in case["cases"]]


def _likelihood(each: Case, treatment_events: float, control_events: float) -> float:
    null = each.get("r0", 1.0)
    return log_likelihood_ratio(Batch(each["nT"], treatment_events, each["nC"], control_events), each["r"] * null, null)


METHODS: dict[str, tuple[Callable[[Case], Any], Callable[[Case], Any]]] = {
    "prior_grid": (lambda _: list(GRID), lambda outputs: outputs["grid"]),
    "rate_ratio_eprocess_harm": (harm_path, lambda outputs: outputs["log_e_path"]),
    "rate_ratio_eprocess_noninf": (safety_path, lambda outputs: outputs["log_e_path"]),
    "rate_ratio_single": (lambda case: [_likelihood(case, case["xT"], case["xC"])], lambda outputs: [outputs["log_e"]]),
    "rate_ratio_cs": (interval, lambda outputs: [outputs["low"], outputs["high"]]),
    "validity_hypergeometric": (hypergeometric, lambda outputs: outputs["expectation"]),
    "validity_bernoulli_margin": (bernoulli, lambda outputs: outputs["expectation"]),
    "absolute_limit_evalue": (
        lambda case: [log_above(case["x"], case["n"], limit=case["p_max"], prior=(case["a"], case["b"]))],
        lambda outputs: [outputs["log_e"]],
    ),
}
"""What we have, by the beginning of a case's name."""

OURS = {name: method for name in CASES for prefix, method in METHODS.items() if name.startswith(prefix)}


@pytest.mark.parametrize("name", OURS)
def test_independent_libraries_compute_the_same(name: str) -> None:
    case, (compute, expected) = CASES[name], OURS[name]
    computed = compute(case["inputs"])
    assert computed == pytest.approx(expected(case["outputs"]), rel=case["rtol"], abs=case["rtol"]), case["call"]


def test_the_cases_that_are_left_out_are_of_methods_that_we_do_not_have() -> None:
    left_out = sorted({case["topic"] for name, case in CASES.items() if name not in OURS})
    sys.stdout.write(f"\n{len(OURS)} of {len(CASES)} reference cases were run; left out: {'; '.join(left_out)}\n")
    assert len(OURS) >= 10
    assert not [topic for topic in left_out if "harm" in topic and "e-process" in topic]


COUNTS = st.integers(0, 10_000)
BATCHES = st.builds(lambda t, x, c, y: Batch(t + x, x, c + y, y), COUNTS, st.integers(0, 300), COUNTS, st.integers(0, 300))


@given(batches=st.lists(BATCHES, max_size=8), limit=st.sampled_from([1.0, 1.05, 1.5]))
def test_evidence_does_not_depend_on_the_order_of_the_batches(batches: list[Batch], limit: float) -> None:
    def evidence(ordered: list[Batch]) -> float:
        whole = NO_EVIDENCE
        for each in ordered:
            whole = add_harm(whole, each, limit=limit)
        return log_mean(whole)

    assert evidence(batches) == pytest.approx(evidence(batches[::-1]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("empty", [Batch(0, 0, 100, 5), Batch(100, 5, 0, 0), Batch(0, 0, 0, 0)])
def test_a_batch_with_nothing_in_an_arm_is_no_evidence(empty: Batch) -> None:
    assert add_harm(NO_EVIDENCE, empty) == add_safety(NO_EVIDENCE, empty, limit=1.2) == NO_EVIDENCE


@given(batches=st.lists(BATCHES, max_size=5), alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_the_interval_holds_the_observed_ratio_and_is_wider_for_less_risk(batches: list[Batch], alpha: float) -> None:
    wide, narrow = ratio_interval(batches, alpha=alpha / 2), ratio_interval(batches, alpha=alpha)
    assert 0 <= wide.low <= narrow.low <= narrow.high <= wide.high


def test_without_evidence_any_ratio_is_possible() -> None:
    assert ratio_interval([], alpha=0.05) == (0, inf)
    assert ratio_interval([Batch(100, 0, 100, 0)], alpha=0.05) == (0, inf)


def test_clusters_of_events_are_scaled_in_both_arms() -> None:
    assert Batch(100, 10, 1000, 50).scaled(5) == Batch(100, 2, 1000, 10)


@given(parts=st.lists(st.floats(-500, 500), min_size=1, max_size=24))
def test_the_mean_of_e_values_lies_among_them(parts: list[float]) -> None:
    assert min(parts) - 1e-9 <= log_mean(parts) <= max(parts) + 1e-9


def test_the_mean_of_impossibilities_is_impossible() -> None:
    assert log_mean([-inf, -inf]) == -inf


@pytest.mark.parametrize(("x", "a", "b"), [(0.02, 0.5, 0.5), (0.5, 3, 4), (0.9, 100, 2), (0.001, 1, 1), (0.3, 2, 300)])
def test_the_tails_of_a_beta_distribution_add_up_to_one(x: float, a: float, b: float) -> None:
    assert isclose(exp(log_upper_beta(a, b, x)) + exp(log_upper_beta(b, a, 1 - x)), 1, rel_tol=1e-12)


@pytest.mark.parametrize(("n", "x"), [(5, 0.2), (20, 0.01), (1000, 0.5)])
def test_the_upper_tail_of_a_power_distribution_is_what_it_is(n: int, x: float) -> None:
    """Beta(1, n) has the upper tail (1 - x)^n."""
    assert log_upper_beta(1, n, x) == pytest.approx(n * log(1 - x), rel=1e-12)


def test_more_events_are_more_evidence_against_a_limit_and_none_is_none() -> None:
    path = [log_above(events, 1_000, limit=0.02) for events in range(0, 200, 10)]
    assert path == sorted(path)
    assert log_above(0, 0, limit=0.02) == 0
    assert log_above(8, 100, limit=0.02) > log(1)


@given(share=st.floats(0.001, 0.999), treatment=st.integers(0, 50), control=st.integers(0, 50))
def test_evidence_of_sample_ratios_is_that_of_tilted_odds(share: float, treatment: int, control: int) -> None:
    evidence = add_sample_ratio(NO_SRM_EVIDENCE, treatment=treatment, control=control, share=share)
    for tilt, log_e in zip((*TILTS, *(-tilt for tilt in TILTS)), evidence, strict=True):
        theta = share * exp(tilt) / (share * exp(tilt) + 1 - share)
        expected = treatment * log(theta / share) + control * log((1 - theta) / (1 - share))
        assert log_e == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(share=st.floats(0.01, 0.99), tilt=st.sampled_from(TILTS))
def test_each_unit_is_a_fair_bet_on_the_sample_ratio(share: float, tilt: float) -> None:
    won, lost = (add_sample_ratio(NO_SRM_EVIDENCE, treatment=unit, control=1 - unit, share=share)[TILTS.index(tilt)] for unit in (1, 0))
    assert share * exp(won) + (1 - share) * exp(lost) == pytest.approx(1, rel=1e-12)
