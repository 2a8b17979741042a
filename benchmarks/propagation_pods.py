"""How soon ten real pods obey a kill: told by the operator, watching the API server, or left to the kubelet's own pace.

Measured from the API server's answer to the patch until the last pod says KILLED: each pod is asked beforehand, and answers when its
rules change. Figures for benchmarks/propagation.py, which says how they are written down.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tools.pods.place import Place, find, until
from tools.pods.release import Release, install_prometheus
from tools.pods.shop import Shop, proxy

PODS = 10
KILLS = {"nudge": 200, "watch": 200, "plain": 5}
"""How many of each in a shop; the kubelet's pace is some forty seconds each time, so several shops wait side by side."""
PLAIN_SHOPS = 4
RAMP = {"steps": [{"percent": 50, "hold": "10m"}], "confirm": {"pods": "1%", "timeout": "10m"}}
"""Confirmed, so that pods are told of each new attempt as soon as of its end: the next kill need not wait for the kubelet."""
APPLICATION_RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: shop}
rules: [{apiGroups: [""], resources: [configmaps], resourceNames: [feature-gates], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: shop}
subjects: [{kind: ServiceAccount, name: default}]
"""
Documents = list[dict[str, Any]]


def measure_told(say: Callable[[str], object]) -> dict[str, float]:
    """Measure pods that the operator tells, and pods that watch the API server; in seconds."""
    figures: dict[str, float] = {}
    with _installed(say) as (place, api):
        for mode, change in (("nudge", None), ("watch", _watching)):
            with _shops(place, api, 1, change) as [shop]:
                took = _kills(shop, KILLS[mode], lambda line, mode=mode: say(f"{mode}: {line}"))
            figures |= _summary(mode, took)
    return figures


def measure_plain(say: Callable[[str], object]) -> dict[str, float]:
    """Measure pods that nobody tells, in several shops side by side; in seconds."""
    with (
        _installed(say) as (place, api),
        _shops(place, api, PLAIN_SHOPS, _unlabelled) as shops,
        ThreadPoolExecutor(PLAIN_SHOPS) as side_by_side,
    ):
        several = side_by_side.map(lambda shop: _kills(shop, KILLS["plain"], lambda line: say(f"plain: {line}")), shops)
        return _summary("plain", [seconds for seconds_of_one in several for seconds in seconds_of_one])


@contextmanager
def _installed(say: Callable[[str], object]) -> Iterator[tuple[Place, str]]:
    with find(say) as place, proxy(place) as api, tempfile.TemporaryDirectory(prefix="rampgate-helm-") as home:
        install_prometheus(place)
        Release(place, Path(home)).install()
        yield place, api


def _summary(mode: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    figures = {"p50": cuts[49], "p99": cuts[98], "max": max(seconds)}
    return {f"kill_{name}_s_{mode}": round(value, 3) for name, value in figures.items()}


@contextmanager
def _shops(place: Place, api: str, count: int, change: Callable[[Documents], None] | None) -> Iterator[list[Shop]]:
    """Open shops of ten pods without users, each with a gate that is on for half of them."""
    with ExitStack() as opened:
        shops = [Shop(place, api) for _ in range(count)]
        for shop in shops:
            opened.callback(shop.close)
            shop.open(replicas=PODS, change=lambda documents: _without_users(documents, change))
            shop.apply(ramp=RAMP, guardrails=None)
        yield shops


def _without_users(documents: Documents, change: Callable[[Documents], None] | None) -> None:
    documents[:] = [document for document in documents if document["metadata"]["name"] != "users"]
    if change is not None:
        change(documents)


def _watching(documents: Documents) -> None:
    """Have the pods watch the API server instead of mounting the rules."""
    for template in _templates(documents):
        template["spec"]["automountServiceAccountToken"] = True
        template["spec"]["containers"][0]["command"].remove("--rules=/etc/rampgate")
        del template["metadata"]["labels"]["rampgate.dev/gates"]
    documents.extend(yaml.safe_load_all(APPLICATION_RIGHTS))


def _unlabelled(documents: Documents) -> None:
    """Have the pods not be told."""
    for template in _templates(documents):
        del template["metadata"]["labels"]["rampgate.dev/gates"]


def _templates(documents: Documents) -> list[dict[str, Any]]:
    return [document["spec"]["template"] for document in documents if document["kind"] == "Deployment"]


def _kills(shop: Shop, count: int, say: Callable[[str], object]) -> list[float]:
    """Kill and begin again, so many times; give the seconds of each kill."""
    took = []
    with ThreadPoolExecutor(PODS) as asking:
        for attempt in range(1, count + 1):
            generation = _all_run(shop, attempt)
            took.append(_kill(shop, generation, asking))
            shop.patch(killed=None, attempt=attempt + 1)
            if attempt % 20 == 0 or count < 20:
                say(f"{attempt} of {count} kills, the longest {max(took):.2f} s")
    return took


def _all_run(shop: Shop, attempt: int) -> int:
    """Wait until each pod runs the rules of an attempt, and give their generation."""
    until(lambda: (shop.status().get("attempt"), shop.status().get("percent")) == (attempt, 50), f"attempt {attempt} is at 50 %")
    generation = int(shop.status()["rules"]["generation"])

    def everywhere() -> bool:
        return {decision["generation"] for decision in shop.decisions().values()} == {generation}

    until(everywhere, "all pods run it", seconds=180, every=0.5)
    return generation


def _kill(shop: Shop, generation: int, asking: ThreadPoolExecutor) -> float:
    """Kill, and give the seconds from the API server's answer to the last pod's."""
    query = urlencode({"user": "user-1", "after": generation, "wait": 180})

    def obeys(pod: str) -> float:
        decision = json.loads(shop.ask(pod, f"/rules?{query}", timeout=200.0))
        assert decision["reason"] == "KILLED", decision
        return time.monotonic()

    pods = shop.pods()
    assert len(pods) == PODS, pods
    answers = [asking.submit(obeys, pod) for pod in pods]
    time.sleep(0.2)  # until all of them wait
    shop.patch(killed=True)
    answered = time.monotonic()
    return max(answer.result() for answer in answers) - answered
