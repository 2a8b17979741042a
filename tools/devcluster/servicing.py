"""Addresses and names of Services in the node: kube-proxy and CoreDNS, their configurations and commands."""

from pathlib import Path

from tools.devcluster.binaries import require
from tools.devcluster.places import DATA, NODE, NODE_ADDRESS, POD_RANGE

COREFILE = DATA / "Corefile"
DNS_HEALTH = f"http://{NODE_ADDRESS}:8181/ready"
PROXY_HEALTH = f"http://{NODE_ADDRESS}:10256/healthz"
# CoreDNS has no user in Kubernetes' built-in RBAC; this is what its documentation asks for.
DNS_RIGHTS = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces, endpoints], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:coredns"}]
"""


def kube_proxy(kubeconfig: Path) -> list[str | Path]:
    """The command of kube-proxy."""
    return [
        require("kube-proxy"),
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NODE}",
        f"--bind-address={NODE_ADDRESS}",
        f"--healthz-bind-address={NODE_ADDRESS}:10256",
        f"--metrics-bind-address={NODE_ADDRESS}:10249",
        "--proxy-mode=iptables",
        f"--cluster-cidr={POD_RANGE}",
        # Limits of the whole machine's connection tracking, which a network namespace may not set.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]


def configure_dns(kubeconfig: Path) -> list[str | Path]:
    """Write CoreDNS's configuration and return its command. It knows the cluster's names only: nothing is asked of the outside."""
    COREFILE.write_text(f"""\
.:53 {{
    bind {NODE_ADDRESS}
    errors
    ready {NODE_ADDRESS}:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig} devcluster
    }}
}}
""")
    return [require("coredns"), f"-conf={COREFILE}"]
