"""How tools bring a file from Git to the cluster, each in its own way: real kubectl, real Helm.

Argo CD applies as kubectl does, under its own name. Flux is imitated by the two requests that its kustomize-controller makes.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.apiserver.team import Json
from tools.devcluster.binaries import require
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import kubectl
from tools.devcluster.roles import Role

FLUX = "kustomize-controller"
OVERRIDDEN = (("kubectl", "Apply"), ("kubectl", "Update"), ("before-first-apply", "Update"), (FLUX, "Update"))
"""Whose fields Flux takes for its own, by the beginning of the field manager's name and the operation: kustomize-controller's constant."""


class Tool(Protocol):
    """Something that brings manifests to a cluster."""

    def deliver(self, at: "Place", *manifests: Json, options: tuple[str, ...] = ()) -> str:
        """Make the cluster as the manifests say; give why it was refused, empty when it was not."""
        ...

    def remove(self, at: "Place", *manifests: Json) -> None:
        """Delete what was delivered, as when it is taken out of Git."""
        ...


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to: a namespace, and a folder for what a tool keeps."""

    cluster: Cluster
    namespace: str
    folder: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Call kubectl in the namespace, as an administrator."""
        return kubectl(self.cluster, "-n", self.namespace, *arguments, stdin=stdin, check=check)


@dataclass(frozen=True)
class Apply:
    """`kubectl apply`, with some options."""

    options: tuple[str, ...] = ()

    def deliver(self, at: Place, *manifests: Json, options: tuple[str, ...] = ()) -> str:
        """Apply them."""
        applied = at.kubectl("apply", *self.options, *options, "-f", "-", stdin=_list_of(manifests), check=False)
        return applied.stderr if applied.returncode else ""

    def remove(self, at: Place, *manifests: Json) -> None:
        """Prune them."""
        at.kubectl("delete", "-f", "-", stdin=_list_of(manifests))


@dataclass(frozen=True)
class Flux(Apply):
    """A Flux Kustomization: fields of managers that it overrides become its own, and those not in Git are then dropped by its apply."""

    options: tuple[str, ...] = ("--server-side", "--force-conflicts", f"--field-manager={FLUX}")

    def deliver(self, at: Place, *manifests: Json, options: tuple[str, ...] = ()) -> str:
        """Take over, then apply."""
        for manifest in manifests:
            name, merges = manifest["metadata"]["name"], "Merge" in manifest["metadata"].get("annotations", {}).values()
            found = at.kubectl("get", "experiments.rampgate.dev", name, "-o", "json", "--show-managed-fields", "--ignore-not-found").stdout
            if found and not merges:
                taken = json.dumps([{"op": "replace", "path": "/metadata/managedFields", "value": _taken_over(json.loads(found))}])
                at.kubectl("patch", "experiments.rampgate.dev", name, "--type=json", f"--field-manager={FLUX}", "-p", taken)
        return super().deliver(at, *manifests, options=options)


@dataclass(frozen=True)
class Helm:
    """An application's chart that has the manifests in it, installed and upgraded by one major version of Helm."""

    binary: str

    def deliver(self, at: Place, *manifests: Json, options: tuple[str, ...] = ()) -> str:
        """`helm upgrade --install`."""
        chart = at.folder / self._release(manifests)
        (chart / "templates").mkdir(parents=True, exist_ok=True)
        (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: {chart.name}\nversion: 1.0.0\n")
        (chart / "templates" / "experiments.yaml").write_text("\n---\n".join(map(json.dumps, manifests)))
        done = self._run(at, "upgrade", "--install", chart.name, str(chart), *options)
        return done.stderr if done.returncode else ""

    def remove(self, at: Place, *manifests: Json) -> None:
        """`helm uninstall`."""
        self._run(at, "uninstall", self._release(manifests)).check_returncode()

    def go_back(self, at: Place, *manifests: Json) -> None:
        """`helm rollback`: to what was delivered before."""
        self._run(at, "rollback", self._release(manifests)).check_returncode()

    def _release(self, manifests: tuple[Json, ...]) -> str:
        return str(manifests[0]["metadata"]["name"])

    def _run(self, at: Place, *arguments: str) -> "subprocess.CompletedProcess[str]":
        homes = {f"HELM_{kind}_HOME": str(at.folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        command = [str(require(self.binary)), *arguments, f"--kubeconfig={at.cluster.kubeconfig(Role.ADMIN)}", "-n", at.namespace]
        return subprocess.run(command, env=os.environ | homes, capture_output=True, text=True, check=False, timeout=120)


TOOLS: dict[str, Tool] = {
    "`kubectl apply`": Apply(),
    "`kubectl apply --server-side`": Apply(("--server-side",)),
    "Helm 3": Helm("helm3"),
    "Helm 4": Helm("helm4"),
    "Argo CD": Apply(("--field-manager=argocd-controller",)),
    "Argo CD, `ServerSideApply=true`": Apply(("--server-side", "--force-conflicts", "--field-manager=argocd-controller")),
    "Flux Kustomization": Flux(),
}
"""By their names in docs/gitops.md."""


def _list_of(manifests: tuple[Json, ...]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def _taken_over(found: Json) -> list[Json]:
    """Give managedFields in which Flux has what the managers had that it overrides."""
    mine: dict[str, Any] = {}
    left = []
    for entry in found["metadata"]["managedFields"]:
        is_mine = (entry["manager"], entry["operation"]) == (FLUX, "Apply")
        overridden = any(entry["manager"].startswith(name) and entry["operation"] == operation for name, operation in OVERRIDDEN)
        if not entry.get("subresource") and (is_mine or overridden):
            fields = _union(mine.get("fieldsV1", {}), entry["fieldsV1"])
            mine = {**entry, "manager": FLUX, "operation": "Apply", "fieldsV1": fields}
        else:
            left.append(entry)
    return [*left, mine] if mine else left


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{name: _union(one.get(name, {}), fields) for name, fields in other.items()}}
