"""Answers that are remembered, of so many characters together: lru_cache counts answers, and a tenant's text may be a mebibyte."""

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def remember(*, characters: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Remember a pure function's last answers: those of texts that have together no more than so many characters. For many threads."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known: OrderedDict[tuple[object, ...], R] = OrderedDict()
        lock, held = Lock(), 0

        @wraps(function)
        def answer(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal held
            key = (*args, *kwargs.values())
            with lock:
                if key in known:
                    known.move_to_end(key)
                    return known[key]
            found = function(*args, **kwargs)
            with lock:
                if key not in known:
                    held += _length(key)
                    known[key] = found
                while held > characters:
                    held -= _length(known.popitem(last=False)[0])
            return found

        return answer

    return decorate


def _length(key: tuple[object, ...]) -> int:
    """Give the characters of its texts, and some for each answer that there is."""
    return 64 + sum(len(each) for each in key if isinstance(each, str))
