"""adapters/prometheus: every way a server can go wrong is a failure with a reason, and never quotes what the server sent."""

from __future__ import annotations

import socket
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rampgate_operator.cli.operate import DEEPEST
from rampgate_operator.core.looks import Failed, FailureReason, Value
from tests.adapters.asking import Open, ask
from tests.adapters.faulty import SECRET, Faulty
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus as Server

FAULTS = [
    ("redirect", FailureReason.REDIRECT),
    ("permanent-redirect", FailureReason.REDIRECT),
    ("internal", FailureReason.SERVER_ERROR),
    ("unavailable", FailureReason.SERVER_ERROR),
    ("own-trouble", FailureReason.SERVER_ERROR),
    ("gave-up", FailureReason.TIMEOUT),
    ("throttled", FailureReason.THROTTLED),
    ("unauthorized", FailureReason.UNAUTHORIZED),
    ("forbidden", FailureReason.UNAUTHORIZED),
    ("missing", FailureReason.NOT_PROMETHEUS),
    ("other-400", FailureReason.REFUSED),
    ("invented-error", FailureReason.NOT_PROMETHEUS),
    ("execution", FailureReason.REFUSED),
    ("quotes-limit", FailureReason.REFUSED),
    ("too-many-samples", FailureReason.TOO_LARGE),
    ("too-many-series", FailureReason.TOO_LARGE),
    ("bad-data", FailureReason.REFUSED),
    ("html", FailureReason.NOT_PROMETHEUS),
    ("empty", FailureReason.NOT_PROMETHEUS),
    ("no-content", FailureReason.NOT_PROMETHEUS),
    ("other-json", FailureReason.NOT_PROMETHEUS),
    ("error-with-200", FailureReason.NOT_PROMETHEUS),
    ("partial", FailureReason.SERVER_ERROR),
    ("no-result", FailureReason.NOT_PROMETHEUS),
    ("number-for-text", FailureReason.NOT_PROMETHEUS),
    ("words-for-number", FailureReason.NOT_PROMETHEUS),
    ("vector-of-nonsense", FailureReason.NOT_PROMETHEUS),
    ("histogram", FailureReason.NOT_A_NUMBER),
    ("deep", FailureReason.NOT_PROMETHEUS),
    ("compressed", FailureReason.NOT_PROMETHEUS),
    ("endless", FailureReason.TOO_LARGE),
    ("endless-redirect", FailureReason.REDIRECT),
    ("endless-error", FailureReason.SERVER_ERROR),
    ("invented-kind", FailureReason.NOT_PROMETHEUS),
    ("cut-short", FailureReason.UNREACHABLE),
    ("no-http", FailureReason.UNREACHABLE),
    ("closed", FailureReason.UNREACHABLE),
    ("silent", FailureReason.TIMEOUT),
    ("stops-half-way", FailureReason.TIMEOUT),
    ("dripping-body", FailureReason.TIMEOUT),
]


def patience_of(reason: FailureReason) -> dict[str, timedelta]:
    """Only what does not come is not waited for: a busy machine may take its time for what does."""
    return {"timeout": timedelta(milliseconds=500)} if reason is FailureReason.TIMEOUT else {}


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_a_fault_is_a_failure_with_a_sentence_and_nothing_of_the_body(
    faulty: Faulty, connect: Open, fault: str, reason: FailureReason
) -> None:
    found = await ask(connect(faulty.url(fault), **patience_of(reason)))
    assert isinstance(found, Failed)
    assert found.reason is reason
    assert SECRET not in found.message
    assert found.message.isprintable()
    assert found.message.endswith(".")
    assert len(found.message) < 300
    await faulty.arrived()
    assert len(faulty.requests) == 1


@pytest.mark.parametrize("fault", ["execution", "too-many-samples"])
async def test_nobody_is_sent_after_a_match_that_the_source_did_not_mention(faulty: Faulty, connect: Open, fault: str) -> None:
    found = await ask(connect(faulty.url(fault)))
    assert isinstance(found, Failed)
    assert "many-to-many" not in found.message


