"""`python -m benchmarks.scale`: 1,000 Experiments with two guardrails each, on a real API server and a stub of Prometheus' HTTP API.

Measured: seconds until all are reconciled (first installation, and restart), the process's memory and its CPU per 1,000 looks, and how long
a kill takes while four clients edit everything, again and again, as fast as they can: from the patch, and from the moment at which the
API server's watch tells anybody of it, which on a busy machine is the greater part. `--record` writes benchmarks/results/scale.json.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl
from tools.devcluster.loopback import free_port
from tools.devcluster.roles import Role
from tools.devcluster.server import Server

CHECKOUT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "scale.json"
NAMESPACES, KILLS, EDITORS, STEADY_SECONDS = 10, 100, 4, 60
EXPERIMENT: dict[str, Any] = {
    "owner": "payments",
    "variants": [{"name": "control", "value": False}, {"name": "treatment", "value": True}],
    "control": "control",
    "interval": "30s",
    "ramp": {"steps": [{"percent": 1, "hold": "7d"}]},
    "guardrails": [
        {"name": "errors", "query": 'sum(rate(errors_total{variant="$variant"}[5m]))', "max": 1},
        {"name": "latency", "query": 'sum(rate(latency_total{gate="$gate"}[5m]))', "max": 1},
    ],
}


class Stub(BaseHTTPRequestHandler):
    """Prometheus, as far as an instant query needs it: one series, always the same number."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer likewise."""
        self.do_POST()

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        result = [{"metric": {}, "value": [time.time(), "0.1"]}]
        body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def session(cluster: Cluster) -> requests.Session:
    """An administrator's connections."""
    opened = requests.Session()
    opened.trust_env = False
    opened.verify = str(cluster.ca_file)
    opened.headers["Authorization"] = f"Bearer {cluster.token(Role.ADMIN)}"
    opened.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=32))
    return opened


def watch_kills(cluster: Cluster, told: "multiprocessing.Queue[tuple[str, float]]") -> None:
    """Tell when the API server's watch shows a kill, as it would to any client; a process of its own, which does nothing else."""
    url = f"{cluster.url}/apis/rampgate.dev/v1alpha1/experiments"
    with session(cluster) as opened, opened.get(url, params={"watch": "true"}, stream=True) as events:
        for line in events.iter_lines(chunk_size=None):
            if b'"killed":true' in line:
                told.put((json.loads(line)["object"]["metadata"]["name"], time.time()))


class Fleet:
    """The Experiments, over plain HTTP, and the operator beside them."""

    def __init__(self, cluster: Cluster, count: int, port: int) -> None:
        self._url, self._port = cluster.url, port
        self._session = session(cluster)
        self.names = [(f"team-{number % NAMESPACES}", f"gate-{number}") for number in range(count)]

    def create(self) -> None:
        """Create them all."""
        self._each(self._create, self.names)

    def edit_until(self, over: Event) -> None:
        """Edit them all, again and again."""
        for number in itertools.count():
            owner = {"owner": f"owner-{number}"}
            with ThreadPoolExecutor(EDITORS) as threads:
                list(threads.map(lambda name, owner=owner: over.is_set() or self.patch(name, owner), self.names))
            if over.is_set():
                return

    def patch(self, name: tuple[str, str], spec: dict[str, Any]) -> None:
        """`kubectl patch --type=merge`."""
        headers = {"Content-Type": "application/merge-patch+json"}
        self._session.patch(self._path(name), data=json.dumps({"spec": spec}), headers=headers).raise_for_status()

    def serves_kill(self, name: tuple[str, str]) -> bool:
        """Whether pods are told."""
        found = self._session.get(f"{self._url}/api/v1/namespaces/{name[0]}/configmaps/feature-gates").json()
        return '"serve":"KILLED"' in found["data"].get(f"{name[1]}.json", "")

    def metric(self, wanted: str, **labels: str) -> list[float]:
        """The operator's own figures; none while it does not listen."""
        try:
            text = requests.get(f"http://127.0.0.1:{self._port}/metrics", timeout=5).text
        except requests.ConnectionError:
            return []
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return [sample.value for sample in samples if sample.name == wanted and labels.items() <= sample.labels.items()]

    def _create(self, name: tuple[str, str]) -> None:
        body = {"apiVersion": "rampgate.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": name[1]}, "spec": EXPERIMENT}
        self._session.post(self._path(name).rpartition("/")[0], json=body).raise_for_status()

    def _path(self, name: tuple[str, str]) -> str:
        return f"{self._url}/apis/rampgate.dev/v1alpha1/namespaces/{name[0]}/experiments/{name[1]}"

    @staticmethod
    def _each(do: Any, names: list[tuple[str, str]]) -> None:  # noqa: ANN401  # a function of a name
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(do, names))


def until(condition: Any, what: str, *, patience: float = 600.0, every: float = 0.05) -> float:  # noqa: ANN401  # a function
    """Wait, and give the seconds it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > patience:
            raise TimeoutError(f"after {patience:g} s it is still not so that {what}")
        time.sleep(every)
    return time.monotonic() - started


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """The memory that a process holds (proc(5), statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def operator_pid(server: Server) -> int:
    """The operator's own process, below the one that watches over it."""
    return int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0])


