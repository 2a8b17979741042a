"""One real node with real pods on this machine, and the control plane that it belongs to.

Knows the parts and their order. Must not know their flags and files (containerd.py, kubelet.py, …), nor what pods run on it.
The host and its pods reach each other by address; the host reaches Services too. Names of Services are known inside only.
"""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from tools.devcluster import cgroups, containerd, controllers, debian, enclosure, images, kubelet, removal, servicing
from tools.devcluster.cluster import Cluster
from tools.devcluster.enclosure import Enclosure
from tools.devcluster.kubectl import kubectl
from tools.devcluster.loopback import answers
from tools.devcluster.places import CGROUPS, DATA, HOST_ADDRESS, NODE, RUN
from tools.devcluster.roles import Part, write_kubeconfig
from tools.devcluster.server import Server

PROGRAMS = {
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "busybox": "busybox-static",
    str(containerd.CNI_PLUGINS / "bridge"): "containernetworking-plugins",
}
"""What a node needs of the distribution, and Debian's package with it."""
OWNER = RUN / "owner"
"""A file with the directory of the node that runs."""
READY_SECONDS = 90


class NodeError(Exception):
    """This machine cannot run a node, or runs one already; the message says which."""


def why_not() -> str | None:
    """Why this machine cannot run a node, in one sentence; None when nothing speaks against it."""
    if sys.platform != "linux":
        return f"a node needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "a node needs root, for namespaces, interfaces and cgroups"
    if (packages := debian.missing(PROGRAMS)) and not debian.can_install():
        return f"a node needs programs that are missing, and there is no apt-get to install Debian's {', '.join(packages)}"
    if not cgroups.writable():
        return f"a node needs cgroups, and {CGROUPS} does not let us make any"
    if refused := enclosure.refusal():
        return f"a node needs namespaces and mounts, which are refused here: {refused}"
    return None


def prepare(report: Callable[[str], None]) -> None:
    """Install the packages that are missing; raises NodeError where a node cannot run, PackageError."""
    if reason := why_not():
        raise NodeError(reason)
    debian.install(PROGRAMS, report)


class Node:
    """A running node. Use it as a context manager, or call `stop`; it ends with this process at the latest."""

    def __init__(self, directory: Path, *, temporary: bool) -> None:
        self.directory = directory
        self._temporary = temporary
        self._running = ExitStack()
        self._kubelet: Server | None = None

    @classmethod
    def start(cls, directory: Path | None = None, *, report: Callable[[str], None] = print) -> Self:
        """Start a node with its control plane, and wait until it is Ready.

        Logs and kubeconfigs go to `directory` and stay there, else to a temporary one that goes with it. Whatever a killed node left is
        removed first, and missing packages are installed, which `report` is told.
        Raises NodeError, PackageError, BinaryMissingError, RemovalError, and ServerError with the end of a log.
        """
        node = cls(directory or Path(tempfile.mkdtemp(prefix="rampgate-node-")), temporary=directory is None)
        if node._temporary:
            node._running.callback(shutil.rmtree, node.directory, ignore_errors=True)
        try:
            node._start(report)
        except BaseException:
            node.stop()
            raise
        return node

    def import_image(self, archive: Path) -> None:
        """Make the images of an OCI archive available to pods, under the names that it gives them."""
        containerd.import_image(archive)

    def restart_kubelet(self) -> None:
        """Stop the kubelet, and start it again; pods go on meanwhile."""
        assert self._kubelet is not None, "the node is started"
        self._kubelet.stop()
        self._kubelet.start(lambda: answers(kubelet.HEALTH))

    def stop(self) -> None:
        """End all pods and parts, and remove what they leave on the machine."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, report: Callable[[str], None]) -> None:
        prepare(report)
        self._running.enter_context(alone())
        removal.remove()
        self._running.callback(removal.remove)
        shutil.rmtree(self._logs, ignore_errors=True)
        self._logs.mkdir(parents=True)
        self._enclosure = Enclosure(log=self._logs / "init.log", remove=self.directory if self._temporary else None).start()
        self._running.callback(self._enclosure.stop)
        OWNER.write_text(str(self.directory))
        cgroups.make()
        self.cluster = self._running.enter_context(Cluster.start(self.directory, pods_reach=HOST_ADDRESS))
        manager = self._begin_controller_manager()
        self._start_containerd()
        self._start_parts()
        manager.wait(lambda: self.cluster.serves("/api/v1/namespaces/default/serviceaccounts/default"))
        kubectl(self.cluster, "wait", "--for=condition=Ready", f"node/{NODE}", f"--timeout={READY_SECONDS}s", timeout=READY_SECONDS + 10)

    def _begin_controller_manager(self) -> Server:
        """It takes seconds until it works: the other parts start beside it."""
        command = controllers.controller_manager(self._kubeconfig(Part.CONTROLLER_MANAGER), self.cluster.certificates)
        server = self._server(Part.CONTROLLER_MANAGER, command)
        server.begin()
        return server

    def _start_containerd(self) -> None:
        self._server("containerd", containerd.configure()).start(containerd.answers)
        archive = DATA / "busybox.tar"
        images.write_busybox(archive)
        containerd.import_image(archive)

    def _start_parts(self) -> None:
        self._kubelet = self._server(Part.KUBELET, kubelet.configure(self._kubeconfig(Part.KUBELET)))
        self._kubelet.start(lambda: answers(kubelet.HEALTH) and self.cluster.serves(f"/api/v1/nodes/{NODE}"))
        proxy = self._server(Part.PROXY, servicing.kube_proxy(self._kubeconfig(Part.PROXY)))
        proxy.start(lambda: answers(servicing.PROXY_HEALTH))
        kubectl(self.cluster, "apply", "-f", "-", stdin=servicing.DNS_RIGHTS)
        names = self._server(Part.DNS, servicing.configure_dns(self._kubeconfig(Part.DNS)))
        names.start(lambda: answers(servicing.DNS_HEALTH))
        scheduler = self._server(Part.SCHEDULER, controllers.scheduler(self._kubeconfig(Part.SCHEDULER)))
        scheduler.start(lambda: self.cluster.serves(controllers.SCHEDULER_LEASE))

    def _server(self, name: str, command: list[str | Path]) -> Server:
        server = Server(name, self._enclosure.inside(command), log=self._logs / f"{name}.log")
        self._running.callback(server.stop)
        return server

    def _kubeconfig(self, part: Part) -> Path:
        path = DATA / f"{part}.kubeconfig"
        write_kubeconfig(path, url=self.cluster.url, ca_file=self.cluster.ca_file, token=self.cluster.token(part))
        return path

    @property
    def _logs(self) -> Path:
        return self.directory / "node"


def clean() -> bool:
    """Remove what a killed node left; False when there is nothing, or when it is a running node's. Raises RemovalError."""
    if not removal.leftovers() or runs():
        return False
    with alone():  # nobody starts one meanwhile
        removal.remove()
    return True


def runs() -> bool:
    """Whether a node runs on this machine, or starts or stops just now."""
    return any(line.endswith(f" @{RUN}") for line in Path("/proc/net/unix").read_text().splitlines())


@contextmanager
def alone() -> Iterator[None]:
    """Be the only process with a node on this machine for the length of the block; raises NodeError when another is.

    The lock is a socket in the kernel's abstract namespace, which leaves no file and ends with its process.
    """
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0{RUN}")
        except OSError as error:
            raise NodeError(f"a node runs already, and a machine has room for one{_whose()}") from error
        yield


def _whose() -> str:
    with suppress(OSError):  # it is only starting
        return f": it belongs to {OWNER.read_text()}"
    return ""
