"""`python -m benchmarks.looks`: one look at 1,000 Experiments with three presets each, against a real Prometheus that scrapes an exporter.

Each gate runs in ten pods, with a control, a treatment and a baseline; the presets ask for units' errors and exposures, requests and their
errors, and durations with one bucket. The questions are asked as the operator asks them, all at once, and once more each Experiment's at a
moment of its own. Told are the queries, the bytes, the seconds, and the processor time of this process and of Prometheus; and beside it
what one query per question costs, measured on some Experiments and scaled. It takes six minutes, since a look's margin must be full of
samples first. `--record FILE` writes the figures.
"""

import argparse
import asyncio
import gzip
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import requests

from benchmarks.scale import cpu_seconds, record, say
from rampgate_operator.adapters.prometheus import Prometheus as Client
from rampgate_operator.adapters.prometheus_http import Call, Payload
from rampgate_operator.adapters.prometheus_together import MOST_GATES
from rampgate_operator.core.counted import asked
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.looks import Answer, Exposed, Increases, Kind, LookRequest, Metric, Value
from rampgate_operator.core.promql import compile_query
from rampgate_operator.settings import SourceSettings
from tools.devcluster.prometheus import Prometheus

NAMESPACES, PODS, SCRAPES, INTERVAL, SLOW = 10, 10, timedelta(seconds=15), timedelta(seconds=30), "0.3"
LAG = timedelta(seconds=10)
SAMPLED = 20
"""Experiments that are also asked one query per question."""


def exposition(gates: list[str], seconds: float) -> str:
    """What a pod with these gates tells after some seconds."""
    lines = ["rampgate_processes 1"]
    for number, gate in enumerate(gates):
        lines.append(f'rampgate_rules_generation{{gate="{gate}"}} 7')
        for share, variant in ((1, "control"), (1, "treatment"), (30, "baseline")):
            labels, count = f'gate="{gate}",variant="{variant}"', int(seconds * share * (1 + number % 5))
            lines += [
                f"rampgate_first_exposures_total{{{labels}}} {count // 5}",
                f"rampgate_first_errors_total{{{labels}}} {count // 100}",
                f'rampgate_requests_total{{{labels},outcome="ok"}} {count - count // 50}',
                f'rampgate_requests_total{{{labels},outcome="error"}} {count // 50}',
                *(
                    f'rampgate_request_duration_seconds_bucket{{{labels},le="{bound}"}} {count * part // 10}'
                    for bound, part in (("0.1", 5), (SLOW, 8), ("1.0", 9), ("+Inf", 10))
                ),
                f"rampgate_request_duration_seconds_sum{{{labels}}} {count / 5}",
                f"rampgate_request_duration_seconds_count{{{labels}}} {count}",
            ]
    return "\n".join(lines) + "\n"


