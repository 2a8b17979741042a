"""adapters/prometheus: what is asked together is answered as if it were asked alone, exactly, and nobody sees another's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rampgate_operator.adapters import prometheus_together
from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.adapters.prometheus_http import DEFAULT_LIMITS, Limits
from rampgate_operator.core.looks import Answer, Exposed, Failed, FailureReason, Increases, Kind, LookRequest, Metric, NoData
from rampgate_operator.core.promql import compile_query
from rampgate_operator.settings import SourceSettings
from tests.adapters.history import BOUNDS, GATES, NAMESPACES, History, lived
from tools.devcluster.prometheus import Prometheus as Server

EXPOSURES, ERRORS, REQUESTS = "rampgate_first_exposures_total", "rampgate_first_errors_total", "rampgate_requests_total"
BUCKETS = "rampgate_request_duration_seconds_bucket"
LABELS: dict[str, list[tuple[tuple[str, str], ...]]] = {
    EXPOSURES: [()],
    ERRORS: [()],
    REQUESTS: [(), (("outcome", "ok"),), (("outcome", "error"),)],
    BUCKETS: [(("le", bound),) for bound in BOUNDS],
    "rampgate_nobody_has_this_total": [()],
}


@pytest.fixture(scope="session")  # a worker may come to this module twice, and the namespaces would have lived twice
def history(prometheus: Server) -> Iterator[History]:
    with lived(prometheus) as found:
        yield found


@st.composite
def questions(draw: st.DrawFn) -> tuple[Kind, str, tuple[tuple[str, str], ...], str, str, int, list[int]]:
    """Kind, metric, labels, namespace, gate, generation, and edges as thousandths of the history and a little more."""
    name = draw(st.sampled_from(list(LABELS)))
    kind = draw(st.sampled_from([Kind.INCREASES, Kind.EXPOSURES])) if name == EXPOSURES else Kind.INCREASES
    edges = sorted(draw(st.lists(st.integers(0, 1100), min_size=2, max_size=6, unique=True)))
    place = draw(st.sampled_from(NAMESPACES)), draw(st.sampled_from([*GATES, "nobody's"]))
    return kind, name, draw(st.sampled_from(LABELS[name])), *place, draw(st.integers(0, 5)), edges


def request(history: History, key: Hashable, kind: Kind, name: str, labels: tuple[tuple[str, str], ...], *rest: object) -> LookRequest:
    namespace, gate, generation, edges = rest
    at = [history.start + (history.end - history.start) * edge / 1000 for edge in edges]
    metric = Metric(name=name, gate=gate, labels=labels)
    windows = {"since": at[0], "cuts": tuple(at[1:-1]), "at": at[-1]}
    return LookRequest(key=key, source="main", metric=metric, tenant=namespace, kind=kind, generation=generation, **windows)


def as_query(asked: LookRequest) -> LookRequest:
    """The same, as a counter of a team's own."""
    assert asked.metric is not None
    matchers = "".join(f',{name}="{value}"' for name, value in asked.metric.labels)
    query = compile_query(
        f'{asked.metric.name}{{gate="$gate"{matchers}}}', namespace=asked.tenant, substitutions={"gate": asked.metric.gate}
    )
    return replace(asked, metric=None, query=query.text, kind=Kind.INCREASES, generation=0)


async def answer(server: Server, *asked: LookRequest, limits: Limits = DEFAULT_LIMITS, **settings: object) -> Mapping[Hashable, Answer]:
    client = Prometheus({"main": SourceSettings.model_validate({"url": server.url, **settings})}, limits=limits)
    try:
        return await client.answer(asked)
    finally:
        client.close()


async def one_by_one(server: Server, *asked: LookRequest, **settings: object) -> Mapping[Hashable, Answer]:
    found = await asyncio.gather(*(answer(server, one, **settings) for one in asked))
    return {key: value for each in found for key, value in each.items()}


