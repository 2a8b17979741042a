"""flagd's own evaluators and the SDK give every unit the same variant."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rampgate.bucketing import HashInput
from rampgate.rules import render_entry
from rampgate_operator.core.flagd import compile_flagd
from tests.flagd.corpus import CONTEXTS, FIELDS, MISSING, VALUES, context_of, disagreements, gates_of, questions
from tests.flagd.evaluators import EVALUATORS, JAVASCRIPT_1, Asked, Evaluator
from tests.sdk.entries import Fields, entry

UNITS = 10_000
OTHERS = (*EVALUATORS[:3], JAVASCRIPT_1)


@pytest.fixture(scope="module", params=EVALUATORS, ids=str)
def evaluator(request: pytest.FixtureRequest) -> Evaluator:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def asked(evaluator: Evaluator) -> Iterator[Asked]:
    if evaluator.missing:
        pytest.skip(f"{evaluator}: {evaluator.missing}")
    with evaluator.running() as running:
        yield running


def hashed(evaluator: Evaluator) -> str:
    assert evaluator.hash_input is not None
    return evaluator.hash_input.value


def test_every_unit_gets_the_same_variant_by_every_gate(evaluator: Evaluator, asked: Asked) -> None:
    gates = gates_of(hashed(evaluator))
    contexts = [
        context_of(userId=f"u{unit}", targetingKey=f"t{unit}", a=VALUES[unit % len(VALUES)], b=VALUES[unit * 7 // 5 % len(VALUES)])
        for unit in range(UNITS)
    ]
    assert disagreements(asked, gates, questions(gates, contexts))[:3] == []


def test_what_is_no_unit_gets_the_same_variant(evaluator: Evaluator, asked: Asked) -> None:
    gates = gates_of(hashed(evaluator))
    units = [value for value in VALUES if not isinstance(value, str) or value.isascii()]
    contexts = [context_of(userId=unit, targetingKey=key, a="US", b=3) for unit in units for key in (MISSING, "", "t1")]
    assert disagreements(asked, gates, questions(gates, contexts))[:3] == []


def test_a_killed_gate_is_on_control(evaluator: Evaluator, asked: Asked) -> None:
    gates, contexts = gates_of(hashed(evaluator)), [{"userId": f"u{unit}", "a": "US"} for unit in range(50)]
    assert disagreements(asked, gates, questions(gates, contexts), kill="everybody, shipped overridden")[:3] == []
    assert disagreements(asked, gates, questions(gates, contexts), kill="*")[:3] == []


def test_units_beyond_ascii_get_the_same_variant_in_python(evaluator: Evaluator, asked: Asked) -> None:
    gates = {"g": entry(hashInput=hashed(evaluator))}
    differ = disagreements(asked, gates, questions(gates, [{"userId": f"müller-{unit}-😀"} for unit in range(2_000)]))
    assert bool(differ) is bool(evaluator.arguments)  # JavaScript's hash is another one beyond ASCII (docs/flagd.md)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(fields=FIELDS, contexts=st.lists(CONTEXTS, min_size=1, max_size=12))
def test_whatever_an_entry_and_a_context_say_the_variant_is_the_same(
    evaluator: Evaluator, asked: Asked, fields: Fields, contexts: list[Fields]
) -> None:
    gates = {"g": entry(hashInput=hashed(evaluator), **fields)}
    assert disagreements(asked, gates, questions(gates, contexts)) == []


@pytest.mark.parametrize("other", OTHERS, ids=str)
@pytest.mark.parametrize("hash_input", HashInput)
def test_an_evaluator_that_hashes_otherwise_draws_nobody(other: Evaluator, hash_input: HashInput) -> None:
    if other.missing:
        pytest.skip(f"{other}: {other.missing}")
    document = compile_flagd({"data": {"g.json": render_entry(entry(hashInput=hash_input.value, percent=100))}})
    with other.running() as running:
        answers = running.ask(document.text, questions("g", [{"userId": f"u{unit}"} for unit in range(200)]))
    assert ({variant for variant, _ in answers} == {"control"}) is (other.hash_input is not hash_input)
