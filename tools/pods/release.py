"""The chart, installed as a person would: by Helm, with a Prometheus beside it.

Knows Helm's command line and the quickstart's Prometheus.
"""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.devcluster.binaries import require
from tools.pods.place import Place, run

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "rampgate"
NAMESPACE, NAME = "rampgate", "rampgate"
OPERATOR = "deployment/rampgate-operator"
IMAGE = re.compile(r"(?P<repository>.+?)(:(?P<tag>[^:/]+))?")
"""A registry's port stands before a slash, a tag after all of them."""
PROMETHEUS_URL = "http://prometheus.monitoring:9090"


class Release:
    """A Helm release of the chart. `helm` is which one: `helm3` or `helm4`; its own files go to `home`."""

    def __init__(self, place: Place, home: Path, *, helm: str = "helm4") -> None:
        self.place = place
        self._helm = str(require(helm))
        self._homes = [f"--repository-{kind}={home / kind}" for kind in ("cache", "config")]

    def helm(self, *arguments: str, timeout: float = 240.0) -> str:
        """Run Helm in the release's namespace, with folders of its own."""
        return run([self._helm, *arguments, f"--namespace={NAMESPACE}", *self._homes], kubeconfig=self.place.kubeconfig, timeout=timeout)

    def install(self, values: Mapping[str, object] | None = None, *, chart: Path = CHART) -> str:
        """Install the chart, or upgrade to it, wait until it is ready, and give what Helm says."""
        name = IMAGE.fullmatch(self.place.image)
        assert name is not None, self.place.image
        given: dict[str, object] = {
            "image": {"repository": name["repository"], "tag": name["tag"] or "latest"},
            "sources": {"default": {"url": PROMETHEUS_URL}},
            **(values or {}),
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(given, file)
            file.flush()
            wait = ["--wait", "--timeout=3m", "--create-namespace", f"--values={file.name}"]
            return self.helm("upgrade", "--install", NAME, str(chart), *wait)

    def uninstall(self) -> str:
        """Remove the release; wait until its pods are gone."""
        return self.helm("uninstall", NAME, "--wait", "--timeout=2m")

    def leader(self) -> str:
        """The pod that leads, by the Lease."""
        lease = self.place.get("lease", "rampgate-operator", f"--namespace={NAMESPACE}")
        return str(lease["spec"].get("holderIdentity") or "")


def install_prometheus(place: Place) -> None:
    """Install the quickstart's Prometheus, and wait until it is ready."""
    place.kubectl("apply", "-f", str(ROOT / "examples/quickstart/prometheus.yaml"))
    place.kubectl("rollout", "status", "deployment/prometheus", "--namespace=monitoring", "--timeout=120s", timeout=130)
