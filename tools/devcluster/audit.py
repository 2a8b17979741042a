"""What callers with limited rights asked of the API server, and what it answered: its audit log.

Knows the policy, the flags and the log's lines. Must not know who should have asked what: that is for whoever tests rights.
Requests of `system:masters`, which may do everything, are not logged: neither the test's own nor the API server's to itself.
Nor are those of Kubernetes' own parts, whose number would bury all others.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.devcluster.roles import Part

POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],  # the answer is not known yet
    "rules": [
        {"level": "None", "userGroups": ["system:masters", "system:nodes", "system:serviceaccounts:kube-system"]},
        {"level": "None", "users": [part.user for part in Part]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True)
class Request:
    """One request, in the words of RBAC: `Request("rampgate:operator", "patch", "rampgate.dev", "experiments/status", …)`."""

    user: str
    verb: str
    group: str
    """The API group, empty for the core's."""
    resource: str
    """With its subresource; empty for what is no resource, such as discovery."""
    namespace: str
    name: str
    status: int
    """What was answered, by the numbers of HTTP."""

    def __str__(self) -> str:
        place = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.user}: {self.verb} {self.resource} {place}: {self.status}"


def flags(directory: Path) -> list[str]:
    """Write the policy to a directory, and give kube-apiserver's arguments for a log beside it.

    A line is written before its request is answered (`blocking`, the server's default): who has an answer finds the line.
    """
    policy = directory / "audit-policy.json"
    policy.write_text(json.dumps(POLICY))
    bounds = ("--audit-log-maxsize=100", "--audit-log-maxbackup=1")  # MB: a cluster that is kept for weeks must not fill a disk
    return [f"--audit-policy-file={policy}", f"--audit-log-path={directory / 'audit.log'}", *bounds]


def read(directory: Path) -> Iterator[Request]:
    """Give the requests so far, a watch twice: when it began and when it ended."""
    for file in sorted(directory.glob("audit*.log")):
        with file.open(encoding="utf-8") as lines:
            yield from (_request(json.loads(line)) for line in lines if line.endswith("\n"))  # the last one may still be being written


def _request(event: dict[str, Any]) -> Request:
    target = event.get("objectRef") or {}
    return Request(
        user=event["user"].get("username", ""),
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource="/".join(part for part in (target.get("resource"), target.get("subresource")) if part),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        status=(event.get("responseStatus") or {}).get("code", 0),
    )
