"""`python -m benchmarks.propagation`: what it takes to tell pods of a kill, and how soon they obey it.

`api`: 200 pods as plain objects on a real API server, so the operator's side alone: its requests for each kill, the seconds from the API
server's answer to the kill until the last pod was told, and what that costs another Experiment's kill. `told` and `plain`: ten real pods
on a cluster, by benchmarks/propagation_pods.py. `--record` writes the figures of the parts that ran to
benchmarks/results/propagation.json, beside those of a part that did not.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Thread

import requests

from benchmarks import propagation_pods
from benchmarks.scale import CHECKOUT, record, say, session
from rampgate_operator.core.nudging import RULES_ANNOTATION
from tests.apiserver.pods import NAME, Pods
from tests.apiserver.team import PATIENCE, Json, Operator, Team
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl
from tools.devcluster.prometheus import Prometheus

RESULTS = Path(__file__).parent / "results" / "propagation.json"
MANY, FEW, KILLS = 200, 2, 20
NAMESPACE, OTHER, OTHERS_RULES = "shop", "other", "other-gates"
RAMP = {"ramp": {"steps": [{"percent": 10, "hold": "7d"}]}, "guardrails": None}
Figures = dict[str, float]


class Told:
    """Which version each pod was told of, and when the watch said so."""

    def __init__(self) -> None:
        self._changed, self._pods = Condition(), dict[str, tuple[str, float]]()

    def hear(self, events: requests.Response) -> None:
        """Listen until the connection ends."""
        with suppress(requests.RequestException, AttributeError):  # the API server ends it
            for line in events.iter_lines(chunk_size=None):
                self._note(json.loads(line)["object"]["metadata"])

    def _note(self, metadata: Json) -> None:
        version = (metadata.get("annotations") or {}).get(RULES_ANNOTATION, "")
        with self._changed:
            if self._pods.get(metadata["name"], ("", 0.0))[0] != version:
                self._pods[metadata["name"]] = (version, time.monotonic())
                self._changed.notify_all()

    def wait_for(self, mounts: str, count: int, version: str) -> float:
        """Wait until so many pods were told of a version; say when the last one was."""
        with self._changed:

            def last() -> list[float]:
                return [at for name, (told, at) in self._pods.items() if name.startswith(mounts) and told == version]

            if not self._changed.wait_for(lambda: len(last()) == count, PATIENCE):
                raise TimeoutError(f"{len(last())} of {count} pods were told of version {version}")
            return max(last())


@contextmanager
def listening(cluster: Cluster) -> Iterator[Told]:
    """Watch the namespace's pods."""
    told, url = Told(), f"{cluster.url}/api/v1/namespaces/{NAMESPACE}/pods"
    with session(cluster) as opened:
        events = opened.get(url, params={"watch": "true"}, stream=True)
        Thread(target=told.hear, args=(events,), daemon=True).start()
        yield told


class Stage:
    """Two Experiments, each with a ConfigMap of its own: many pods mount the one, few the other."""

    def __init__(self, cluster: Cluster, told: Told) -> None:
        self.team, self._told = Team(cluster, NAMESPACE), told
        self.pods = Pods(cluster, NAMESPACE)
        self.pods.add(MANY)
        self.pods.add(FEW, OTHERS_RULES)
        self._attempt = 0

    def begin(self) -> None:
        """Have both ramp, in a new attempt."""
        self._attempt += 1
        for name, config_map in (("new-checkout", NAME), (OTHER, OTHERS_RULES)):
            self.team.apply(name, changes={**RAMP, "configMapName": config_map, "attempt": self._attempt})
            self.team.patch({"killed": None}, name)
            self.team.wait_for(name, percent=10, waitingFor="Hold", attempt=self._attempt)

    def kill(self, name: str) -> float:
        """Kill one, and say when the API server has answered."""
        self.team.patch({"killed": True}, name)
        return time.monotonic()

    def told(self, mounts: str, count: int) -> float:
        """Wait until all of a ConfigMap's pods know that its gate is killed; say when the last one was told."""
        gate = OTHER if mounts == OTHERS_RULES else "new-checkout"
        while '"serve":"KILLED"' not in (self.team.rules(mounts) or {}).get(f"{gate}.json", ""):
            time.sleep(0.002)
        return self._told.wait_for(mounts, count, self.pods.version(mounts))


def measure_api(say: Callable[[str], object]) -> Figures:
    """Kill again and again, and give the operator's requests and seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="rampgate-bench-") as directory,
        Cluster.start() as cluster,
        Prometheus.launch() as prometheus,
    ):
        apply_crds(cluster, CHECKOUT / "crds")
        kubectl(cluster, "create", "namespace", NAMESPACE)
        with Operator(cluster, prometheus, NAMESPACE, log=Path(directory) / "operator.log"), listening(cluster) as told:
            return _figures(Stage(cluster, told), say)


def _figures(stage: Stage, say: Callable[[str], object]) -> Figures:
    calls, crowd, beside, alone = list[int](), list[float](), list[float](), list[float]()
    for number in range(1, KILLS + 1):
        stage.begin()
        answered = stage.kill(OTHER)
        alone.append(stage.told(OTHERS_RULES, FEW) - answered)
        stage.kill("new-checkout")
        stage.told(NAME, MANY)
        stage.begin()  # nobody is told of what only raises exposure
        before = Counter(_asked(stage))
        answered = stage.kill("new-checkout")
        answered_other = stage.kill(OTHER)
        beside.append(stage.told(OTHERS_RULES, FEW) - answered_other)
        crowd.append(stage.told(NAME, MANY) - answered)
        calls.append((Counter(_asked(stage)) - before).total() - 1 - FEW)  # without the other's list and patches
        say(f"{number} of {KILLS}: {calls[-1]} requests, {crowd[-1]:.2f} s; the other's {beside[-1]:.2f} s, alone {alone[-1]:.2f} s")
    return {
        "api_calls_per_nudge_200_pods": max(calls),
        "nudge_200_pods_p50_s": statistics.median(crowd),
        "nudge_200_pods_max_s": max(crowd),
        "kill_beside_200_pods_p50_s": statistics.median(beside),
        "kill_beside_200_pods_max_s": max(beside),
        "kill_alone_p50_s": statistics.median(alone),
        "kill_alone_max_s": max(alone),
    }


def _asked(stage: Stage) -> Iterator[str]:
    return (request.verb for request in stage.pods.asked())


PARTS: dict[str, Callable[[Callable[[str], object]], Figures]] = {
    "api": measure_api,
    "told": propagation_pods.measure_told,
    "plain": propagation_pods.measure_plain,
}


def main() -> int:
    """Measure, print, and with `--record` write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.propagation", description=__doc__)
    parser.add_argument("--part", choices=PARTS, help="measure this part alone")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/propagation.json")
    options = parser.parse_args()
    figures: Figures = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"] if RESULTS.exists() else {}
    for name, measure in PARTS.items():
        if options.part in {None, name}:
            figures |= measure(say)
    record(figures, RESULTS if options.record else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
