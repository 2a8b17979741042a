"""People with the ClusterRoles of manifests/, each in their own name: plain HTTP, so that a refusal is the API server's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import kubectl
from tools.devcluster.roles import Role

MANIFESTS = Path(__file__).parents[2] / "manifests"
CLUSTER_ROLES = {
    Role.VIEWER: "rampgate-viewer",
    Role.DEVELOPER: "rampgate-editor",
    Role.KILLER: "rampgate-killer",
    Role.APPROVER: "rampgate-approver",
}
Json = dict[str, Any]
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


class Person:
    """Whoever has a token, at the resources of one namespace: `person.patch("experiments/a", {"spec": {"killed": True}})`."""

    def __init__(self, cluster: Cluster, namespace: str, token: str) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(cluster.ca_file)
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._roots = {
            "experiments": f"{cluster.url}/apis/rampgate.dev/v1alpha1/namespaces/{namespace}/",
            "pods": f"{cluster.url}/api/v1/namespaces/{namespace}/",
            "configmaps": f"{cluster.url}/api/v1/namespaces/{namespace}/",
        }

    def create(self, kind: str, body: Json) -> str:
        """Create; give what was refused, empty when nothing was."""
        return self._refusal(self._session.post(self._url(kind), json=body))

    def patch(self, path: str, patch: Json) -> str:
        """`kubectl patch --type=merge`."""
        headers = {"Content-Type": MERGE}
        return self._refusal(self._session.patch(self._url(path), data=json.dumps(patch), headers=headers))

    def apply(self, path: str, body: Json) -> str:
        """`kubectl apply --server-side --force-conflicts`, with a field manager of its own."""
        url = f"{self._url(path)}?fieldManager=their-own&force=true"
        return self._refusal(self._session.patch(url, data=json.dumps(body), headers={"Content-Type": APPLY}))

    def replace(self, path: str, change: Callable[[Json], object]) -> str:
        """`kubectl replace`: read, change, put."""
        body = self.get(path)
        change(body)
        return self._refusal(self._session.put(self._url(path), json=body))

    def delete(self, path: str) -> str:
        """`kubectl delete`."""
        return self._refusal(self._session.delete(self._url(path)))

    def get(self, path: str) -> Json:
        """`kubectl get -o json`."""
        return dict(self._session.get(self._url(path)).json())

    def _url(self, path: str) -> str:
        return self._roots[path.split("/", maxsplit=1)[0]] + path

    def _refusal(self, answer: requests.Response) -> str:
        return "" if answer.ok else f"{answer.status_code} {answer.json()['message']}"


def bind_people(cluster: Cluster, namespace: str) -> dict[Role, Person]:
    """Apply what manifests/ has for people, bind it in the namespace, and give them."""
    kubectl(
        cluster, "apply", "--server-side", "--force-conflicts", "-f", f"{MANIFESTS}/rbac/people.yaml", "-f", f"{MANIFESTS}/admission.yaml"
    )
    for role, cluster_role in CLUSTER_ROLES.items():
        kubectl(cluster, "create", "rolebinding", role, "-n", namespace, f"--clusterrole={cluster_role}", f"--user={role.user}")
    return {role: Person(cluster, namespace, cluster.token(role)) for role in (Role.ADMIN, *CLUSTER_ROLES)}