@settings(max_examples=25)
@given(drawn=st.lists(questions(), min_size=1, max_size=20), lookback=st.sampled_from(["1s", "5m"]))
def test_answers_together_alone_and_by_query_are_the_same(prometheus: Server, history: History, drawn: list[tuple], lookback: str) -> None:
    asked = [request(history, number, *one) for number, one in enumerate(drawn)]

    async def all_ways() -> tuple[Mapping[Hashable, Answer], ...]:
        return (
            await answer(prometheus, *asked, lookback=lookback),
            await one_by_one(prometheus, *asked, lookback=lookback),
            await answer(prometheus, *map(as_query, asked), lookback=lookback),
        )

    together, alone, by_query = asyncio.run(all_ways())
    assert together == alone
    counted = {key: Increases(found.windows) if isinstance(found, Exposed) else found for key, found in together.items()}
    assert counted == by_query


def whole(history: History, key: Hashable, name: str, *, gate: str = "x", namespace: str = "shop", **options: object) -> LookRequest:
    metric = Metric(name=name, gate=gate, labels=options.pop("labels", ()))
    windows = {"since": history.start, "at": history.end, "kind": Kind.INCREASES, **options}
    return LookRequest(key=key, source="main", metric=metric, tenant=namespace, **windows)


async def test_a_gate_sees_nothing_of_its_namesake_in_another_namespace(prometheus: Server, history: History) -> None:
    """A query for both namespaces and both gates brings all four pairs."""
    here, there = whole(history, "here", EXPOSURES), whole(history, "there", EXPOSURES, gate=".*", namespace="shop.two")
    found = await answer(prometheus, here, there)
    assert found == await one_by_one(prometheus, here, there)
    assert found["here"] != found["there"]