def serve(fleet: Mapping[str, list[str]], told: Connection) -> None:
    """Be all pods: `/NAMESPACE/POD` is what a pod exposes. A process of its own, so that its time is not counted."""
    started = time.monotonic()

    class Pod(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer a scrape."""
            body = exposition(fleet[self.path.split("/")[1]], time.monotonic() - started).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pod)
    told.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def scraped(fleet: Mapping[str, list[str]]) -> Iterator[Prometheus]:
    """A Prometheus that scrapes all pods."""
    told, teller = multiprocessing.Pipe(duplex=False)
    pods = multiprocessing.get_context("spawn").Process(target=serve, args=(fleet, teller), daemon=True)
    pods.start()
    port = told.recv()
    try:
        with Prometheus.launch(scrape_interval=SCRAPES.total_seconds()) as prometheus:
            for number, namespace in enumerate(fleet):
                for pod in range(PODS):
                    name = f"application-7d9f8c6b5-{pod:05}"
                    path = {"__metrics_path__": f"/{namespace}/{name}", "instance": f"10.0.{number}.{pod}:8080"}
                    prometheus.add_target(
                        f"{namespace}/{name}", f"127.0.0.1:{port}", {"job": "application", "namespace": namespace, "pod": name, **path}
                    )
            yield prometheus
    finally:
        pods.terminate()
        pods.join()


@dataclass
class Traffic:
    """What went to Prometheus and came back."""

    sizes: list[int] = field(default_factory=list)
    asked: list[Mapping[str, str]] = field(default_factory=list)


@contextmanager
def observed() -> Iterator[Traffic]:
    """Look over the shoulder of whoever asks."""
    traffic, get = Traffic(), Call.get

    def watch(call: Call, params: Mapping[str, str], *, max_bytes: int) -> Payload:
        payload = get(call, params, max_bytes=max_bytes)
        traffic.sizes.append(len(payload.body))
        traffic.asked.append(params)
        return payload

    with mock.patch.object(Call, "get", watch):
        yield traffic


GUARDRAILS = tuple(
    Guardrail.model_validate_json(json.dumps(each | {"maxIncrease": "10%"}))
    for each in (
        {"name": "units", "errorRate": {"per": "Unit"}},
        {"name": "requests", "errorRate": {"per": "Request"}},
        {"name": "slow", "slowerThan": "300ms"},
    )
)
ARMS = ("control", "treatment")
EXPOSURES = Metric(name="rampgate_first_exposures_total", gate="")


def presets(namespace: str, gate: str, at: datetime) -> list[list[LookRequest]]:
    """All questions of one Experiment, those of each guardrail apart, as the operator asks them; and its exposures."""
    window: dict[str, Any] = {"source": "main", "at": at, "since": at - INTERVAL, "tenant": namespace}
    exposures = LookRequest(key="exposures", metric=replace(EXPOSURES, gate=gate), kind=Kind.EXPOSURES, generation=7, **window)
    return [
        [exposures],
        *(
            [
                LookRequest(key=name, metric=metric, kind=Kind.INCREASES, **window)
                for name, metric in asked(guardrail, gate=gate, namespace=namespace, arms=ARMS).items()
                if isinstance(metric, Metric)
            ]
            for guardrail in GUARDRAILS
        ),
    ]


def queries(namespace: str, gate: str, at: datetime) -> list[list[LookRequest]]:
    """The same as queries of one's own."""
    return [[_alone(question) for question in questions] for questions in presets(namespace, gate, at)]


def _alone(question: LookRequest) -> LookRequest:
    assert question.metric is not None, "presets have one"
    matchers = ",".join(f'{label}="{value}"' for label, value in (("gate", question.metric.gate), *question.metric.labels))
    query = compile_query(f"{question.metric.name}{{{matchers}}}", namespace=question.tenant).text
    return replace(question, metric=None, query=query, kind=Kind.INCREASES)


@dataclass(frozen=True)
class Cost:
    """Of one look at all Experiments."""

    queries: float
    mb: float
    cpu: float
    server_cpu: float
    wall: float

    def scaled(self, factor: float) -> "Cost":
        """The same for more."""
        return Cost(*(factor * value for value in (self.queries, self.mb, self.cpu, self.server_cpu, self.wall)))

    def __str__(self) -> str:
        used = f"processor time {self.cpu:.2f} s here and {self.server_cpu:.2f} s in Prometheus"
        return f"{self.queries:.0f} queries, {self.mb:.0f} MB, {self.wall:.1f} s, {used}"


Ask = Callable[[str, str, datetime], list[list[LookRequest]]]


async def look(client: Client, experiments: list[tuple[str, str]], *, ask: Ask, pid: int, over: timedelta = timedelta(0)) -> Cost:
    """Ask for all of them, as the operator does: without waiting for an answer, all at once or spread over a time."""

    async def one(number: int, experiment: tuple[str, str]) -> list[Mapping[Hashable, Answer]]:
        await asyncio.sleep(number * over.total_seconds() / len(experiments))
        at = datetime.fromtimestamp(time.time(), UTC) - LAG  # now, as far as all scrapes are surely seen
        return await asyncio.gather(*map(client.answer, ask(*experiment, at)))

    before, server, started = time.process_time(), cpu_seconds(pid), time.monotonic()
    with observed() as traffic:
        answers = await asyncio.gather(*(one(number, experiment) for number, experiment in enumerate(experiments)))
    wall, cpu = time.monotonic() - started, time.process_time() - before
    if wrong := [answer for looks in answers for each in looks for answer in each.values() if not is_full(answer)]:
        raise ValueError(f"{len(wrong)} questions have no full answer, such as {wrong[0]}")
    return Cost(len(traffic.sizes), sum(traffic.sizes) / 1e6, cpu, cpu_seconds(pid) - server, wall)


def is_full(answer: Answer) -> bool:
    """Whether all three variants were counted."""
    return isinstance(answer, Increases | Exposed) and len(set().union(*answer.windows)) == 3


def encodings(url: str, params: Mapping[str, str], pid: int) -> str:
    """What compression would change, of one common query: bytes, and processor time to fetch them here and to make them there."""
    told = []
    for encoding in ("identity", "gzip"):
        before, server = time.process_time(), cpu_seconds(pid)
        with requests.post(f"{url}/api/v1/query", data=params, headers={"Accept-Encoding": encoding}, stream=True, timeout=60) as response:
            size = len(response.raw.read(decode_content=False)) if encoding == "identity" else _unpacked(response)
        told.append(f"{encoding} {size / 1e6:.1f} MB, {time.process_time() - before:.3f} s here, {cpu_seconds(pid) - server:.2f} s there")
    return "; ".join(told)


def _unpacked(response: requests.Response) -> int:
    packed = response.raw.read(decode_content=False)
    gzip.decompress(packed)
    return len(packed)


async def ready(client: Client, lookback: timedelta) -> None:
    """Wait until a look's margin is full of samples."""
    span, due = lookback + INTERVAL, (lookback + INTERVAL) // SCRAPES
    query = f"min(count_over_time(rampgate_processes[{span // timedelta(seconds=1)}s]))"
    while True:
        request = LookRequest(key="", source="main", query=query, at=datetime.fromtimestamp(time.time(), UTC))
        found = (await client.answer([request]))[""]
        if isinstance(found, Value) and found.value >= due:
            return
        await asyncio.sleep(1)


async def _costs(count: int) -> dict[str, float]:
    fleet = {f"team-{number}": [f"gate-{gate}" for gate in range(number, count, NAMESPACES)] for number in range(NAMESPACES)}
    experiments = [(namespace, gate) for namespace, gates in fleet.items() for gate in gates]
    with scraped(fleet) as prometheus:
        source = SourceSettings.model_validate({"url": prometheus.url, "timeout": "60s"})
        client = Client({"main": source})
        say(f"{count} Experiments in {NAMESPACES * PODS} pods; waiting until they were scraped for {source.lookback}")
        await ready(client, source.lookback)
        pid = child_of(prometheus.pid)
        with observed() as traffic:
            await look(client, experiments[:MOST_GATES], ask=presets, pid=pid)
        together = await look(client, experiments, ask=presets, pid=pid)
        say(f"together: {together}; at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB in memory")
        spread = await look(client, experiments, ask=presets, pid=pid, over=INTERVAL)
        say(f"the same, each look at a moment of its own within {INTERVAL.total_seconds():g} s: {spread}")
        some = experiments[:: max(1, count // SAMPLED)]
        alone = (await look(client, some, ask=queries, pid=pid)).scaled(count / len(some))
        say(f"one query per question, from {len(some)} Experiments: {alone}")
        largest = max(traffic.asked, key=lambda params: len(params["query"]))
        say(f"one of {together.queries:.0f}: {encodings(prometheus.url, largest, pid)}")
        client.close()
    return {
        "looks_1000x3_queries": together.queries,
        "looks_1000x3_cpu_s": together.cpu,
        "looks_1000x3_mb": together.mb,
        "looks_1000x3_wall_s": together.wall,
        "looks_1000x3_server_cpu_s": together.server_cpu,
        "looks_1000x3_spread_queries": spread.queries,
        "looks_1000x3_spread_cpu_s": spread.cpu,
        "looks_1000x3_alone_queries": alone.queries,
        "looks_1000x3_alone_cpu_s": alone.cpu,
        "looks_1000x3_alone_server_cpu_s": alone.server_cpu,
    }


def child_of(pid: int | None) -> int:
    """A server's own process, below the one that watches over it."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def measure(count: int = 1000) -> dict[str, float]:
    """Run it all, and give the figures `looks_1000x3_queries`, `looks_1000x3_cpu_s` and what belongs to them."""
    return asyncio.run(_costs(count))


def main() -> int:
    """Measure, print, and with `--record` write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looks", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many Experiments (default: %(default)s)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args()
    record(measure(options.count), options.record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
