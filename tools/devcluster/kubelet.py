"""The kubelet of the node: its configuration and command. Must not know how it is started."""

import json
from pathlib import Path

from tools.devcluster.binaries import require
from tools.devcluster.containerd import SOCKET
from tools.devcluster.places import CGROUP, DATA, KUBELET_HEALTH_PORT, NODE, NODE_ADDRESS

CONFIGURATION = DATA / "kubelet.json"
RESOLV_CONF = DATA / "resolv.conf"
HEALTH = f"http://{NODE_ADDRESS}:{KUBELET_HEALTH_PORT}/healthz"


def configure(kubeconfig: Path) -> list[str | Path]:
    """Write the configuration and return the command."""
    RESOLV_CONF.write_text(f"nameserver {NODE_ADDRESS}\n")  # the host's may be a stub on a loopback address, which pods do not reach
    CONFIGURATION.write_text(json.dumps(_configuration(), indent=2) + "\n")
    return [
        require("kubelet"),
        f"--config={CONFIGURATION}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={DATA / 'kubelet'}",
        f"--cert-dir={DATA / 'kubelet' / 'pki'}",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_ADDRESS}",
    ]


def _configuration() -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # Only the host and the node's own pods reach this address: nobody to keep out of a test node.
        "address": NODE_ADDRESS,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "healthzBindAddress": NODE_ADDRESS,
        "healthzPort": KUBELET_HEALTH_PORT,
        "readOnlyPort": 0,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": [NODE_ADDRESS],
        "resolvConf": str(RESOLV_CONF),
        "podLogsDir": str(DATA / "pod-logs"),
        "volumePluginDir": str(DATA / "volume-plugins"),
        # Images come by hand, and a full disk is the developer's: neither may the kubelet drop.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }
