"""A cluster and the people at it, the real one and the one in memory, with the same hands."""

from collections.abc import Mapping
from typing import Any, Protocol

import requests

from rampgate_operator.core.nudging import GATES_LABEL
from rampgate_operator.ports import Body, Cluster, Key
from tools.devcluster.cluster import Cluster as ControlPlane
from tools.devcluster.roles import Role


class People(Protocol):
    """What people do with kubectl, whatever the cluster is."""

    def apply(self, key: Key, spec: Mapping[str, Any]) -> Body: ...
    def put_config_map(
        self, key: Key, data: Mapping[str, str] | None, *, labels: Mapping[str, str] | None = None, immutable: bool = False
    ) -> Body: ...
    def delete_experiment(self, key: Key) -> None: ...
    def delete_config_map(self, key: Key) -> None: ...
    def wipe_status(self, key: Key) -> None: ...
    def put_pod(self, key: Key, config_map: str) -> None: ...
    def end_pod(self, key: Key) -> None: ...


class RealPeople:
    """The same over plain HTTP."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._url = control_plane.url
        self._session = requests.Session()
        self._session.verify = str(control_plane.ca_file)
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {control_plane.token(Role.ADMIN)}"

    def close(self) -> None:
        self._session.close()

    def apply(self, key: Key, spec: Mapping[str, Any]) -> Body:
        body = {"apiVersion": "rampgate.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": key.name}, "spec": spec}
        path = f"/apis/rampgate.dev/v1alpha1/namespaces/{key.namespace}/experiments"
        return self._put(path, key.name, body)

    def put_config_map(
        self, key: Key, data: Mapping[str, str] | None, *, labels: Mapping[str, str] | None = None, immutable: bool = False
    ) -> Body:
        body = {"metadata": {"name": key.name, "labels": dict(labels or {})}, **({} if data is None else {"data": dict(data)})}
        body |= {"immutable": True} if immutable else {}
        return self._put(f"/api/v1/namespaces/{key.namespace}/configmaps", key.name, body)

    def delete_experiment(self, key: Key) -> None:
        self._call("DELETE", f"/apis/rampgate.dev/v1alpha1/namespaces/{key.namespace}/experiments/{key.name}")

    def delete_config_map(self, key: Key) -> None:
        self._call("DELETE", f"/api/v1/namespaces/{key.namespace}/configmaps/{key.name}")

    def wipe_status(self, key: Key) -> None:
        path = f"/apis/rampgate.dev/v1alpha1/namespaces/{key.namespace}/experiments/{key.name}/status"
        self._call("PATCH", path, [{"op": "remove", "path": "/status"}], kind="application/json-patch+json")

    def put_pod(self, key: Key, config_map: str) -> None:
        body = {
            "metadata": {"name": key.name, "labels": {GATES_LABEL: config_map}, "annotations": {"theirs": "stays"}},
            "spec": {"containers": [{"name": "app", "image": "none"}], "automountServiceAccountToken": False},
        }
        self._put(f"/api/v1/namespaces/{key.namespace}/pods", key.name, body)

    def end_pod(self, key: Key) -> None:
        """As a kubelet tells of one that has run to its end."""
        path = f"/api/v1/namespaces/{key.namespace}/pods/{key.name}/status"
        self._call("PATCH", path, {"status": {"phase": "Succeeded"}}, kind="application/merge-patch+json")

    def _put(self, path: str, name: str, body: dict[str, Any]) -> Body:
        found = self._session.get(f"{self._url}{path}/{name}")
        if found.status_code == requests.codes.not_found:
            return self._call("POST", path, body)
        body["metadata"]["resourceVersion"] = found.json()["metadata"]["resourceVersion"]
        return self._call("PUT", f"{path}/{name}", body)

    def _call(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Body:
        answer = self._session.request(method, self._url + path, json=body, headers={"Content-Type": kind})
        answer.raise_for_status()
        return dict(answer.json())


class Parts:
    """A cluster, the people at it, and a namespace of its own."""

    def __init__(self, cluster: Cluster, people: People, namespace: str) -> None:
        self.cluster, self.people = cluster, people
        self.gate, self.rules = Key(namespace, "new-checkout"), Key(namespace, "feature-gates")

    async def data(self) -> Mapping[str, str]:
        body = await self.cluster.get_config_map(self.rules)
        assert body is not None
        return body.get("data") or {}

    async def experiment(self) -> Body:
        body = await self.cluster.get_experiment(self.gate)
        assert body is not None
        return body
