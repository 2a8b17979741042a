"""The quickstart's shop in a namespace of its own: pods that mount the rules, and users. Knows what its pods can be asked.

Pods are asked through `kubectl proxy`, which works with every cluster: no address of a pod need be reachable from here.
"""

import json
import re
import secrets
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tools.devcluster.binaries import kubectl_path
from tools.devcluster.server import supervised
from tools.pods.place import Place, until

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
GATE = "new-checkout"
TIMEOUT = 60.0
MERGE_PATCH = "application/merge-patch+json"


@contextmanager
def proxy(place: Place) -> Iterator[str]:
    """Give a URL of the API server that needs no token, for the length of the block."""
    command = [str(kubectl_path()), f"--kubeconfig={place.kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(supervised(command), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            address = re.search(r"127\.0\.0\.1:\d+", said)
            assert address is not None, said
            yield f"http://{address[0]}"
        finally:
            process.terminate()


class Shop:
    """A shop of some pods in a new namespace; `experiment` is the quickstart's, to be changed by the caller."""

    def __init__(self, place: Place, api: str, *, name: str = "shop") -> None:
        self.place, self.api = place, api
        self.namespace = f"{name}-{secrets.token_hex(3)}"

    def open(self, *, replicas: int = 3, change: Callable[[list[dict[str, Any]]], None] | None = None) -> None:
        """Create the namespace and the shop, and wait until its pods are ready."""
        self.place.kubectl("create", "namespace", self.namespace)
        documents = list(yaml.safe_load_all(self.place.with_our_image((QUICKSTART / "shop.yaml").read_text())))
        for document in documents:
            if document["kind"] == "Deployment" and document["metadata"]["name"] == "shop":
                document["spec"]["replicas"] = replicas
        if change is not None:
            change(documents)
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
        self.kubectl("rollout", "status", "deployment/shop", "--timeout=120s", timeout=130)

    def close(self) -> None:
        """Delete the namespace, and let it go by itself."""
        self.place.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """Run kubectl in the shop's namespace."""
        return self.place.kubectl(f"--namespace={self.namespace}", *arguments, stdin=stdin, timeout=timeout)

    def apply(self, *, file: Path = QUICKSTART / "experiment.yaml", **spec: object) -> None:
        """Apply the Experiment, with these fields of its spec changed."""
        body = yaml.safe_load(file.read_text())
        body["spec"] |= spec
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def patch(self, **spec: object) -> None:
        """Merge some fields into the spec, by HTTP: kubectl takes longer to start than pods to obey."""
        self._call(self._path, method="PATCH", body=json.dumps({"spec": spec}))

    def experiment(self) -> dict[str, Any]:
        """The Experiment as it is."""
        found: dict[str, Any] = json.loads(self._call(self._path))
        return found

    def status(self) -> dict[str, Any]:
        """Its status; empty before the first."""
        status: dict[str, Any] = self.experiment().get("status") or {}
        return status

    def wait_for(self, *, seconds: float = 120.0, **status: object) -> dict[str, Any]:
        """Wait until these fields of the status are so, and give it whole."""
        until(lambda: status.items() <= self.status().items(), f"{status} of {self.namespace}, which is {self.status()}", seconds=seconds)
        return self.status()

    def pods(self) -> list[str]:
        """The names of the shop's running pods."""
        found = self._call(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app%3Dshop")
        return sorted(pod["metadata"]["name"] for pod in json.loads(found)["items"] if "deletionTimestamp" not in pod["metadata"])

    def decisions(self, user: str = "user-1", *, after: int | None = None) -> dict[str, Mapping[str, Any]]:
        """What each pod would show a user now; with `after`, each pod's answer comes once it runs another generation than that."""
        waits = {} if after is None else {"after": after}

        def ask(pod: str) -> Mapping[str, Any]:
            answer: dict[str, Any] = json.loads(self.ask(pod, "/rules?" + urlencode({"user": user, **waits})))
            return answer

        pods = self.pods()
        with ThreadPoolExecutor(max(1, len(pods))) as asking:
            return dict(zip(pods, asking.map(ask, pods), strict=True))

    def reasons(self, user: str = "user-1") -> set[str]:
        """By which reasons the pods decide now."""
        return {str(decision["reason"]) for decision in self.decisions(user).values()}

    def break_treatment(self, rate: float) -> None:
        """Make this share of the treatment's checkouts fail at every pod."""
        for pod in self.pods():
            self.ask(pod, "/fault?" + urlencode({"variant": "treatment", "rate": rate}), method="POST")

    def ask(self, pod: str, path: str, *, method: str = "GET", timeout: float = TIMEOUT) -> str:
        """Ask a pod by HTTP."""
        return self._call(f"/api/v1/namespaces/{self.namespace}/pods/{pod}:8080/proxy{path}", method=method, timeout=timeout)

    @property
    def _path(self) -> str:
        return f"/apis/rampgate.dev/v1alpha1/namespaces/{self.namespace}/experiments/{GATE}"

    def _call(self, path: str, *, method: str = "GET", body: str = "", timeout: float = TIMEOUT) -> str:
        data = body.encode() if method != "GET" else None
        request = urllib.request.Request(self.api + path, data, {"Content-Type": MERGE_PATCH}, method=method)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return str(answer.read().decode())
