"""Hypothesis's eligibility: tests of every operator within groups, and contexts that come near their bounds."""

from itertools import product
from typing import Any

from hypothesis import strategies as st

from tools import vector_cases

_ATTRIBUTES = ("x", "user.x")
_OPERATORS: list[dict[str, Any]] = [
    {"in": ["pro", "beta"]},
    {"notIn": ["pro", "beta"]},
    {"semver": [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]},
    *vector_cases.TESTS.values(),
]
CONDITIONS = st.sampled_from([{"attribute": attribute, **test} for attribute, test in product(_ATTRIBUTES, _OPERATORS)])


def _grouped(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries({"all": lists}) | st.fixed_dictionaries({"any": lists}) | st.fixed_dictionaries({"not": inner})


def _levels(number: int) -> st.SearchStrategy[dict[str, Any]]:
    return CONDITIONS if number == 0 else CONDITIONS | _grouped(_levels(number - 1))


TESTS = _levels(4)
"""Conditions, and groups of up to four levels."""
_VALUES = st.sampled_from(vector_cases.TESTED)
CONTEXTS = st.fixed_dictionaries(
    {}, optional={"x": _VALUES, "user.x": _VALUES, "user": st.fixed_dictionaries({}, optional={"x": _VALUES}) | _VALUES}
)
"""Contexts with none, some or all of the attributes that the tests name, of every type."""
