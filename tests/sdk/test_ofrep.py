"""rampgate.integrations.ofrep behind a real uvicorn: what the protocol says, and what strangers send."""

import json
import socket
from collections.abc import Iterator
from math import inf
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from rampgate import Gates
from rampgate.exposure import Observer
from rampgate.integrations import ofrep
from rampgate.integrations.ofrep import ofrep_app
from rampgate.integrations.ofrep_context import Limits
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.rules import render_entry
from rampgate.sources.memory import MemorySource
from tests.sdk.entries import Fields, entry
from tests.sdk.ofrep_server import FLAGS, JSON, Answer, Asked, listening
from tests.sdk.test_openfeature import Silent
from tests.sdk.waiting import eventually

ON = {"overrides": [{"variant": "treatment", "units": ["u-1"]}]}
LIMITS = Limits(body=4096, context=20, depth=4, bulk=10)


def valued(gate: str, value: object) -> Fields:
    """Everybody gets `value`."""
    control, treatment = {"name": "control", "value": None}, {"name": "treatment", "value": value}
    return entry(gate=gate, percent=100, control=control, variants=[{**control, "weight": 0}, {**treatment, "weight": 1}])


RULES: dict[str, Any] = {
    "g": entry(**ON),
    "text": valued("text", "new"),
    "list": valued("list", [1, {"a": None}]),
    "null": valued("null", None),
    "killed": entry(gate="killed", serve="KILLED"),
    "newer": entry(gate="newer", format=2),
    "broken": "{",
    "endless": render_entry(valued("endless", 1)).replace('"value":1', '"value":1e999'),
    "half": render_entry(valued("half", "x")).replace('"value":"x"', '"value":"\\ud800"'),
    "a/ü": valued("a/ü", True),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Asked]:
    with Gates.from_rules(RULES) as gates, listening(ofrep_app(gates, limits=LIMITS)) as asked:
        yield asked


