"""What nests deeper than this Python reads is cut, and nothing beside it."""

import json
import logging
from typing import Any

import aiohttp
import kopf
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from kopf._cogs.clients import api

from rampgate_operator.adapters import deep_json
from rampgate_operator.adapters.deep_json import MOST_LEVELS, loads, teach_kopf
from tools.devcluster.loopback import free_port

DEEP = 150_000
ODD = st.text(alphabet='[]{}",:\\\\\n e\u20ac') | st.text()
JSON = st.recursive(st.none() | st.booleans() | st.integers() | ODD, lambda inner: st.lists(inner) | st.dictionaries(ODD, inner))


def cut(value: Any, levels: int) -> Any:  # JSON
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return None
    return [cut(each, levels - 1) for each in value] if isinstance(value, list) else {key: cut(value[key], levels - 1) for key in value}


@given(JSON, st.integers(min_value=0, max_value=4), st.sampled_from([None, 1]), st.booleans())
def test_what_lies_below_is_null_and_all_else_stays(value: Any, levels: int, indent: int | None, is_ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deep_json, "MOST_LEVELS", levels)
        assert json.loads("".join(deep_json._cut(text))) == cut(value, levels)


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}"), ('[{"]":"\\\\","a":', "}]")])
def test_a_list_with_an_object_that_nests_without_end_is_read(opens: str, closes: str) -> None:
    deep = opens * DEEP + "1" + closes * DEEP
    found = loads(f'{{"items":[{{"name":"before"}},{{"name":"deep","value":{deep},"x":["\\"]"]}},{{"name":"after"}}]}}'.encode())
    assert [each["name"] for each in found["items"]] == ["before", "deep", "after"]
    assert found["items"][1]["x"] == ['"]']
    levels, inner = 0, found["items"][1]["value"]
    while isinstance(inner, dict | list):
        levels, inner = levels + 1, inner["a"] if isinstance(inner, dict) else inner[0]
    assert (levels, inner) == (MOST_LEVELS - 3, None)  # those around it are of the same text


@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEP,
        "[" * DEEP + "]" * (DEEP - 1),
        "[" * DEEP + "]" * DEEP + "]",
        '["' * DEEP + "]" * DEEP,
        "[" * DEEP + '"' + '\\"' * 500_000,  # an open string: to look for its end at each quote took hours
    ],
    ids=["open", "one short", "one too many", "strings", "an open string"],
)
def test_what_is_no_json_is_none_however_deep(text: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        loads(text)


async def test_kopf_reads_a_list_and_a_watch_of_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_: web.Request) -> web.Response:
        line = '{"type":"ADDED","object":' + "[" * DEEP + "]" * DEEP + "}\n"
        return web.Response(text=line, content_type="application/json")

    async def ask(*, method: str, url: str, **_: object) -> aiohttp.ClientResponse:
        return await session.request(method, url)

    monkeypatch.setattr(api, "json", json)
    monkeypatch.setattr(api, "request", ask)  # without a cluster to log in to
    teach_kopf()
    teach_kopf()  # as a process that watches again
    application, port, settings = web.Application(), free_port(), kopf.OperatorSettings()
    application.router.add_get("/", answer)
    runner, url, logger = web.AppRunner(application), f"http://127.0.0.1:{port}/", logging.getLogger("kopf")
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession() as session:
            read = [await api.get(url, settings=settings, logger=logger)]
            read += [line async for line in api.stream(url, settings=settings, logger=logger)]
    finally:
        await runner.cleanup()
    assert [each["type"] for each in read] == ["ADDED", "ADDED"]
