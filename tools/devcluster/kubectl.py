"""The real kubectl, called in a role's name. Knows the command line only."""

import subprocess

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
    try:
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=check, timeout=timeout)
    except subprocess.CalledProcessError as error:
        error.add_note(str(error.stderr))
        raise
