"""Ranges of versions become comparisons, as Helm reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rampgate_operator.core.versions import Comparison, compile_semver

PART = st.integers(0, 12)
VERSION = st.tuples(PART, PART, PART)
Version = tuple[int, int, int]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">=2.4.0", [[">=", [2, 4, 0]]]),
        (">=2.4.0 <3.0.0", [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]),
        (" >= 2.4 , < v3 ", [[">=", [2, 4, 0]], ["<", [3, 0, 0]]]),
        (">=2,<3,!=2.5.1", [[">=", [2, 0, 0]], ["<", [3, 0, 0]], ["!=", [2, 5, 1]]]),
        ("1.2.3", [["=", [1, 2, 3]]]),
        (">0.0.0 <=10.20.30", [[">", [0, 0, 0]], ["<=", [10, 20, 30]]]),
        ("=V1", [[">=", [1, 0, 0]], ["<", [2, 0, 0]]]),
        ("1.2.x", [[">=", [1, 2, 0]], ["<", [1, 3, 0]]]),
        ("1.*", [[">=", [1, 0, 0]], ["<", [2, 0, 0]]]),
        ("1.X.X", [[">=", [1, 0, 0]], ["<", [2, 0, 0]]]),
        ("*", [[">=", [0, 0, 0]]]),
        ("x.x", [[">=", [0, 0, 0]]]),
        (">1", [[">=", [2, 0, 0]]]),
        (">1.2.x", [[">=", [1, 3, 0]]]),
        ("<=1", [["<", [2, 0, 0]]]),
        ("<=1.2", [["<", [1, 3, 0]]]),
        (">=1.x <2.x", [[">=", [1, 0, 0]], ["<", [2, 0, 0]]]),
        ("~1.2.3", [[">=", [1, 2, 3]], ["<", [1, 3, 0]]]),
        ("~> 1.2", [[">=", [1, 2, 0]], ["<", [1, 3, 0]]]),
        ("~1", [[">=", [1, 0, 0]], ["<", [2, 0, 0]]]),
        ("~0.0.3", [[">=", [0, 0, 3]], ["<", [0, 1, 0]]]),
        ("^1.2.3", [[">=", [1, 2, 3]], ["<", [2, 0, 0]]]),
        ("^1.2.x", [[">=", [1, 2, 0]], ["<", [2, 0, 0]]]),
        ("^1", [[">=", [1, 0, 0]], ["<", [2, 0, 0]]]),
        ("^0.2.3", [[">=", [0, 2, 3]], ["<", [0, 3, 0]]]),
        ("^0.2", [[">=", [0, 2, 0]], ["<", [0, 3, 0]]]),
        ("^0.0.3", [[">=", [0, 0, 3]], ["<", [0, 0, 4]]]),
        ("^0.0", [[">=", [0, 0, 0]], ["<", [0, 1, 0]]]),
        ("^0.0.0", [[">=", [0, 0, 0]], ["<", [0, 0, 1]]]),
        ("^0", [[">=", [0, 0, 0]], ["<", [1, 0, 0]]]),
        ("1.2 - 1.4.5", [[">=", [1, 2, 0]], ["<=", [1, 4, 5]]]),
        ("1.2.3 - 2.3", [[">=", [1, 2, 3]], ["<", [2, 4, 0]]]),
    ],
)
def test_a_range_becomes(text: str, expected: list[Comparison]) -> None:
    assert compile_semver(text) == [expected]


def test_alternatives_are_kept_apart() -> None:
    assert compile_semver("<1 || ^2.4 || 5.0.0") == [[["<", [1, 0, 0]]], [[">=", [2, 4, 0]], ["<", [3, 0, 0]]], [["=", [5, 0, 0]]]]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("  ", "there is no comparison in it"),
        (">=", "'>=' is no comparison"),
        ("^", r"'\^' is no comparison"),
        ("==1.2", "'==1.2' is no comparison"),
        (">=1.0 ||", "there is no comparison in it"),
        (">=1.0 | <0.5", r"'\| <0.5' is no comparison"),
        ("latest", "'latest' is no comparison"),
        (">=1.2.3.4", "'1.2.3.4' is no version"),
        (">=1.2.3.x", r"'1.2.3.x' is no version"),
        ("x.x.x.x", r"'x.x.x.x' is no version"),
        (">=1.x.3", "'1.x.3' is no version"),
        (">=01.2", "'01.2' is no version"),
        (">=1.2<2", "'1.2<2' is no version"),
        (">=1.2.3-rc.1", "'1.2.3-rc.1' has a pre-release or build part; compare with 1.2.3"),
        (">=1.2.3+5", r"'1.2.3\+5' has a pre-release or build part"),
        ("!=1.x", r"'!=1.x' leaves out a range; write <1.0.0 \|\| >=2.0.0"),
        ("<*", r"'<\*' lets no version in"),
        ("1.2 - ", r"'- ' is no comparison"),
    ],
)
def test_what_is_no_range_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        compile_semver(text)


def holds(version: Version, text: str) -> bool:
    signs = {
        "=": version.__eq__, "!=": version.__ne__, "<": version.__lt__, "<=": version.__le__, ">": version.__gt__, ">=": version.__ge__,
    }  # fmt: skip
    return any(all(signs[str(sign)](tuple(bound)) for sign, bound in each) for each in compile_semver(text))


@given(version=VERSION, base=VERSION)
def test_a_tilde_keeps_the_minor_and_a_caret_what_stands_before_its_first_number(
    version: tuple[int, int, int], base: tuple[int, int, int]
) -> None:
    text = ".".join(map(str, base))
    assert holds(version, f"~{text}") == (version >= base and version[:2] == base[:2])
    kept = next((place + 1 for place, part in enumerate(base) if part), 3)
    assert holds(version, f"^{text}") == (version >= base and version[:kept] == base[:kept])


@given(version=VERSION, major=PART)
def test_an_open_part_is_every_number(version: Version, major: int) -> None:
    for text in (f"{major}", f"{major}.x", f"={major}.*.*"):
        assert holds(version, text) == (version[0] == major)
    assert holds(version, f"<{major} || >{major}.x") == (version[0] != major)


@pytest.mark.parametrize("text", [*map(str, range(3)), *(f"{a}{b}" for a in ("^", "~", ">", "<=") for b in ("0", "1.2", "1.2.3"))])
def test_a_leading_v_and_blanks_change_nothing(text: str) -> None:
    operator = text.rstrip("0123456789.")
    assert compile_semver(text) == compile_semver(f" {operator} v{text.removeprefix(operator)} ")
