"""Who may call the API server: one user, token and kubeconfig per RBAC role under test, and per part of a node.

Knows identities only. What a role may do is RBAC's, applied by whoever tests it: without any, all but ADMIN may do nothing.
What a part of Kubernetes may do the API server brings along.
"""

import json
import secrets
from enum import StrEnum
from pathlib import Path

from tools.devcluster.places import NODE


class Role(StrEnum):
    """A caller of the API server."""

    ADMIN = "admin"  # group system:masters: everything
    OPERATOR = "operator"  # user rampgate:operator
    APPLICATION = "application"  # user rampgate:application: reads its namespace's ConfigMaps
    DEVELOPER = "developer"  # user rampgate:developer: edits Experiments
    VIEWER = "viewer"  # user rampgate:viewer: sees Experiments
    KILLER = "killer"  # user rampgate:killer: stops Experiments, and changes nothing else
    APPROVER = "approver"  # user rampgate:approver: lets steps begin that want an approval

    @property
    def user(self) -> str:
        """The name RBAC subjects use."""
        return f"rampgate:{self.value}"


class Part(StrEnum):
    """A part of Kubernetes that calls the API server."""

    CONTROLLER_MANAGER = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    PROXY = "kube-proxy"
    DNS = "coredns"
    KUBELET = "kubelet"

    @property
    def user(self) -> str:
        """The name that Kubernetes' built-in RBAC knows."""
        return f"system:node:{NODE}" if self is Part.KUBELET else f"system:{self.value}"


Caller = Role | Part
GROUPS: dict[Caller, str] = {Role.ADMIN: "system:masters", Part.KUBELET: "system:nodes"}


def make_tokens() -> dict[Caller, str]:
    """Fresh random tokens, one per role and part."""
    return {caller: secrets.token_urlsafe(24) for caller in (*Role, *Part)}


def write_token_file(path: Path, tokens: dict[Caller, str]) -> None:
    """Write what kube-apiserver reads by --token-auth-file: lines of token,user,uid[,"groups"]."""
    groups = {caller: f',"{group}"' for caller, group in GROUPS.items()}
    _write_private(path, "".join(f"{token},{caller.user},{caller.user}{groups.get(caller, '')}\n" for caller, token in tokens.items()))


def write_kubeconfig(path: Path, *, url: str, ca_file: Path, token: str) -> None:
    """Write a kubeconfig with one context (as JSON, which is YAML)."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "devcluster", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": path.stem, "user": {"token": token}}],
        "contexts": [{"name": "devcluster", "context": {"cluster": "devcluster", "user": path.stem, "namespace": "default"}}],
        "current-context": "devcluster",
    }
    _write_private(path, json.dumps(document, indent=2) + "\n")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
