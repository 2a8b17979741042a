"""Answers of the API server: what one says, what is wrong with it, and that it is one at all.

Knows status codes, error bodies and what may stand in between. Must not know what was asked.
"""

import json
import re
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, cast

import aiohttp
from kubernetes.aio import client

from rampgate_operator.adapters import deep_json
from rampgate_operator.ports import Body, ClusterError, ConflictError, DeniedError, ForbiddenError

LONGEST_MESSAGE = 300
_LACKS_RIGHT = re.compile(r'User ".*" cannot [a-z]+ (resource|path) "')


class UnprocessableError(ClusterError):
    """Status 422."""


async def answered(request: Awaitable[Any], *, may_be_absent: bool = False) -> Any:  # noqa: ANN401  # JSON
    """Wait for an answer; 404 is None where something may be absent. Raw bodies of errors are not passed on.

    An answer that says success may all the same be of something in between, or an object that a model of the client refuses.
    """
    try:
        return await request
    except client.ApiException as error:
        if error.status == HTTPStatus.NOT_FOUND and may_be_absent:
            return None
        if error.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise UnprocessableError(_message(error)) from error
        if error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
            raise ConflictError(f"{error.status} {error.reason}") from error
        if error.status == HTTPStatus.FORBIDDEN:
            raise _forbidden(error) from error
        raise ClusterError(f"the API server answered {error.status} {error.reason}", retry_after=_retry_after(error)) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ClusterError(f"the API server could not be reached: {type(error).__name__}") from error
    except ValueError as error:
        raise ClusterError("the API server's answer is no JSON of what was asked for") from error


async def object_of(request: Awaitable[Any], *, may_be_absent: bool = False) -> Body | None:
    """Wait for an object; only 404 says that there is none."""

    async def checked() -> Body:
        found = await request
        if not _is_object(found):  # of something in between
            raise ClusterError("the API server's answer is no object")
        return cast("Body", found)

    return cast("Body | None", await answered(checked(), may_be_absent=may_be_absent))


def items_of(listed: Any) -> list[Body]:  # noqa: ANN401  # JSON
    """Give the objects of a list; raises ClusterError when it is none."""
    items = listed.get("items", "") if isinstance(listed, dict) else ""
    if items is not None and not (isinstance(items, list) and all(map(_is_object, items))):  # of something in between
        raise ClusterError("the API server's answer is no list")
    return items or []  # null is how Go writes a list of nothing


async def read_json(request: Awaitable[Any]) -> Any:  # noqa: ANN401  # JSON
    """Read an answer as it came: what a tenant wrote may be what a model of the client refuses, such as a year 0 in `managedFields`."""
    return deep_json.loads(await read_body(request))


async def read_body(request: Awaitable[Any]) -> bytes:
    """Read an answer that the client leaves as it came; raises what the client would have raised by itself."""
    response = await request
    body: bytes = await response.read()
    if not response.ok:
        error = client.ApiException(status=response.status, reason=response.reason)
        error.headers, error.body = response.headers, body.decode(errors="replace")
        raise error
    return body


def plain(model: Any) -> dict[str, Any]:  # noqa: ANN401  # a generated model
    """Give the JSON of a generated model."""
    return cast("dict[str, Any]", json.loads(model.to_json()))


def _is_object(found: object) -> bool:
    metadata = found.get("metadata") if isinstance(found, dict) else None
    return isinstance(metadata, dict) and "name" in metadata


def _sentence(error: client.ApiException) -> str:
    """Give the API server's sentence, in one line."""
    try:
        sentence = str(deep_json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        sentence = str(error.reason)
    return " ".join(sentence.split())


def _message(error: client.ApiException) -> str:
    """Give the API server's sentence, not more than a line of it."""
    return _sentence(error)[:LONGEST_MESSAGE]


def _forbidden(error: client.ApiException) -> ForbiddenError:
    """Tell a missing right from a refusal by admission: every authorizer's answer is put in the same words by the API server."""
    kind = ForbiddenError if _LACKS_RIGHT.search(_sentence(error)) else DeniedError
    return kind(f"the API server answered 403 Forbidden: {_message(error)}")


def _retry_after(error: client.ApiException) -> float:
    """Give the seconds for which the API server wants not to be asked again; kube-apiserver says them as a number."""
    said = str((error.headers or {}).get("Retry-After", ""))
    return float(said) if said.isdecimal() else 0.0