def test_a_gate_is_answered_as_the_protocol_says(server: Asked) -> None:
    answer = server.evaluate("g", {"userId": "u-1"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.fields == {
        "key": "g",
        "value": True,
        "reason": "TARGETING_MATCH",
        "variant": "treatment",
        "metadata": {"reason": "OVERRIDE", "generation": 1795600000, "attempt": 1, "percent": 50, "label": "override"},
    }


@pytest.mark.parametrize(("gate", "value"), [("text", "new"), ("list", [1, {"a": None}]), ("half", "\ud800"), ("a%2F%C3%BC", True)])
def test_a_value_of_any_type_and_a_gate_of_any_name_are_answered(gate: str, value: object, server: Asked) -> None:
    answer = server.evaluate(gate, {"userId": "u"})
    assert (answer.status, answer.fields["value"]) == (200, value)


def test_a_value_that_is_null_is_left_out_which_means_the_callers_default(server: Asked) -> None:
    answer = server.evaluate("null", {"userId": "u"})
    assert (answer.status, answer.fields["variant"], "value" in answer.fields) == (200, "treatment", False)


@pytest.mark.parametrize(
    ("gate", "context", "reason", "why"),
    [
        ("killed", {"userId": "u"}, "DISABLED", "KILLED"),
        ("newer", {"userId": "u"}, "ERROR", "ERROR"),
        ("g", {}, "DEFAULT", "NO_UNIT"),
        ("g", None, "DEFAULT", "NO_UNIT"),
        ("g", {"userId": 5}, "ERROR", "ERROR"),
    ],
)
def test_what_serves_control_is_an_answer_and_no_error(gate: str, context: object, reason: str, why: str, server: Asked) -> None:
    answer = server.evaluate(gate, context)
    assert (answer.status, answer.fields["value"], answer.fields["variant"]) == (200, False, "control")
    assert (answer.fields["reason"], answer.fields["metadata"]["reason"]) == (reason, why)


def test_half_a_surrogate_pair_is_a_unit_like_any_other(server: Asked) -> None:
    assert server.evaluate("g", {"userId": "\ud800", "country": "\udfff"}).fields["reason"] == "SPLIT"


@pytest.mark.parametrize(
    ("gate", "status", "code"),
    [("other", 404, "FLAG_NOT_FOUND"), ("broken", 400, "PARSE_ERROR"), ("endless", 400, "PARSE_ERROR"), ("%FF", 404, "FLAG_NOT_FOUND")],
)
def test_what_has_no_value_is_an_error_that_names_the_gate(gate: str, status: int, code: str, server: Asked) -> None:
    answer = server.evaluate(gate, {"userId": "u"})
    assert (answer.status, answer.fields["errorCode"]) == (status, code)
    assert answer.fields["key"] == gate.replace("%FF", "�")
    assert answer.fields["errorDetails"]


NESTED = b'{"context":' + b'{"a":' * 5 + b"1" + b"}" * 6
STRANGE: list[tuple[str, bytes, int, str]] = [
    ("no JSON", b"userId=1", 400, "PARSE_ERROR"),
    ("half of JSON", b'{"context":{', 400, "PARSE_ERROR"),
    ("no UTF-8", b'{"context":{"a":"\xff"}}', 400, "PARSE_ERROR"),
    ("UTF-16", '{"context":{}}'.encode("utf-16"), 400, "PARSE_ERROR"),
    ("no object", b"[]", 400, "PARSE_ERROR"),
    ("null", b"null", 400, "PARSE_ERROR"),
    ("a key that is there twice", b'{"context":{"userId":"a","userId":"b"}}', 400, "PARSE_ERROR"),
    ("NaN", b'{"context":{"a":NaN}}', 400, "PARSE_ERROR"),
    ("Infinity", b'{"context":{"a":-Infinity}}', 400, "PARSE_ERROR"),
    ("digits without end", b'{"context":{"a":1%s}}' % (b"0" * 4000), 200, ""),
    ("more digits than Python reads", b'{"context":{"a":1%s}}' % (b"0" * 4300), 413, "PARSE_ERROR"),
    ("a number beyond floats", b'{"context":{"a":1e999}}', 200, ""),
    ("brackets without end", b"[" * 4000, 400, "PARSE_ERROR"),
    ("a context that is no object", b'{"context":[]}', 400, "INVALID_CONTEXT"),
    ("a context that is null", b'{"context":null}', 400, "INVALID_CONTEXT"),
    ("a context with too many levels", NESTED, 400, "INVALID_CONTEXT"),
    ("a context with too many values", json.dumps({"context": {"a": list(range(20))}}).encode(), 400, "INVALID_CONTEXT"),
    ("as many values as it may have", json.dumps({"context": {"a": list(range(19))}}).encode(), 200, ""),
    ("a body that is too long", b'{"context":{"a":"%s"}}' % (b"x" * 4096), 413, "PARSE_ERROR"),
    ("no body", b"", 200, ""),
    ("blanks", b" \n", 200, ""),
    ("fields that nobody knows", b'{"other":1}', 200, ""),
]


@pytest.mark.parametrize("path", [FLAGS + "/g", FLAGS])
@pytest.mark.parametrize(("sentence", "body", "status", "code"), STRANGE, ids=[row[0] for row in STRANGE])
def test_a_strange_body_is_answered_or_refused_with_a_sentence(
    sentence: str, body: bytes, status: int, code: str, path: str, server: Asked
) -> None:
    answer = server.request("POST", path, body)
    assert answer.status == status, sentence
    assert answer.fields.get("errorCode", "") == code
    assert bool(answer.fields.get("errorDetails")) == bool(code)
    assert answer.fields.get("key") == ("g" if path != FLAGS else None)


def test_more_digits_than_python_reads_are_refused() -> None:
    with Gates.from_rules(RULES) as gates, listening(ofrep_app(gates)) as server:
        answer = server.request("POST", FLAGS + "/g", b'{"context":{"a":1%s}}' % (b"0" * 5000))
    assert (answer.status, answer.fields["errorCode"]) == (400, "PARSE_ERROR")


def status_line(server: Asked, sent: bytes) -> bytes:
    """What these bytes are answered with."""
    head = f"POST {FLAGS}/g HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection, connection.makefile("rb") as answer:
        connection.sendall(head + sent)
        return answer.readline()


def test_a_body_without_its_length_is_counted_while_it_comes(server: Asked) -> None:
    chunk = b"800\r\n" + b"x" * 2048 + b"\r\n"
    assert status_line(server, b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come_is_not_waited_for(server: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ofrep, "BODY_SECONDS", 0.05)
    for begun in (b"{", b""):
        assert status_line(server, b"Content-Length: 9\r\n\r\n" + begun).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("sentence", "method", "path", "headers", "status"),
    [
        ("GET", "GET", FLAGS + "/g", {}, 405),
        ("GET of all", "GET", FLAGS, {}, 405),
        ("another content type", "POST", FLAGS + "/g", {"Content-Type": "text/plain"}, 415),
        ("the content type in capitals", "POST", FLAGS + "/g", {"Content-Type": "Application/JSON; charset=utf-8"}, 200),
        ("no content type", "POST", FLAGS + "/g", {}, 200),
        ("a query", "POST", FLAGS + "?flagConfigEtag=1&flagConfigLastModified=2", JSON, 200),
        ("another path", "POST", "/ofrep/v2/evaluate", JSON, 404),
        ("no metrics without a registry", "GET", "/metrics", {}, 404),
        ("a preflight that was not asked for", "OPTIONS", FLAGS, {"Origin": "https://shop.example"}, 405),
    ],
)
def test_methods_paths_and_content_types(
    sentence: str, method: str, path: str, headers: dict[str, str], status: int, server: Asked
) -> None:
    answer = server.request(method, path, headers=headers)
    assert answer.status == status, sentence
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
    assert answer.fields


def by_key(answer: Answer) -> dict[str, Any]:
    return {flag["key"]: flag for flag in answer.fields["flags"]}


def test_all_gates_are_answered_at_once_each_as_it_is_alone(server: Asked) -> None:
    answer = server.evaluate(context={"userId": "u-1"})
    assert answer.status == 200
    assert set(by_key(answer)) == set(RULES)
    for gate, flag in by_key(answer).items():
        assert flag == server.evaluate(gate.replace("/", "%2F").replace("ü", "%C3%BC"), {"userId": "u-1"}).fields


def test_more_gates_than_may_be_answered_at_once_are_refused_and_one_is_not() -> None:
    with Gates.from_rules(RULES) as gates, listening(ofrep_app(gates, limits=LIMITS._replace(bulk=9))) as server:
        answer = server.evaluate()
        assert (answer.status, answer.fields["errorDetails"]) == (400, "there are 10 gates, and at most 9 are answered at once")
        assert server.evaluate("g").status == 200


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', '"other",W/{}'])
def test_nothing_new_is_304_with_the_same_tag_and_no_body(known: str, server: Asked) -> None:
    tag = server.evaluate(context={"userId": "u-1"}).headers["etag"]
    answer = server.evaluate(context={"userId": "u-1"}, headers={"If-None-Match": known.format(tag)})
    assert (answer.status, answer.headers["etag"], answer.body) == (304, tag, b"")


def test_the_tag_changes_with_the_context_the_rules_the_kill_key_and_staleness() -> None:
    source = MemorySource({"g": entry()})
    with Gates(source) as gates, listening(ofrep_app(gates)) as server:

        def tag(unit: str = "u-1") -> str:
            return server.evaluate(context={"userId": unit}).headers["etag"]

        tags = [tag(), tag("u-2")]
        source.replace({"g": entry(generation=1795600001)})
        tags.append(tag())
        source.replace({"g": entry(generation=1795600001)}, kill="g")
        tags.append(tag())
        source.replace({"g": entry()})
        assert tag() == tags[0]
    with Gates(MemorySource({"g": entry()}), stale_after=-inf) as gates, listening(ofrep_app(gates)) as server:
        tags.append(server.evaluate(context={"userId": "u-1"}).headers["etag"])
    assert len(set(tags)) == 5
    assert all(each[0] == each[-1] == '"' for each in tags)


def test_another_replica_gives_the_same_tag(server: Asked) -> None:
    with Gates.from_rules(RULES) as gates, listening(ofrep_app(gates, limits=LIMITS)) as other:
        assert other.evaluate(context={"userId": "u"}).headers["etag"] == server.evaluate(context={"userId": "u"}).headers["etag"]


def test_without_rules_every_question_is_refused_until_they_come() -> None:
    source = Silent()
    with Gates(source) as gates, listening(ofrep_app(gates)) as server:
        for answer in (server.evaluate("g"), server.evaluate()):
            assert (answer.status, answer.fields["errorCode"], answer.headers["retry-after"]) == (503, "GENERAL", "1")
        assert server.request("GET", "/readyz").status == 503
        health = server.request("GET", "/healthz")
        assert (health.status, health.body) == (503, b"no rules yet: every question is refused\n")
        source.deliver()
        assert (server.evaluate("g").status, server.evaluate().fields["flags"]) == (404, [])
        assert (server.request("GET", "/healthz").status, server.request("GET", "/healthz").body) == (200, b"ok\n")
        assert server.request("GET", "/readyz").status == 200


def test_stale_rules_are_served_and_unhealthy() -> None:
    with Gates(MemorySource({"g": entry()}), stale_after=-inf) as gates, listening(ofrep_app(gates)) as server:
        answer = server.evaluate("g", {"userId": "u"})
        assert (answer.status, answer.fields["reason"]) == (200, "STALE")
        assert [server.request("GET", path).status for path in ("/healthz", "/readyz")] == [503, 200]


KEYS = ("first", "sécond")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-API-Key": ""}, 401),
        ({"X-API-Key": "firs"}, 401),
        ({"X-API-Key": "first "}, 200),  # blanks around a header's value are none of its own
        ({"X-API-Key": "first"}, 200),
        ({"X-API-Key": "sécond".encode().decode("latin-1")}, 200),
        ({"Authorization": "Bearer first"}, 200),
        ({"Authorization": "bearer  first"}, 200),
        ({"Authorization": "Basic first"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"X-API-Key": "other", "Authorization": "Bearer first"}, 401),
    ],
)
def test_an_api_key_opens(headers: dict[str, str], status: int) -> None:
    with Gates.from_rules(RULES) as gates, listening(ofrep_app(gates, api_keys=lambda: KEYS)) as server:
        assert [server.evaluate(gate, headers=headers).status for gate in ("g", "")] == [status, status]


