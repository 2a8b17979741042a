"""Answers that are remembered, of so many characters together: lru_cache counts answers, and a tenant's text may be a mebibyte."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def remember(*, characters: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Remember a pure function's answers, until their texts have together more than so many characters: then all are forgotten.

    Threads may meet in it: then one is asked twice, or counted twice until all are forgotten.
    """

    def _decorate(function: Callable[P, R]) -> Callable[P, R]:
        known: dict[tuple[object, ...], tuple[R]] = {}
        held = 0

        @wraps(function)
        def _answer(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal held
            key = (*args, *sorted(kwargs.items()))
            if (found := known.get(key)) is None:
                found = (function(*args, **kwargs),)
                length = _length(key)
                if held + length > characters:
                    known.clear()
                    held = 0
                known[key] = found
                held += length
            return found[0]

        return _answer

    return _decorate


def _length(key: tuple[object, ...]) -> int:
    """Give the characters of its texts, and some for each answer that there is."""
    return 64 + sum(len(each) for each in key if isinstance(each, str))
