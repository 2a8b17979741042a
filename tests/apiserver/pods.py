"""Pods that mount ConfigMaps with rules, as far as the API server knows pods: no kubelet runs them."""

import requests

from rampgate_operator.core.nudging import GATES_LABEL, RULES_ANNOTATION
from tests.apiserver.team import Json, wait_until
from tools.devcluster.audit import Request
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

NAME = "feature-gates"


class Pods:
    """Those of a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self.namespace = cluster, namespace
        self._url = f"{cluster.url}/api/v1/namespaces/{namespace}/pods"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(cluster.ca_file)
        self._session.headers["Authorization"] = f"Bearer {cluster.token(Role.ADMIN)}"

    def add(self, count: int, mounts: str = NAME, *, called: str | None = None) -> None:
        """Create them, and wait until who lists what the API server has in memory, as the operator does, finds them."""
        before = len(self._in_memory(mounts))
        for number in range(count):
            body = {
                "metadata": {"name": f"{called or mounts}-{number}", "labels": {GATES_LABEL: mounts}, "annotations": {"team": "payments"}},
                "spec": {"containers": [{"name": "app", "image": "none"}], "automountServiceAccountToken": False},
            }
            answer = self._session.post(self._url, json=body)
            assert answer.ok, answer.text
        wait_until(lambda: len(self._in_memory(mounts)) == before + count, "they are listed")

    def _in_memory(self, mounts: str) -> list[Json]:
        listed = self._session.get(self._url, params={"labelSelector": f"{GATES_LABEL}={mounts}", "resourceVersion": "0"})
        return list(listed.json()["items"])

    def all(self, mounts: str = NAME) -> list[Json]:
        return list(self._session.get(self._url, params={"labelSelector": f"{GATES_LABEL}={mounts}"}).json()["items"])

    def told(self, mounts: str = NAME) -> set[str]:
        """The versions that they were told of; "" for none."""
        return {pod["metadata"]["annotations"].get(RULES_ANNOTATION, "") for pod in self.all(mounts)}

    def version(self, name: str = NAME) -> str:
        """The ConfigMap's version."""
        answer = self._session.get(self._url.removesuffix("pods") + f"configmaps/{name}")
        return str(answer.json()["metadata"]["resourceVersion"])

    def are_told(self, mounts: str = NAME) -> bool:
        return self.told(mounts) == {self.version(mounts)}

    def asked(self) -> list[Request]:
        """What the operator asked about them."""
        asked = self._cluster.requests()
        return [each for each in asked if (each.namespace, each.resource, each.user) == (self.namespace, "pods", Role.OPERATOR.user)]
