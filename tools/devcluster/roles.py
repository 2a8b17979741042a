"""Who may call the API server: one user, token and kubeconfig per RBAC role under test.

Knows identities only. What a role may do is RBAC's, applied by whoever tests it: without any, all but ADMIN may do nothing.
"""

import json
import secrets
from enum import StrEnum
from pathlib import Path


class Role(StrEnum):
    """A caller of the API server."""

    ADMIN = "admin"  # group system:masters: everything
    OPERATOR = "operator"  # user rampgate:operator
    APPLICATION = "application"  # user rampgate:application: reads its namespace's ConfigMaps
    DEVELOPER = "developer"  # user rampgate:developer: edits Experiments

    @property
    def user(self) -> str:
        """The name RBAC subjects use."""
        return f"rampgate:{self.value}"


def make_tokens() -> dict[Role, str]:
    """Fresh random tokens, one per role."""
    return {role: secrets.token_urlsafe(24) for role in Role}


def write_token_file(path: Path, tokens: dict[Role, str]) -> None:
    """Write what kube-apiserver reads by --token-auth-file: lines of token,user,uid[,"groups"]."""
    groups = {Role.ADMIN: ',"system:masters"'}
    _write_private(path, "".join(f"{token},{role.user},{role.user}{groups.get(role, '')}\n" for role, token in tokens.items()))


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