async def test_a_body_that_nests_without_end_does_not_end_the_process(faulty: Faulty, connect: Open) -> None:
    """The operator lets Python nest this deep, for the sake of values that the API server takes; a thread's stack does not."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(DEEPEST)
    try:
        found = await ask(connect(faulty.url("deep-for-a-stack")))
    finally:
        sys.setrecursionlimit(before)
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.NOT_PROMETHEUS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("matrix-of-nonsense", FailureReason.NOT_PROMETHEUS),
        ("huge-time", FailureReason.NOT_PROMETHEUS),
        ("histograms", FailureReason.NOT_A_NUMBER),
        ("fine", FailureReason.NOT_PROMETHEUS),
        ("endless", FailureReason.TOO_LARGE),
    ],
)
async def test_a_fault_while_counting_is_a_failure(faulty: Faulty, connect: Open, fault: str, reason: FailureReason) -> None:
    found = await ask(connect(faulty.url(fault)), "a_total", window=timedelta(minutes=1))
    assert isinstance(found, Failed)
    assert found.reason is reason


async def test_a_server_that_closes_after_every_answer_costs_no_query(faulty: Faulty, connect: Open) -> None:
    """On a kept connection a query now and then meets the close: found by running into it."""
    client = connect(faulty.url("fine"))
    answers = [await ask(client, str(number)) for number in range(20)]
    assert answers == [Value(7)] * 20
    assert all(b"Connection: close\r\n" in request for request in faulty.requests)


async def test_a_port_where_nobody_listens_is_unreachable(connect: Open) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = await ask(connect(f"http://127.0.0.1:{free.getsockname()[1]}"))
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.UNREACHABLE


async def test_tls_against_plain_http_says_so(prometheus: Server, connect: Open) -> None:
    found = await ask(connect(prometheus.url.replace("http:", "https:")))
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.UNREACHABLE
    assert "TLS" in found.message


async def test_a_certificate_is_trusted_by_the_ca_file_and_by_nothing_else(cluster: Cluster, connect: Open) -> None:
    """The API server is the TLS server at hand: that it refuses an anonymous query shows that the query arrived."""
    trusted, untrusted = await ask(connect(cluster.url, ca_file=cluster.ca_file)), await ask(connect(cluster.url))
    assert isinstance(trusted, Failed)
    assert trusted.reason is FailureReason.UNAUTHORIZED
    assert "token and rights" in trusted.message
    assert isinstance(untrusted, Failed)
    assert untrusted.reason is FailureReason.UNREACHABLE
    assert "TLS" in untrusted.message


@pytest.mark.parametrize("content", [None, "", "two\nlines", "é"])
async def test_a_token_that_cannot_be_used_is_never_sent(faulty: Faulty, connect: Open, tmp_path: Path, content: str | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content, "utf-8")
    found = await ask(connect(faulty.url("fine"), token_file=token))
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.UNAUTHORIZED
    assert not faulty.requests


async def test_a_missing_ca_file_says_so(connect: Open, tmp_path: Path) -> None:
    found = await ask(connect("https://127.0.0.1:1", ca_file=tmp_path / "ca.crt"))
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.UNAUTHORIZED
    assert "CA file" in found.message


async def test_a_rotated_token_is_used_at_once(faulty: Faulty, connect: Open, tmp_path: Path) -> None:
    token = tmp_path / "token"
    client = connect(faulty.url("fine"), token_file=token)
    for content in ("first", "second"):
        token.write_text(content + "\n")
        assert await ask(client) == Value(7)
        assert f"Authorization: Bearer {content}\r\n".encode() in faulty.requests[-1]


async def test_a_host_name_that_cannot_be_one_says_so(connect: Open) -> None:
    found = await ask(connect("http://*.x"))
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.UNREACHABLE
    assert "check its URL" in found.message
