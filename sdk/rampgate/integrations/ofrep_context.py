"""The body of an OFREP request: from bytes that anybody may send to a context.

Knows JSON, its limits, and what the protocol calls a refusal. Must not know how a body travels, nor what a context is used for. What is
ambiguous is refused: a key that is there twice could name one unit to a proxy and another to us.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

Context = dict[str, object]


class Limits(NamedTuple):
    """What a request may ask for: bytes of a body, values in a context (inner ones too), their levels, and gates of a bulk evaluation."""

    body: int = 65_536
    context: int = 1_000
    depth: int = 10
    bulk: int = 2_000


LIMITS = Limits()


class RefusedError(Exception):
    """A request that is not answered: its HTTP status, OpenFeature's error code, and a sentence."""

    def __init__(self, status: int, code: str, details: str) -> None:
        super().__init__(details)
        self.status, self.code, self.details = status, code, details


def read_context(body: bytes, limits: Limits) -> Context:
    """Read `{"context": {…}}`; without a body, or without a context, it is empty. Raises RefusedError."""
    try:
        request = _DECODER.decode(body.decode()) if body.strip() else {}
    except RecursionError:
        raise RefusedError(400, "PARSE_ERROR", "the body is nested too deeply") from None
    except ValueError as error:
        raise RefusedError(400, "PARSE_ERROR", f"the body is no JSON: {error}"[:200]) from None
    if not isinstance(request, dict):
        raise RefusedError(400, "PARSE_ERROR", "the body is no JSON object")
    context = request.get("context", {})
    if not isinstance(context, dict):
        raise RefusedError(400, "INVALID_CONTEXT", "context: wanted an object")
    _check(context, limits)
    return context


def _check(context: Context, limits: Limits) -> None:
    level: list[object] = [context]
    values = 0
    for _ in range(limits.depth):
        inner: list[object] = []
        for each in level:
            found: Iterable[object] = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
            for value in found:
                values += 1
                if isinstance(value, (dict, list)):
                    inner.append(value)
        if values > limits.context:
            raise RefusedError(400, "INVALID_CONTEXT", f"context: more than {limits.context} values")
        if not inner:
            return
        level = inner
    raise RefusedError(400, "INVALID_CONTEXT", f"context: more than {limits.depth} levels")


def _object(pairs: list[tuple[str, object]]) -> Context:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)