async def test_a_hundred_long_names_are_asked_in_one_query(prometheus: Server, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [whole(history, number, ERRORS, gate=f"{'long-name.' * 5}{number}") for number in range(99)]
    sent = spy(monkeypatch)
    found = await answer(prometheus, whole(history, "known", ERRORS), *asked)
    assert isinstance(found.pop("known"), Increases)
    assert set(found.values()) == {NoData("No series of the counter has a sample in the window.")}
    assert len(raw(sent)) == 1
    assert len(sent[0]) > 6000


def spy(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that are sent from now on."""
    sent: list[str] = []
    get = prometheus_together.Call.get

    def watch(call: object, params: Mapping[str, str], *, max_bytes: int) -> object:
        sent.append(params["query"])
        return get(call, params, max_bytes=max_bytes)  # type: ignore[arg-type]

    monkeypatch.setattr(prometheus_together.Call, "get", watch)
    return sent


def raw(sent: list[str]) -> list[str]:
    """Those for samples of the SDK's metrics, as every look needs them: not what is asked when a namespace has just been met."""
    return [text for text in sent if "last_over_time" not in text and "up{" not in text]


# Too large.


@pytest.mark.parametrize("limits", [Limits(max_together_series=20), Limits(max_together_bytes=14_000)], ids=["series", "bytes"])
async def test_an_answer_that_is_too_large_is_asked_in_parts(prometheus: Server, history: History, limits: Limits) -> None:
    """All gates together have sixty series of exposures; one has twelve."""
    asked = [whole(history, (name, gate), EXPOSURES, gate=gate, namespace=name) for name in NAMESPACES for gate in GATES]
    assert await answer(prometheus, *asked, limits=limits) == await answer(prometheus, *asked)


async def test_a_gate_that_is_too_large_alone_fails_alone(prometheus: Server, history: History) -> None:
    """Buckets are asked apart; here the gate with two more metrics is larger than the others."""
    heavy = [whole(history, name, name, gate=".*") for name in (REQUESTS, ERRORS, EXPOSURES)]
    light = [whole(history, gate, ERRORS, gate=gate) for gate in GATES if gate != ".*"]
    found = await answer(prometheus, *heavy, *light, limits=Limits(max_together_series=20))
    assert {found[one.key] for one in heavy} == {
        Failed(FailureReason.TOO_LARGE, "The counter has more than 20 series: narrow its matchers, or use a recording rule.")
    }
    assert {one.key: found[one.key] for one in light} == await one_by_one(prometheus, *light)


async def test_a_gate_that_was_too_large_is_asked_for_alone(prometheus: Server, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = [whole(history, name, name, gate=".*") for name in (REQUESTS, ERRORS, EXPOSURES)]
    light = [whole(history, gate, ERRORS, gate=gate) for gate in ("x", "a.b|c")]
    source, sent = SourceSettings.model_validate({"url": prometheus.url}), spy(monkeypatch)
    client = Prometheus({"main": source}, limits=Limits(max_together_series=20))
    first = await client.answer([*heavy, *light])
    sent.clear()
    assert await client.answer([*heavy, *light]) == first
    client.close()
    assert len(raw(sent)) == 2


# Buckets.


async def test_a_bound_is_a_number_however_it_is_written(prometheus: Server, history: History) -> None:
    asked = [whole(history, bound, BUCKETS, labels=(("le", bound),)) for bound in ("1", "1.0", "1.00")]
    found = await answer(prometheus, *asked)
    assert isinstance(found["1"], Increases)
    assert found["1"] == found["1.0"] == found["1.00"]


MISSING = [
    ("0.28", "0.28 s is no bucket of rampgate_request_duration_seconds: the nearest are 0.25 s and 0.3 s."),
    ("0.1", "0.1 s is no bucket of rampgate_request_duration_seconds: the nearest is 0.25 s."),
    ("7", "7 s is no bucket of rampgate_request_duration_seconds: the nearest is 1 s."),
]


async def test_a_bound_that_is_no_bucket_is_refused_with_the_nearest(prometheus: Server, history: History) -> None:
    asked = [whole(history, bound, BUCKETS, labels=(("le", bound),)) for bound, _ in MISSING]
    known = whole(history, "known", BUCKETS, labels=(("le", "0.3"),))
    found = await answer(prometheus, *asked, known)
    assert isinstance(found.pop("known"), Increases)
    assert found == {bound: Failed(FailureReason.REFUSED, message) for bound, message in MISSING}


async def test_a_histogram_that_nobody_has_is_no_data(prometheus: Server, history: History) -> None:
    asked = [whole(history, 1, BUCKETS, gate="nobody's", labels=(("le", "0.3"),)), whole(history, 2, BUCKETS, labels=(("le", "7"),))]
    found = await answer(prometheus, *asked)
    assert found[1] == NoData("No series of the counter has a sample in the window.")
    assert isinstance(found[2], Failed)


# Exposures.


async def test_exposures_say_how_many_processes_counted_and_whether_all_ran_the_rules(prometheus: Server, history: History) -> None:
    """From the twelfth round on this namespace has two pods with generation 4 and two processes each; before, generation 3."""
    windows = {"since": history.rounds[9], "cuts": (history.rounds[11],)}
    late = [whole(history, n, EXPOSURES, namespace="shop.two", kind=Kind.EXPOSURES, generation=n, **windows) for n in (3, 4, 5)]
    found = await answer(prometheus, *late, whole(history, "none", EXPOSURES, gate="nobody's", kind=Kind.EXPOSURES))
    assert found.pop("none") == NoData("No series of the counter has a sample in the window.")
    exposed = [one for one in found.values() if isinstance(one, Exposed)]
    assert [one.processes for one in exposed] == [4, 4, 4]
    assert [one.settled for one in exposed] == [(True, True), (False, True), (False, False)]
    counts = await answer(prometheus, replace(late[0], kind=Kind.INCREASES, generation=0))
    assert counts[3] == Increases(exposed[0].windows)


async def test_a_look_at_several_metrics_is_two_queries(prometheus: Server, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = spy(monkeypatch)
    asked = [whole(history, (gate, name), name, gate=gate) for gate in GATES for name in (ERRORS, EXPOSURES, REQUESTS)]
    buckets = [whole(history, gate, BUCKETS, gate=gate, labels=(("le", "0.3"),)) for gate in GATES]
    await answer(prometheus, *asked, *buckets)
    samples = raw(sent)
    assert len(samples) == 2
    assert re.search(r'^\{__name__=~"rampgate_first_errors_total\|rampgate_first_exposures_total\|rampgate_requests_total",', samples[0])
