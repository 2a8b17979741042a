"""Both Helms, as a person calls them: their own directories are the test's, and nothing of it needs a network."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.devcluster.binaries import KUBERNETES_VERSION, require

CHART = Path(__file__).parents[2] / "charts" / "rampgate"
RELEASE = "rampgate"
Json = dict[str, Any]


class Helm:
    """`Helm("helm3", home=tmp_path).run("lint", CHART)`."""

    def __init__(self, name: str, *, home: Path, kubeconfig: Path | None = None) -> None:
        self.name = name
        self._program = require(name)
        self._home = home
        places = {f"HELM_{place}_HOME": str(home / place.lower()) for place in ("CACHE", "CONFIG", "DATA")}
        self._environment = {**os.environ, **places, "KUBECONFIG": str(kubeconfig or home / "none")}

    def run(
        self, *arguments: str | Path, values: Mapping[str, Any] | None = None, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run it and give what it printed; with `check`, a failure raises with its message as a note."""
        command: list[str | Path] = [self._program, *arguments]
        if values is not None:
            file = self._home / "values.yaml"
            file.write_text(yaml.safe_dump(dict(values)))
            command += ["--values", file]
        try:
            return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=check, timeout=120)
        except subprocess.CalledProcessError as error:
            error.add_note(str(error.stderr))
            raise

    def render(self, values: Mapping[str, Any] | None = None, *, chart: Path = CHART, with_tests: bool = False) -> list[Json]:
        """Give the objects of `helm template`; what only `helm test` makes is left out unless asked for."""
        options = ("--namespace", RELEASE, "--kube-version", KUBERNETES_VERSION, *(() if with_tests else ("--skip-tests",)))
        printed = self.run("template", RELEASE, chart, *options, values=values or {}).stdout
        return [each for each in yaml.safe_load_all(printed) if each]

    def refusal(self, values: Mapping[str, Any]) -> str:
        """Give what it says to values that it refuses."""
        done = self.run("template", RELEASE, CHART, "--kube-version", KUBERNETES_VERSION, values=values, check=False)
        assert done.returncode != 0, "it was taken"
        return done.stderr


def the(objects: list[Json], kind: str, name: str) -> Json:
    """Give the one object of that kind and name."""
    [found] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found