def test_health_and_metrics_want_no_key() -> None:
    app = ofrep_app(Gates.from_rules(RULES), api_keys=lambda: KEYS, registry=CollectorRegistry())
    with listening(app) as server:
        assert [server.request("GET", path).status for path in ("/healthz", "/metrics")] == [200, 200]
        assert server.evaluate("g").headers["www-authenticate"] == "Bearer"


def test_no_key_at_all_opens_for_nobody() -> None:
    with Gates.from_rules(RULES) as gates, listening(ofrep_app(gates, api_keys=lambda: ())) as server:
        assert server.evaluate("g", headers={"X-API-Key": ""}).status == 401


def test_a_question_for_one_gate_is_an_exposure_and_one_for_all_is_none() -> None:
    registry = CollectorRegistry()
    metrics: Observer = PrometheusMetrics(registry)
    with Gates.from_rules({"g": entry(**ON)}, metrics=metrics) as gates, listening(ofrep_app(gates, registry=registry)) as server:
        for gate in ("g", "", "", "other"):
            server.evaluate(gate, {"userId": "u-1"})
        server.request("GET", "/healthz")

        def read() -> dict[str, float]:
            families = text_string_to_metric_families(server.request("GET", "/metrics").body.decode())
            return {f"{each.name}{sorted(each.labels.values())}": each.value for family in families for each in family.samples}

        assert eventually(lambda: read().get("rampgate_ofrep_request_duration_seconds_count['single']") == 2)
        found = read()
    assert found["rampgate_exposures_total['OVERRIDE', 'g', 'override']"] == 1
    assert found["rampgate_exposures_total['UNKNOWN_GATE', 'none', 'other']"] == 1
    assert found["rampgate_ofrep_requests_total['200', 'single']"] == 1
    assert found["rampgate_ofrep_requests_total['404', 'single']"] == 1
    assert found["rampgate_ofrep_requests_total['200', 'bulk']"] == 2


