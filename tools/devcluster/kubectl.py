"""The real kubectl, called in a role's name. Knows the command line only."""

import json
import os
import subprocess
import time
from pathlib import Path

from tools.devcluster.binaries import kubectl_path
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role


def kubectl(
    cluster: Cluster, *arguments: str, role: Role = Role.ADMIN, stdin: str | None = None, check: bool = True, timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run `kubectl ARGUMENTS` and return what it printed, as text.

    `stdin` feeds `-f -`. With `check`, a failure raises CalledProcessError with kubectl's message as a note; `timeout` is in seconds.
    """
    command = [str(kubectl_path()), f"--kubeconfig={cluster.kubeconfig(role)}", *arguments]
    direct = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}  # the cluster is on this machine
    try:
        return subprocess.run(command, env=direct, input=stdin, capture_output=True, text=True, check=check, timeout=timeout)
    except subprocess.CalledProcessError as error:
        error.add_note(str(error.stderr))
        raise


def apply_crds(cluster: Cluster, directory: Path, *, timeout: float = 30.0) -> None:
    """Apply the CRDs of a directory, and wait until the API server serves them; TimeoutError after `timeout` seconds.

    Not `kubectl wait`: asked before there is any condition, it fails instead of waiting.
    """
    kubectl(cluster, "apply", "--server-side", "-f", str(directory))
    deadline = time.monotonic() + timeout
    while not _are_established(kubectl(cluster, "get", "-f", str(directory), "-o", "json").stdout):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the CRDs of {directory} are not established after {timeout:g} s")
        time.sleep(0.1)


def _are_established(printed: str) -> bool:
    found = json.loads(printed)
    return all(
        any(each["type"] == "Established" and each["status"] == "True" for each in crd.get("status", {}).get("conditions") or ())
        for crd in found.get("items", [found])
    )
