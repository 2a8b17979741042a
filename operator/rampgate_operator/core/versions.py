"""Ranges of versions as people write them in Kubernetes, expanded into comparisons: the SDK compares numbers, and knows no ranges.

The grammar is that of Helm (github.com/Masterminds/semver, "Checking Version Constraints"): comparisons joined by blanks or commas, `||`
between alternatives, `~1.2`, `^1.2`, `1.x`, `1.2 - 2.3`; a part that is missing is like `x`. Other than there: pre-releases are compared,
not left out (docs/rules-format.md); `!=1.x`, `<*` and `>*` are refused; `<=*` and `^*` let every version in, and `~0.0.0` no minor above.
Knows texts and numbers; nothing of conditions or contexts.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import semver

Comparison = list[str | list[int]]
"""An operator and a version, `[">=", [2, 4, 0]]`, as the gate's entry has it."""

_COMPARISON = re.compile(r"(?P<operator>=|!=|<=|>=|<|>|~>|~|\^)?\s*(?P<version>[vV]?[0-9xX*][^\s,]*)")
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
_SEPARATORS = re.compile(r"[\s,]*")
_OPEN = re.compile(r"(?:\.?[xX*])+$")
_HELP = "use =, !=, <, <=, >, >=, ~ or ^ and a version, such as >=2.4.0 <3.0.0"


class _Version(NamedTuple):
    """A version whose last parts may be open: `1.x`, `1`."""

    parts: tuple[int, ...]

    @property
    def low(self) -> list[int]:
        """The least version that it can be."""
        return [*self.parts, 0, 0, 0][:3]

    def above(self, part: int) -> list[int]:
        """The least version with a higher major (0), minor (1) or patch (2)."""
        return [*self.low[:part], self.low[part] + 1, 0, 0][:3]

    @property
    def past(self) -> list[int]:
        """The least version above all that it can be; of one that is open at the end only."""
        return self.above(len(self.parts) - 1)


def compile_semver(text: str) -> list[list[Comparison]]:
    """Read a range; gives alternatives, each of comparisons that must all hold. ValueError with a sentence when it is none.

    Build metadata and pre-releases are refused, since they would not survive in the entry.
    """
    return [_compile_alternative(alternative) for alternative in text.split("||")]


def _compile_alternative(text: str) -> list[Comparison]:
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen is not None:
        return [*_expand(">=", hyphen[1]), *_expand("<=", hyphen[2])]
    comparisons: list[Comparison] = []
    position = _end_of_separators(text, 0)
    while position < len(text):
        match = _COMPARISON.match(text, position)
        if match is None:
            raise ValueError(f"{text[position:]!r} is no comparison; {_HELP}")
        comparisons += _expand(match["operator"] or "=", match["version"])
        position = _end_of_separators(text, match.end())
    if not comparisons:
        raise ValueError(f"there is no comparison in {'it' if not text.strip() else repr(text)}; {_HELP}")
    return comparisons


def _end_of_separators(text: str, position: int) -> int:
    match = _SEPARATORS.match(text, position)
    return match.end() if match else position


def _expand(operator: str, text: str) -> Iterator[Comparison]:
    version = _read(text)
    count = len(version.parts)
    if count == 0:  # `*`
        if operator in {"!=", "<", ">"}:
            raise ValueError(f"'{operator}{text}' lets no version in; leave the condition out, or write a version")
        yield [">=", [0, 0, 0]]
    elif operator in {"~", "~>"}:
        yield from _between(version, version.above(min(count - 1, 1)))
    elif operator == "^":
        first = next((place for place, part in enumerate(version.parts) if part), count - 1)
        yield from _between(version, version.above(first))
    elif count == 3 or operator in {">=", "<"}:
        yield [operator, version.low]
    elif operator == "=":
        yield from _between(version, version.past)
    elif operator == "!=":
        low, past = (".".join(map(str, bound)) for bound in (version.low, version.past))
        raise ValueError(f"'!={text}' leaves out a range; write <{low} || >={past}")
    else:
        yield [">=" if operator == ">" else "<", version.past]


def _between(version: _Version, past: list[int]) -> Iterator[Comparison]:
    yield [">=", version.low]
    yield ["<", past]


def _read(text: str) -> _Version:
    written = text[1:] if text[:1] in "vV" else text
    closed = _OPEN.sub("", written)
    if not closed and written.count(".") <= 2:
        return _Version(())
    try:
        version = semver.Version.parse(closed, optional_minor_and_patch=True)
    except ValueError:
        raise ValueError(f"{text!r} is no version; write it as major.minor.patch, such as 2.4.0") from None
    if version.prerelease or version.build:
        raise ValueError(f"{text!r} has a pre-release or build part; compare with {version.finalize_version()} or another release")
    if written.count(".") > 2:
        raise ValueError(f"{text!r} is no version; write it as major.minor.patch, such as 2.4.0")
    return _Version((version.major, version.minor, version.patch)[: closed.count(".") + 1])
