"""adapters/prometheus: every answer of a real Prometheus, exact counts of real processes, and who waits for whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.adapters.prometheus_http import Limits
from rampgate_operator.core.looks import Answer, Failed, FailureReason, Increases, LookRequest, NoData, Value
from rampgate_operator.core.promql import compile_query
from rampgate_operator.settings import SourceSettings
from tests.adapters.asking import ANY_TIME, Open, ask, together
from tests.adapters.exporter import Exporter
from tests.adapters.faulty import Faulty
from tools.devcluster.prometheus import Prometheus as Server


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


async def eventually(question: Callable[[], Awaitable[Answer]], wanted: Answer, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while (found := await question()) != wanted:
        assert time.monotonic() < deadline, f"still {found}"
        await asyncio.sleep(0.05)


# What a real Prometheus answers.

TWO = 'label_replace(vector(1), "a", "x", "", "") or label_replace(vector(2), "a", "y", "", "")'
REAL = [
    ("one series is a value", "vector(0.5)", Value(0.5)),
    ("a scalar is a value", "3 * 4", Value(12.0)),
    ("a large number is exact", "vector(9007199254740991)", Value(9007199254740991.0)),
    ("no series is no data", "nothing_of_that_name", NoData("The query found no series.")),
    ("0 / 0 is no data", "vector(0) / 0", NoData("The query gives NaN, as a division of 0 by 0 does when there is no traffic.")),
    ("1 / 0 is no data", "vector(1) / 0", NoData("The query gives infinity, as a division by 0 does when there is no traffic.")),
    ("-1 / 0 is no data", "vector(-1) / 0", NoData("The query gives infinity, as a division by 0 does when there is no traffic.")),
    ("a scalar NaN is no data", "0 / 0", NoData("The query gives NaN, as a division of 0 by 0 does when there is no traffic.")),
]


@pytest.mark.parametrize(("query", "expected"), [row[1:] for row in REAL], ids=[row[0] for row in REAL])
async def test_a_real_answer(prometheus: Server, connect: Open, query: str, expected: Answer) -> None:
    assert await ask(connect(prometheus.url), query) == expected


REAL_FAILURES = [
    ("two series are too many", TWO, FailureReason.MANY_SERIES, "sum()"),
    ("a string is no number", '"text"', FailureReason.NOT_A_NUMBER, "a string"),
    ("a range is no number", "up[5m]", FailureReason.NOT_A_NUMBER, "a matrix"),
    ("a bad query is refused with its reason", "sum(", FailureReason.REFUSED, "parse error"),
    ("a query that cannot be executed is refused", f"vector(1) + on () ({TWO})", FailureReason.REFUSED, "many-to-many"),
]


@pytest.mark.parametrize(("query", "reason", "words"), [row[1:] for row in REAL_FAILURES], ids=[row[0] for row in REAL_FAILURES])
async def test_a_real_failure(prometheus: Server, connect: Open, query: str, reason: FailureReason, words: str) -> None:
    found = await ask(connect(prometheus.url), query)
    assert isinstance(found, Failed)
    assert found.reason is reason
    assert words in found.message


async def test_a_query_that_takes_too_long_is_given_up_by_the_server(prometheus: Server, connect: Open) -> None:
    client = connect(prometheus.url, timeout=timedelta(milliseconds=500))
    found = await ask(client, "count_over_time(vector(1)[1h:1ms]) + count_over_time(vector(1)[2h:1ms])")
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.TIMEOUT


async def test_the_instant_is_the_questions(prometheus: Server, connect: Open) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert await ask(connect(prometheus.url), "time()", at=at) == Value(at.timestamp())


async def test_an_instant_selector_looks_back_as_far_as_the_source_says(prometheus: Server, connect: Open) -> None:
    client, short = connect(prometheus.url), connect(prometheus.url, lookback=timedelta(milliseconds=50))
    sampled = round(time.time() * 1000)
    later = datetime.fromtimestamp(sampled / 1000 + 0.1, UTC)
    with Exporter(prometheus, job="lookback", namespace="lookback") as exporter:
        exporter.lived("lookback_total", {sampled: 4})  # the one sample that there is, whenever it is scraped
        await eventually(lambda: ask(client, "lookback_total", at=later), Value(4))
    assert await ask(short, "lookback_total", at=later) == NoData("The query found no series.")


async def test_warnings_come_along(prometheus: Server, connect: Open) -> None:
    found = await ask(connect(prometheus.url), "clamp_max(quantile(2, vector(1)), 5)")
    assert isinstance(found, Value)
    assert found.value == 5
    assert "quantile value should be between 0 and 1" in found.warnings[0]


async def test_an_answer_larger_than_its_cap_is_refused(prometheus: Server, connect: Open) -> None:
    found = await ask(connect(prometheus.url, limits=Limits(max_value_bytes=20)), "vector(1)")
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.TOO_LARGE


async def test_questions_are_answered_under_their_keys(prometheus: Server, connect: Open) -> None:
    queries = {("a", 1): "1", "b": "nothing_of_that_name", frozenset({"c"}): "sum("}
    requests = [LookRequest(key=key, source="main", query=query, at=ANY_TIME) for key, query in queries.items()]
    answers = await connect(prometheus.url).answer(requests)
    assert {key: type(found) for key, found in answers.items()} == {("a", 1): Value, "b": NoData, frozenset({"c"}): Failed}


async def test_what_came_of_questions_is_counted_by_source(prometheus: Server, connect: Open) -> None:
    client = connect(prometheus.url)
    for query in ("1", "nothing_of_that_name", "sum("):
        await ask(client, query)
    counted = {outcome: count for (source, outcome), count in client.answered().items() if source == "main" and count}
    assert counted == {"Ok": 2, "Refused": 1}
    assert client.answered()["main", "Unreachable"] == 0  # it is there before it rises


async def test_no_questions_have_no_answers(prometheus: Server, connect: Open) -> None:
    assert await connect(prometheus.url).answer([]) == {}


async def test_proxies_of_the_environment_are_not_used(prometheus: Server, connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    assert await ask(connect(prometheus.url), "1") == Value(1)


NASTY = ['"} or vector(1) #', "\\", '\\"', "a\nb", "\t\x01\x7f", "é😀", ".*", "a|b", "$variant", "{{}}", "'`", "[a-z]+(?i)^$"]


async def test_a_substituted_value_selects_itself_whatever_it_contains(prometheus: Server, connect: Open) -> None:
    client = connect(prometheus.url)

    async def find(template: str, value: str) -> Answer:
        query = compile_query(template, namespace="nasty", substitutions={"variant": value})
        return await ask(client, query.text, at=at)

    async def find_the_last() -> Answer:
        nonlocal at
        at = now()
        return await find('nasty_total{variant="$variant"}', "another")

    at = now()

    with Exporter(prometheus, job="nasty", namespace="nasty") as exporter:
        for number, value in enumerate(NASTY):
            exporter.set("nasty_total", number, variant=value)
        exporter.set("nasty_total", 1000, variant="another")
        await eventually(find_the_last, Value(1000))  # of that instant it stays true, though a later scrape may come to nothing
        for number, value in enumerate(NASTY):
            assert await find('nasty_total{variant="$variant"}', value) == Value(number)
            assert await find('nasty_total{variant=~"$variant"}', value) == Value(number)
            assert await find('nasty_total{variant=~"none|$variant"}', value) == Value(number)
            assert await find('count(nasty_total{variant!~"$variant"})', value) == Value(len(NASTY))


async def test_another_namespace_is_out_of_reach(prometheus: Server, connect: Open) -> None:
    client = connect(prometheus.url)

    async def count(namespace: str) -> Answer:
        return await ask(client, compile_query("sum(reach_total)", namespace=namespace).text, at=now())

    with Exporter(prometheus, job="reach", namespace="theirs") as exporter:
        exporter.set("reach_total", 3)
        await eventually(lambda: count("theirs"), Value(3))
        assert await count("ours") == NoData("The query found no series.")


# Counting what real processes did.


async def scraped(client: Prometheus, namespace: str) -> None:
    """Wait until the source knows a namespace so well that what it does not know there is new."""
    often = f'min(count_over_time(up{{namespace="{namespace}"}}[1h])) > bool 3'
    await eventually(lambda: ask(client, often, at=now()), Value(1))


async def know_all_until_now(client: Prometheus, counter: str) -> datetime:
    """Give an instant that every scrape is after which brings what is set from now on; one that is under way may bring it too."""
    at = now()
    await eventually(lambda: ask(client, f"min(timestamp({counter})) > bool {at.timestamp()}", at=now()), Value(1))
    return at


async def test_counts_are_exact_through_restarts_births_and_ends(prometheus: Server, connect: Open) -> None:
    client = connect(prometheus.url)
    counter = compile_query("orders_total", namespace="exact").text

    async def seen(job: str, value: float) -> None:
        await eventually(lambda: ask(client, f'orders_total{{job="{job}"}}', at=now()), Value(value))

    with Exporter(prometheus, job="old", namespace="exact") as old, Exporter(prometheus, job="gone", namespace="exact") as gone:
        old.set("orders_total", 5, variant="b")
        gone.set("orders_total", 10, variant="a")
        await seen("old", 5)
        await seen("gone", 10)
        await scraped(client, "exact")
        start = await know_all_until_now(client, counter)
        old.set("orders_total", 8, variant="b")
        gone.set("orders_total", 12, variant="a")
        await seen("old", 8)
        await seen("gone", 12)
        old.restart()
        gone.vanish()
        old.set("orders_total", 2, variant="b")
        with Exporter(prometheus, job="new", namespace="exact") as new:
            new.set("orders_total", 3, variant="b")
            await seen("old", 2)
            await seen("new", 3)
            end = now()
    truth = {"b": 3.0 + 2.0 + 3.0, "a": 2.0}
    assert await ask(client, counter, at=end, window=end - start, tenant="exact") == Increases((truth,))
    assert await _in_windows(client, counter, start, end, count=7) == truth
    cut = await ask(client, counter, at=end, window=end - start, cuts=_edges(start, end, count=7)[1:-1], tenant="exact")
    assert isinstance(cut, Increases)
    assert (len(cut.windows), together(cut)) == (7, truth)
    short = connect(prometheus.url, lookback=timedelta(milliseconds=1))
    assert await _in_windows(short, counter, start, end, count=7) == truth


def _edges(start: datetime, end: datetime, *, count: int) -> tuple[datetime, ...]:
    return (*(start + (end - start) * n / count for n in range(count)), end)


async def _in_windows(client: Prometheus, counter: str, start: datetime, end: datetime, *, count: int) -> Mapping[str, float]:
    totals: dict[str, float] = {}
    for before, after in pairwise(_edges(start, end, count=count)):
        found = await ask(client, counter, at=after, window=after - before, tenant="exact")
        if isinstance(found, Increases):
            for variant, rise in together(found).items():
                totals[variant] = totals.get(variant, 0.0) + rise
    return totals


async def test_a_counter_back_after_a_gap_counts_from_its_last_value_within_memory(prometheus: Server, connect: Open) -> None:
    client, end = connect(prometheus.url), now()
    start, before, after = (end - timedelta(milliseconds=milliseconds) for milliseconds in (400, 500, 300))
    with Exporter(prometheus, job="back", namespace="gap") as exporter:
        exporter.lived("back_total", {round(before.timestamp() * 1000): 100, round(after.timestamp() * 1000): 103})
        await eventually(lambda: ask(client, "back_total", at=end), Value(103))
    # A margin of 1 ms has no sample in it: as after a gap longer than the margin.
    remembers = connect(prometheus.url, lookback=timedelta(milliseconds=1))
    forgets = connect(prometheus.url, lookback=timedelta(milliseconds=1), limits=Limits(memory=timedelta(milliseconds=1)))
    assert await ask(remembers, "back_total", at=end, window=end - start, tenant="gap") == Increases(({"": 3.0},))
    assert await ask(forgets, "back_total", at=end, window=end - start, tenant="gap") == Increases(({"": 0.0},))


async def test_a_counter_nobody_has_is_no_data(prometheus: Server, connect: Open) -> None:
    found = await ask(connect(prometheus.url), "nothing_of_that_name", at=now(), window=timedelta(minutes=1))
    assert found == NoData("No series of the counter has a sample in the window.")


async def test_a_counter_of_more_series_than_allowed_is_too_large(prometheus: Server, connect: Open) -> None:
    client = connect(prometheus.url, limits=Limits(max_series=2))
    with Exporter(prometheus, job="wide", namespace="wide") as exporter:
        await scraped(client, "wide")
        for number in range(3):
            exporter.set("wide_total", 1, pod=str(number))
        await eventually(lambda: ask(client, "count(wide_total)", at=now()), Value(3))
        found = await ask(client, "wide_total", at=now(), window=timedelta(minutes=1), tenant="wide")
        fitting = await ask(client, 'wide_total{pod!="0"}', at=now(), window=timedelta(minutes=1), tenant="wide")
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.TOO_LARGE
    assert fitting == Increases(({"": 2.0},))


async def test_a_counter_that_is_an_expression_is_refused(prometheus: Server, connect: Open) -> None:
    found = await ask(connect(prometheus.url), "rate(up[5m])", window=timedelta(minutes=1))
    assert isinstance(found, Failed)
    assert found.reason is FailureReason.REFUSED


async def test_an_unknown_source_is_a_failure_that_names_the_known_ones(prometheus: Server, connect: Open) -> None:
    request = LookRequest(key="k", source="mian", query="1", at=ANY_TIME)
    found = (await connect(prometheus.url).answer([request]))["k"]
    assert found == Failed(FailureReason.UNKNOWN_SOURCE, "No metrics source is called 'mian'; the operator knows: main.")


async def test_the_same_question_is_asked_once(faulty: Faulty, connect: Open) -> None:
    later = ANY_TIME + timedelta(seconds=1)
    questions = [("a", "1", ANY_TIME), ("b", "1", ANY_TIME), ("c", "1", later), ("d", "2", ANY_TIME)]
    requests = [LookRequest(key=key, source="main", query=query, at=at) for key, query, at in questions]
    answers = await connect(faulty.url("fine")).answer(requests)
    assert answers == dict.fromkeys("abcd", Value(7))
    assert len(faulty.requests) == 3


async def test_no_more_questions_are_in_flight_than_allowed(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("held"), max_concurrent=2)
    requests = [LookRequest(key=n, source="main", query=str(n), at=ANY_TIME) for n in range(8)]
    answering = asyncio.ensure_future(client.answer(requests))
    await faulty.arrived()
    await faulty.arrived()
    faulty.release.set()
    assert await answering == dict.fromkeys(range(8), Value(7))
    assert faulty.most_held == 2
    assert len(faulty.requests) == 8


async def test_a_source_that_hangs_fills_its_own_slots_only(faulty: Faulty, prometheus: Server) -> None:
    """A head that drips cannot be interrupted: its thread stays, and with it the slot, but no other source is held up."""
    hung = SourceSettings(url=faulty.url("dripping-head"), max_concurrent=1, timeout=timedelta(milliseconds=200))
    client = Prometheus({"hung": hung, "well": SourceSettings(url=prometheus.url, max_concurrent=1)})
    requests = [
        LookRequest(key="first", source="hung", query="1", at=ANY_TIME),
        LookRequest(key="second", source="hung", query="2", at=ANY_TIME),
        LookRequest(key="well", source="well", query="3", at=ANY_TIME),
    ]
    answers = await client.answer(requests)
    client.close()
    assert {key: found.reason for key, found in answers.items() if isinstance(found, Failed)} == {
        "first": FailureReason.TIMEOUT,
        "second": FailureReason.THROTTLED,
    }
    assert answers["well"] == Value(3)


async def test_an_abandoned_answer_gives_its_slot_back(faulty: Faulty, connect: Open) -> None:
    client = connect(faulty.url("dripping-body"), max_concurrent=1, timeout=timedelta(seconds=5))
    waiting = asyncio.ensure_future(ask(client))
    await faulty.arrived()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    again = asyncio.ensure_future(ask(client, "2"))
    await faulty.arrived()
    again.cancel()
