"""Where the one node of a machine is: its folders, link, addresses, cgroup. Names only.

All are fixed, so that whoever comes next finds what a killed one left, and none is a name that something else on the machine uses.
Processes, mounts, interfaces and packet filters of the node live in namespaces of their own (enclosure.py) and need no place here.
"""

from pathlib import Path

NODE = "rampgate-node"
DATA = Path("/var/lib/rampgate-node")
"""What takes room: images, the kubelet's folder. On a disk."""
RUN = Path("/run/rampgate-node")
"""Sockets, whose paths must be short, and containerd's state."""

LINK = "rampgate0"
"""The host's end of the one cable between the host and the node."""
UPLINK = "uplink"
"""The node's end of it."""
HOST_ADDRESS, NODE_ADDRESS, LINK_PREFIX = "10.245.0.1", "10.245.0.2", 30
POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
KUBELET_HEALTH_PORT = 10248

CGROUPS = Path("/sys/fs/cgroup")
CGROUP = "rampgate-node"
"""Its name in every hierarchy; pods are below it."""
