"""What a team does with its Experiments, and what it sees: plain HTTP where kubectl would only be slower."""

import copy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import requests

from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import kubectl
from tools.devcluster.loopback import free_port
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role
from tools.devcluster.server import supervised

RIGHTS = Path(__file__).parents[2] / "manifests" / "rbac" / "operator.yaml"
PATIENCE = 60.0
"""Seconds until something that must happen counts as not happening: a bound, not an expectation."""
POLL = 0.02
Json = dict[str, Any]

EXPERIMENT: Json = {
    "apiVersion": "rampgate.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "new-checkout"},
    "spec": {
        "owner": "payments",
        "variants": [{"name": "control", "value": "old"}, {"name": "treatment", "value": "new"}],
        "control": "control",
        "interval": "1s",
        "ramp": {"steps": [{"percent": 1, "hold": "1s"}, {"percent": 10, "hold": "1s"}, {"percent": 50, "hold": "1h"}]},
        "guardrails": [{"name": "errors", "query": 'max_over_time(shop_errors{variant=~"$variant|"}[1s])', "max": 0.5}],
    },
}


class Operator:
    """`rampgate operator` as its own process, for one namespace, with the rights of manifests/rbac there and no others.

    Nobody starts it again, so its lease outlasts an API server that starts on a busy machine: what a lost one does has tests of its own.
    """

    def __init__(
        self,
        cluster: Cluster,
        prometheus: Prometheus,
        namespace: str,
        *,
        log: Path,
        options: Sequence[str] = (),
        program: Sequence[str] = (sys.executable, "-m", "rampgate_operator"),
        identity: str = "operator",
        lease: str = "60s",
        **sources: str | Json,
    ) -> None:
        self.log = log
        self._command = [*program, "operator", *options]
        self.port = free_port()
        named = {"default": prometheus.url, **sources}
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(cluster.kubeconfig(Role.OPERATOR)),
            "RAMPGATE_SOURCES": json.dumps({name: each if isinstance(each, dict) else {"url": each} for name, each in named.items()}),
            "RAMPGATE_NAMESPACES": json.dumps([namespace]),
            "RAMPGATE_LEASE__IDENTITY": identity,  # as a pod's name, which outlives its processes
            "RAMPGATE_LEASE__DURATION": lease,
        }
        bound = [_binding(identity, "ClusterRole", "rampgate-operator"), _binding(f"{identity}-lease", "Role", "rampgate-operator-lease")]
        rights = json.dumps({"apiVersion": "v1", "kind": "List", "items": bound})  # the Lease is there too, outside a pod
        kubectl(cluster, "-n", namespace, "apply", "--server-side", "-f", str(RIGHTS), "-f", "-", stdin=rights)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, until: str = "watching") -> None:
        """Start it, and wait until it says that it watches, or something else."""
        seen = self.lines(until)
        self._process = self._run()
        try:
            wait_until(lambda: self.lines(until) > seen, f"the operator is {until}", self.log.read_text)
        except AssertionError:
            self.kill()
            raise

    def run_to_its_end(self) -> int:
        """Start it, and give the exit status with which it ends by itself."""
        return self._run().wait(PATIENCE)

    def _run(self) -> "subprocess.Popen[bytes]":
        environment = {**self._environment, "RAMPGATE_LISTEN": f"127.0.0.1:{self.port}"}
        with self.log.open("ab") as log:
            return subprocess.Popen(supervised(self._command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    def stop(self) -> int:
        """SIGTERM; give the exit status."""
        process = self.signal(signal.SIGTERM)
        return process.wait(PATIENCE) if process else 0

    def kill(self) -> None:
        """SIGKILL, as the kernel does it when memory runs out."""
        process = self.signal(signal.SIGKILL)
        if process:
            process.wait(PATIENCE)

    def suspend(self) -> "subprocess.Popen[bytes]":
        """SIGSTOP: it stands still, and knows nothing of it."""
        assert self._process is not None
        subprocess.run(["pkill", "-STOP", "-P", str(self._process.pid)], check=True)
        return self._process

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        subprocess.run(["pkill", "-CONT", "-P", str(self._process.pid)], check=True)

    def signal(self, number: signal.Signals) -> "subprocess.Popen[bytes] | None":
        """Send a signal that ends it, and give the process to wait for; None when it does not run."""
        process, self._process = self._process, None
        if process:
            subprocess.run(["pkill", f"-{number.value}", "-P", str(process.pid)], check=False)
        return process

    def lines(self, text: str) -> int:
        """Count the lines of the log with this text."""
        return sum(text in line for line in self.log.read_text().splitlines()) if self.log.exists() else 0


def _binding(name: str, kind: str, role: str) -> Json:
    group = "rbac.authorization.k8s.io"
    subjects = [{"kind": "User", "name": Role.OPERATOR.user, "apiGroup": group}]
    roles = {"kind": kind, "name": role, "apiGroup": group}
    return {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": name}, "roleRef": roles, "subjects": subjects}


class Team:
    """One namespace and the Experiment `new-checkout` in it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.namespace = namespace
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(cluster.ca_file)
        self._session.headers["Authorization"] = f"Bearer {cluster.token(Role.ADMIN)}"
        self._experiments = f"{cluster.url}/apis/rampgate.dev/v1alpha1/namespaces/{namespace}/experiments"
        self._core = f"{cluster.url}/api/v1/namespaces/{namespace}"

    # --- what a team does ---

    def apply(self, name: str = "new-checkout", *, changes: Json | None = None) -> Json:
        """`kubectl apply --server-side` of the Experiment, with some fields of the spec changed; None drops a field."""
        manifest = copy.deepcopy(EXPERIMENT)
        manifest["metadata"]["name"] = name
        manifest["spec"] = {key: value for key, value in {**manifest["spec"], **(changes or {})}.items() if value is not None}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        url = f"{self._experiments}/{name}?fieldManager=team&force=true"
        return self._checked(self._session.patch(url, data=json.dumps(manifest, ensure_ascii=False).encode(), headers=headers))

    def patch(self, spec: Json, name: str = "new-checkout") -> Json:
        """`kubectl patch --type=merge`."""
        return self._merge(f"{self._experiments}/{name}", {"spec": spec})

    def patch_status(self, status: Json | None, name: str = "new-checkout") -> Json:
        """`kubectl patch --subresource=status --type=merge`: what only the operator should do."""
        return self._merge(f"{self._experiments}/{name}/status", {"status": status})

    def delete(self, name: str = "new-checkout") -> None:
        """`kubectl delete experiment`."""
        self._checked(self._session.delete(f"{self._experiments}/{name}"))

    def patch_rules(self, data: Json, name: str = "feature-gates") -> None:
        """`kubectl patch configmap --type=merge`."""
        self._merge(f"{self._core}/configmaps/{name}", {"data": data})

    def make_rules_immutable(self, name: str = "feature-gates") -> None:
        """`kubectl patch configmap --type=merge -p '{"immutable":true}'`."""
        self._merge(f"{self._core}/configmaps/{name}", {"immutable": True})

    def delete_rules(self, name: str = "feature-gates") -> None:
        """`kubectl delete configmap`."""
        self._checked(self._session.delete(f"{self._core}/configmaps/{name}"))

    def create_config_map(self, data: Json, name: str = "feature-gates") -> None:
        """`kubectl create configmap`."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        self._checked(self._session.post(f"{self._core}/configmaps", json=body))

    # --- what a team sees ---

    def experiment(self, name: str = "new-checkout") -> Json:
        """`kubectl get experiment -o json`."""
        return self._checked(self._session.get(f"{self._experiments}/{name}"))

    def status(self, name: str = "new-checkout") -> Json:
        """The status, empty before there is one."""
        return dict(self.experiment(name).get("status") or {})

    def rules(self, name: str = "feature-gates") -> Json | None:
        """The data of the ConfigMap with the rules; None when there is none."""
        answer = self._session.get(f"{self._core}/configmaps/{name}")
        return None if answer.status_code == requests.codes.not_found else dict(self._checked(answer).get("data") or {})

    def entry(self, name: str = "new-checkout") -> Json | None:
        """The gate's entry; None when there is none."""
        line = (self.rules() or {}).get(f"{name}.json")
        return None if line is None else json.loads(line)

    def events(self) -> list[str]:
        """The reasons of the namespace's Events, oldest first."""
        items = self._checked(self._session.get(f"{self._core}/events"))["items"]
        return [item["reason"] for item in sorted(items, key=lambda item: int(item["metadata"]["resourceVersion"]))]

    def exposure(self, name: str = "new-checkout") -> float:
        """The percentage that pods would serve by what is written now."""
        entry = self.entry(name)
        return 0.0 if entry is None or "serve" in entry else entry.get("percent", 0.0)

    def wait_for(self, name: str = "new-checkout", **wanted: object) -> Json:
        """Wait until the status has these fields, and give it as it was then: `wait_for(phase="Ramping", percent=10)`.

        For what stays until the test does something. What passes by itself is over before a busy machine looks: see `wait_for_step`.
        """
        seen: Json = {}

        def has() -> bool:
            nonlocal seen
            seen = self.status(name)
            return wanted.items() <= seen.items()

        wait_until(has, f"{name} has {wanted}", lambda: seen)
        return seen

    def wait_for_step(self, percent: float, name: str = "new-checkout") -> None:
        """Wait until a percentage has been reached, be it that the ramp has gone on since: the history tells it."""
        wait_until(lambda: percent in self.percents(name), f"{name} has reached {percent} %", lambda: self.status(name))

    def percents(self, name: str = "new-checkout") -> list[float]:
        """The percentages that were served, in order: the history is the authority, however short a step was."""
        return [row["percent"] for row in self.status(name).get("history", ())]

    def _merge(self, url: str, patch: Json) -> Json:
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._checked(self._session.patch(f"{url}?fieldManager=kubectl-patch", data=json.dumps(patch), headers=headers))

    def _checked(self, answer: requests.Response) -> Json:
        if not answer.ok:
            raise AssertionError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}")
        return dict(answer.json())


@contextmanager
def meanwhile(serve: Callable[[], object], *, every: float) -> Iterator[None]:
    """Do something again and again in the background, with so many seconds between."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every):
            serve()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def wait_until(condition: Callable[[], bool], what: str, shown: Callable[[], object] = lambda: "") -> None:
    """Wait until a condition holds; AssertionError, with what is shown instead, when it does not within PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE:g} s it is still not so that {what}: {shown()}"
        time.sleep(POLL)


def stays(condition: Callable[[], bool], what: str, *, seconds: float) -> None:
    """Watch that a condition holds all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"it is no longer so that {what}"
        time.sleep(POLL)
