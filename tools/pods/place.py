"""A cluster with real pods, and the images that its nodes have.

With KUBECONFIG and RAMPGATE_IMAGE set it is that cluster; else a node is made on this machine, with images that are built here.
Knows kubectl and where images come from. Must not know what is installed there.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import image
from tools.devcluster import containerd
from tools.devcluster.binaries import Purpose, kubectl_path, needed_for, require
from tools.devcluster.build import ensure
from tools.devcluster.images import PROMETHEUS
from tools.devcluster.node import Node, why_not


@dataclass(frozen=True)
class Place:
    """A cluster with pods: its kubeconfig, and what it calls our image. `node` is None for a cluster that was there before."""

    kubeconfig: Path
    image: str
    node: Node | None = None

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """Run kubectl and give what it printed; CalledProcessError has what it complained of as a note."""
        return run([str(kubectl_path()), *arguments], kubeconfig=self.kubeconfig, stdin=stdin, timeout=timeout)

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def with_our_image(self, manifest: str) -> str:
        """Put our image's name on this cluster into a manifest of the examples."""
        return manifest.replace(image.IMAGE, self.image)


def run(command: list[str], *, kubeconfig: Path, stdin: str | None = None, timeout: float) -> str:
    """Run a client of the cluster; CalledProcessError has what it complained of as a note."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    try:
        done = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=True, timeout=timeout)
    except subprocess.CalledProcessError as error:
        error.add_note(f"{error.stdout}\n{error.stderr}")
        raise
    return done.stdout


def why_nowhere() -> str | None:
    """Why there is no cluster with pods, in one sentence; None when there is one, or can be."""
    return None if _is_given() else why_not()


@contextmanager
def find(report: Callable[[str], None]) -> Iterator[Place]:
    """Give a cluster for the length of the block: the one that the environment names, else a node of our own, which is removed again."""
    if _is_given():
        yield Place(Path(os.environ["KUBECONFIG"]), os.environ["RAMPGATE_IMAGE"])
        return
    for binary in needed_for(Purpose.NODE):
        ensure(binary, report)
    archive = image.built()
    with Node.start(report=report) as node:
        node.import_image(archive)
        containerd.import_program(PROMETHEUS, require("prometheus"))
        yield Place(node.cluster.kubeconfig(), image.IMAGE, node)


def _is_given() -> bool:
    return "KUBECONFIG" in os.environ and "RAMPGATE_IMAGE" in os.environ


def until(holds: Callable[[], object], what: str, *, seconds: float = 120.0, every: float = 0.2) -> None:
    """Wait until something holds; AssertionError with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(every)
