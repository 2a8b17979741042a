"""Whatever is sent to the OFREP application, it is answered: with JSON, and never with a fault of its own."""

import asyncio
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from rampgate import Gates
from rampgate.integrations.ofrep import ofrep_app
from rampgate.integrations.ofrep_context import Limits
from tests.sdk.entries import entry
from tests.sdk.ofrep_server import FLAGS

CONDITIONS = [
    {"attribute": "a", "greaterThan": 1},
    {"attribute": "a.b", "in": ["x"]},
    {"attribute": "a", "semver": [[[">=", [1, 0, 0]]]]},
    {"attribute": "a", "before": "2026-01-01T00:00:00Z"},
    {"attribute": "a", "startsWith": ["x"]},
]
GATES = Gates.from_rules(
    {"g": entry()} | {f"g{number}": entry(gate=f"g{number}", eligibility=[condition]) for number, condition in enumerate(CONDITIONS)}
)
APP = ofrep_app(GATES, limits=Limits(context=10_000, depth=100), origins=["*"])
TEXTS = st.text(st.sampled_from('aéx1.2-/% \n\0"💡\ud800'))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20)
CONTEXTS = st.dictionaries(st.sampled_from(["userId", "a", "a.b", "targetingKey"]), JSON)
NAMES = (b"content-type", b"content-length", b"if-none-match", b"authorization", b"origin", b"x-api-key")
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), st.binary()))
Headers = list[tuple[bytes, bytes]]


def answer(body: bytes, *, path: str, method: str = "POST", headers: Headers | None = None) -> tuple[int, Any]:
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(APP({"type": "http", "method": method, "path": path, "headers": headers or []}, receive, send))
    start, content = said
    return start["status"], json.loads(content["body"]) if content["body"] else None


@given(st.binary())
@example(b"\xef\xbb\xbf{}")
@example(b'{"context":' * 400)
def test_any_bytes(body: bytes) -> None:
    for path in (FLAGS, f"{FLAGS}/g"):
        status, said = answer(body, path=path)
        assert status in (200, 400)
        assert (status == 200) != ("errorCode" in said)


@given(CONTEXTS, st.sampled_from(["", *sorted(GATES.names())]))
def test_any_context_is_decided_as_in_process(context: dict[str, object], gate: str) -> None:
    text = json.dumps({"context": context}).encode()
    status, said = answer(text, path=f"{FLAGS}/{gate}")
    if b"NaN" in text or b"Infinity" in text:
        assert status in (200, 400)  # 200: as a part of a text
        return
    assert status == 200
    for flag in said["flags"] if not gate else [said]:
        decision = GATES.peek(flag["key"], json.loads(text)["context"])
        assert (flag["variant"], flag["metadata"]["reason"]) == (decision.variant, decision.reason)


@given(TEXTS, st.sampled_from(["GET", "POST", "OPTIONS", "BREW"]), HEADERS)
def test_any_path_method_and_headers(path: str, method: str, headers: Headers) -> None:
    for each in (path, f"{FLAGS}/{path}", FLAGS):
        status, _ = answer(b"{}", path=each, method=method, headers=headers)
        assert 200 <= status < 500
