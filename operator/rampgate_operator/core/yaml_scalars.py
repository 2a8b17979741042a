"""What go-yaml v2, and so kubectl, takes a plain scalar for: a YAML 1.1 that is neither PyYAML's nor YAML 1.2.

Knows texts and their types; nothing of documents. Source: `resolve` of go.yaml.in/yaml/v2; kubectl itself in
tests/contract/test_yaml.py.
"""

import math
import re
from collections.abc import Mapping

_LARGEST, _LONGEST = 2**64 - 1, 70
"""Beyond it, and below -2^63, a whole number becomes a float; none of the others has more characters, in any base."""
_INTEGER = re.compile(r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NUMERIC = frozenset("+-.0123456789")
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}


def read_plain(text: str) -> str | int | float | bool | None:
    """Give the value of an unquoted scalar. What looks like a time stays a text, as it does for kubectl."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    digits = text.replace("_", "")
    whole = _whole_number(digits)
    if whole is not None:
        return whole
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    return number if math.isfinite(number) else text


def _whole_number(digits: str) -> int | None:
    found = _INTEGER.fullmatch(digits)
    if found is None or len(digits) > _LONGEST:
        return None
    number = next(int(found[name], base) for name, base in _BASES.items() if found[name] is not None)
    number = -number if found["sign"] == "-" else number
    return number if -(2**63) <= number <= _LARGEST else None


def _spellings(*words: str) -> tuple[str, ...]:
    return tuple(form for word in words for form in (word, word.capitalize(), word.upper()))


_WORDS: Mapping[str, bool | float | None] = {
    **dict.fromkeys(_spellings("y", "yes", "true", "on"), True),
    **dict.fromkeys(_spellings("n", "no", "false", "off"), False),
    **dict.fromkeys(("", "~", *_spellings("null")), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((f"{sign}{word}" for sign in ("", "+") for word in (".inf", ".Inf", ".INF")), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