def kills(fleet: Fleet, cluster: Cluster) -> dict[str, float]:
    """Kill some, one after the other, while everything is edited again and again; give the 99th percentiles in seconds."""
    told: multiprocessing.Queue[tuple[str, float]] = multiprocessing.Queue()
    watcher = multiprocessing.Process(target=watch_kills, args=(cluster, told), daemon=True)
    watcher.start()
    over = Event()
    editing = Thread(target=fleet.edit_until, args=(over,))
    editing.start()
    took, after_watch = [], []
    for name in fleet.names[:: max(1, len(fleet.names) // KILLS)]:
        started = time.time()
        fleet.patch(name, {"killed": True})
        until(lambda name=name: fleet.serves_kill(name), "pods are told")
        ended = time.time()
        took.append(ended - started)
        watched = next(at for told_of, at in iter(lambda: told.get(timeout=60), None) if told_of == name[1])
        after_watch.append(max(0.0, ended - watched))
    over.set()
    editing.join()
    watcher.terminate()
    say(f"{len(took)} kills during the update")
    return {"kill_p99_s_1000": p99(took), "kill_after_watch_p99_s_1000": p99(after_watch)}


def p99(values: list[float]) -> float:
    """The 99th percentile; of fewer than a hundred values, the largest."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


@contextmanager
def stub() -> Iterator[str]:
    """A stub of Prometheus, and its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def measure(count: int, directory: Path) -> dict[str, float]:
    """Run it all, and give the figures."""
    with Cluster.start() as cluster, stub() as source:
        apply_crds(cluster, CHECKOUT / "crds")
        kubectl(cluster, "create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", f"--user={Role.OPERATOR.user}")
        for number in range(NAMESPACES):
            kubectl(cluster, "create", "namespace", f"team-{number}")
        fleet = Fleet(cluster, count, port := free_port())
        fleet.create()
        say(f"{count} Experiments are there")
        settings = {
            "KUBECONFIG": str(cluster.kubeconfig(Role.OPERATOR)),
            "RAMPGATE_SOURCES__DEFAULT__URL": source,
            "RAMPGATE_LISTEN": f"127.0.0.1:{port}",
            "RAMPGATE_LEASE__IDENTITY": "bench",
        }
        command = ["env", *(f"{name}={value}" for name, value in settings.items()), sys.executable, "-m", "rampgate_operator", "operator"]
        operator = Server("operator", command, log=directory / "operator.log")
        try:
            return _figures(fleet, cluster, operator, count)
        finally:
            operator.stop()


def _figures(fleet: Fleet, cluster: Cluster, operator: Server, count: int) -> dict[str, float]:
    ramping = {"phase": "Ramping"}

    def all_ramp() -> bool:
        return sum(fleet.metric("rampgate_operator_experiment_percent", **ramping)) >= count

    figures = {"install_s_1000": _start(operator, all_ramp)}
    say(f"first installation, every gate served at its first step: {figures['install_s_1000']:.1f} s")
    operator.stop()
    figures["ready_s_1000"] = _start(operator, lambda: len(fleet.metric("rampgate_operator_experiment_percent")) >= count)
    say(f"restart, every Experiment reconciled: {figures['ready_s_1000']:.1f} s")
    pid = operator_pid(operator)
    until(lambda: sum(fleet.metric("rampgate_operator_queue_depth")) == 0, "the queue is empty")
    time.sleep(5)
    looks, cpu = sum(fleet.metric("rampgate_operator_looks_total")), cpu_seconds(pid)
    time.sleep(STEADY_SECONDS)
    looked, used = sum(fleet.metric("rampgate_operator_looks_total")) - looks, cpu_seconds(pid) - cpu
    figures |= {"rss_mib_1000": rss_mib(pid), "cpu_s_per_1000_looks": used / looked * 1000, "looks_per_s": looked / STEADY_SECONDS}
    say(f"steady: {figures['rss_mib_1000']:.0f} MiB, {figures['cpu_s_per_1000_looks']:.2f} CPU-s per 1,000 looks")
    figures |= kills(fleet, cluster)
    say("kill during a mass update: p99 {kill_p99_s_1000:.2f} s, from the watch on {kill_after_watch_p99_s_1000:.2f} s".format(**figures))
    return figures


def _start(operator: Server, is_done: Any) -> float:  # noqa: ANN401  # a function without arguments
    started = time.monotonic()
    operator.start(lambda: True)
    until(is_done, "all are reconciled", every=0.5)  # to render and to read the metrics of a thousand takes both of them a while
    return time.monotonic() - started


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def record(figures: dict[str, float], file: Path | None) -> None:
    """Print figures with the machine and the day, and write them to a file, if there is one."""
    result = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),  # noqa: TID251  # the day of a measurement
        "figures": {name: round(value, 4) for name, value in figures.items()},
    }
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if file is not None:
        file.write_text(text, encoding="utf-8")


def main() -> int:
    """Measure, print, and with `--record` write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many Experiments (default: %(default)s)")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/scale.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rampgate-bench-") as directory:
        figures = measure(options.count, Path(directory))
    record(figures, RESULTS if options.record else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