@pytest.mark.parametrize(
    ("allowed", "origin", "is_allowed"),
    [
        (["https://shop.example"], "https://shop.example", True),
        (["https://shop.example"], "https://shop.example.evil", False),
        (["*"], "https://any.example", True),
        ([], "https://shop.example", False),
    ],
)
def test_pages_of_an_allowed_origin_may_ask_and_see_the_tag(allowed: list[str], origin: str, is_allowed: bool) -> None:
    app = ofrep_app(Gates.from_rules(RULES), origins=allowed, api_keys=lambda: KEYS)
    with listening(app) as server:
        answer = server.evaluate(headers={"Origin": origin, "X-API-Key": "first"})
        preflight = server.request("OPTIONS", FLAGS, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert answer.headers.get("access-control-allow-origin") == (origin if is_allowed else None)
    assert answer.headers.get("access-control-expose-headers") == ("ETag" if is_allowed else None)
    assert preflight.headers.get("access-control-allow-origin") == (origin if is_allowed else None)
    assert (preflight.status, "x-api-key" in preflight.headers.get("access-control-allow-headers", "")) == (
        (204, True) if allowed else (405, False)
    )


@pytest.mark.parametrize("root", ["", "/gates"])
async def test_it_can_be_mounted_in_another_application(root: str) -> None:
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": f"{root}{FLAGS}/g", "root_path": root, "headers": []}
    await ofrep_app(Gates.from_rules(RULES))(scope, receive, send)
    assert [said[0]["status"], json.loads(said[1]["body"])["key"]] == [200, "g"]


async def test_what_is_no_http_is_left_alone() -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError

    await ofrep_app(Gates.from_rules(RULES))({"type": "lifespan"}, never, never)
