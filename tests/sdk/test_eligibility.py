"""rampgate.eligibility: conditions joined by all, any and not."""

from typing import Any

import pytest
from hypothesis import given, settings

from rampgate.conditions import Condition
from rampgate.eligibility import MAX_LEVELS, Group, Join, compile_test, parse_test
from rampgate.errors import NotUnderstoodError
from tests.sdk.nests import CONTEXTS, TESTS
from tools import vectors
from tools.vector_cases import within

PRO = {"attribute": "plan", "equals": "pro"}
US = {"attribute": "country", "in": ["US"]}


def test_a_nest_is_read_in_full() -> None:
    read = parse_test({"any": [PRO, {"not": {"all": [US]}}]})
    inner = Group(Join.NOT, (Group(Join.ALL, (Condition("country", "in", ("US",)),)),))
    assert read == Group(Join.ANY, (Condition("plan", "equals", ("pro",)), inner))


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ({"all": []}, "wanted a list with something in it for all"),
        ({"any": {}}, "wanted a list with something in it for any"),
        ({"any": None}, "wanted a list with something in it for any"),
        ({"not": None}, "wanted an object for each condition"),
        ({"not": [PRO]}, "wanted an object for each condition"),
        ({"any": [PRO, 1]}, "wanted an object for each condition"),
        ({"all": [PRO], "any": [US]}, "all, any and not stand alone"),
        ({**PRO, "not": US}, "all, any and not stand alone"),
        ({"not": {"attribute": "plan"}}, "exactly one operator"),
        ({"all": [{"attribute": "plan", "matches": "p"}]}, "unknown operator 'matches'"),
        (within(MAX_LEVELS + 1, PRO), "groups nest deeper than 8 levels"),
        (within(500, PRO), "groups nest deeper than 8 levels"),
    ],
)
def test_what_is_no_test_is_not_understood(test: Any, problem: str) -> None:
    with pytest.raises(NotUnderstoodError, match=problem):
        parse_test(test)


def test_as_many_levels_as_may_be_are_understood() -> None:
    assert compile_test(parse_test(within(MAX_LEVELS, PRO)))({"plan": "pro"})


@pytest.mark.parametrize("context", [{}, {"plan": None}, {"plan": 5}, {"plan": ["free"]}], ids=["missing", "null", "a number", "a list"])
def test_not_matches_where_its_test_does_not_for_want_of_an_attribute_and_not_in_does_not(context: dict[str, object]) -> None:
    assert compile_test(parse_test({"not": {"attribute": "plan", "in": ["free"]}}))(context)
    assert not compile_test(parse_test({"attribute": "plan", "notIn": ["free"]}))(context)


@settings(deadline=None)
@given(test=TESTS, context=CONTEXTS)
def test_what_is_compiled_answers_as_the_plain_interpreter_does(test: Any, context: dict[str, Any]) -> None:
    assert compile_test(parse_test(test))(context) is vectors.matches(test, context)
