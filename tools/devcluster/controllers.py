"""kube-controller-manager and kube-scheduler: their commands. Neither listens: nobody asks them."""

from pathlib import Path

from tools.devcluster.binaries import require

SCHEDULER_LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler"
"""Where the API server has the sign that the scheduler works."""


def controller_manager(kubeconfig: Path, certificates: Path) -> list[str | Path]:
    """The command of the controller manager; `certificates` is the API server's folder, whose certificate is what pods are to trust."""
    return [
        require("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={certificates / 'apiserver.crt'}",
        f"--service-account-private-key-file={certificates / 'apiserver.key'}",
        "--use-service-account-credentials=true",  # RBAC gives each of its controllers what it needs, and the whole nothing
        "--leader-elect=false",
        "--secure-port=0",
    ]


def scheduler(kubeconfig: Path) -> list[str | Path]:
    """The command of the scheduler."""
    return [require("kube-scheduler"), f"--kubeconfig={kubeconfig}", "--secure-port=0"]
