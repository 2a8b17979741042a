"""containerd of the node: its configuration, the network it gives to pods, and images into it.

Knows containerd's and CNI's file formats. Must not know Kubernetes.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.devcluster import images
from tools.devcluster.binaries import require
from tools.devcluster.places import DATA, POD_RANGE, RUN
from tools.devcluster.server import ServerError

SOCKET = RUN / "containerd.sock"
CONFIGURATION = DATA / "containerd.toml"
CNI_PLUGINS = Path("/usr/lib/cni")
CNI_CONFIGURATION = DATA / "cni"
IMPORT_SECONDS = 300.0


def configure() -> list[str | Path]:
    """Write the configuration and return the command."""
    CONFIGURATION.write_text(_configuration())
    CNI_CONFIGURATION.mkdir()
    (CNI_CONFIGURATION / "rampgate.conflist").write_text(json.dumps(_network(), indent=2) + "\n")
    return [require("containerd"), f"--config={CONFIGURATION}"]


def answers() -> bool:
    """Whether it takes commands."""
    return _ctr("version").returncode == 0


def import_image(archive: Path) -> None:
    """Make the images of an OCI or Docker archive available to pods, under the names that it gives them; raises ServerError."""
    done = _ctr("--namespace=k8s.io", "images", "import", str(archive))
    if done.returncode:
        raise ServerError(f"{archive} was not imported: {done.stderr.strip()}")


def import_program(image: str, program: Path) -> None:
    """Make a static program available to pods as an image of that name; raises ServerError."""
    with tempfile.TemporaryDirectory(prefix="rampgate-image-") as directory:
        archive = Path(directory) / "image.tar"
        images.write_program(archive, image, program)
        import_image(archive)


def _ctr(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(require("ctr")), f"--address={SOCKET}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=IMPORT_SECONDS)


def _configuration() -> str:
    return f"""\
version = 3
root = "{DATA / "containerd"}"
state = "{RUN / "containerd"}"

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{images.SANDBOX}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{CNI_PLUGINS}"]
conf_dir = "{CNI_CONFIGURATION}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "{require("containerd-shim-runc-v2")}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{shutil.which("runc")}"
SystemdCgroup = false
"""


def _network() -> dict[str, object]:
    """A bridge in the node. Without address translation: the host has a route to pods, so Prometheus there scrapes them directly."""
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "hairpinMode": True,  # a pod reaches itself through its Service
        "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_RANGE}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    return {
        "cniVersion": "1.0.0",
        "name": "rampgate",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }
