"""JSON of the API server, however deep: where it nests deeper than Python reads, the rest is null.

kube-apiserver takes 10,000 levels where no schema says what is inside, as in a variant's value. Python reads as many as the recursion
limit has frames up to 3.11, and from 3.12 on as many as it was built for: 1,500, or 10,000 with those of the list around it. One tenant's
object must be refused by a condition, and neither end the watch of all others nor keep a list from being read.
Knows brackets. Must not know what is inside.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
from kopf._cogs.clients import api

MOST_LEVELS = 200
"""Of what is cut: more than any schema has, and fewer than any Python reads."""
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def loads(text: str | bytes) -> Any:  # noqa: ANN401  # JSON
    """Read JSON; of what is too deep for this Python, all below MOST_LEVELS is null, whatever it is. Raises ValueError if it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        return json.loads("".join(_cut(text if isinstance(text, str) else text.decode())))


def _cut(text: str) -> Iterator[str]:
    levels, written = 0, 0
    for token in _TOKEN.finditer(text):
        if (bracket := token[0]) in ("[", "{"):
            levels += 1
            if levels == MOST_LEVELS + 1:
                yield text[written : token.start()]
                yield "null"
        elif bracket in ("]", "}"):
            if levels == MOST_LEVELS + 1:
                written = token.end()
            levels -= 1
    if levels <= MOST_LEVELS:
        yield text[written:]


def teach_kopf() -> None:
    """Let kopf read its lists and its watch likewise: it has no setting for its watch, and ends with what it cannot read."""
    kopf_api: Any = api
    if kopf_api.json is not _JSON:
        kopf_api.json, kopf_api.request = _JSON, partial(_request, kopf_api.request)


async def _request(request: Any, *args: Any, **kwargs: Any) -> aiohttp.ClientResponse:  # noqa: ANN401  # kopf's
    response: aiohttp.ClientResponse = await request(*args, **kwargs)
    response.json = partial(response.json, loads=loads)  # type: ignore[method-assign]
    return response


_JSON = SimpleNamespace(loads=loads)
