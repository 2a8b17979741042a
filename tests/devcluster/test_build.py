"""The cache of binaries, with the real Go and a module small enough to build in a second."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tools.devcluster import binaries, golang
from tools.devcluster.binaries import BINARIES, Binary, BinaryMissingError, require
from tools.devcluster.build import BuildError, ensure
from tools.devcluster.keeper import CHECKOUT

BUILDER = """
import sys
from pathlib import Path
from tools.devcluster import binaries
from tools.devcluster.build import ensure

binaries.MODULES = Path(sys.argv[1])
binaries.BINARIES["hello"] = hello = binaries.Binary("hello", "1.0", "example.test/hello", "hello", "a second")
ensure(hello, print)
"""


@pytest.fixture
def hello(tmp_path, monkeypatch) -> Binary:
    go = golang.find_go(BINARIES["etcd"].source, print)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    monkeypatch.setenv("RAMPGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(binaries, "MODULES", tmp_path)
    module = tmp_path / "hello"
    module.mkdir()
    (module / "go.mod").write_text("module example.test/hello\n\ngo 1.22.0\n")
    (module / "go.sum").write_text("")
    (module / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    binary = Binary("hello", "1.0", "example.test/hello", "hello", "a second")
    monkeypatch.setitem(BINARIES, "hello", binary)
    return binary


def test_a_binary_is_built_once(hello):
    first, second = [], []

    path = ensure(hello, first.append)

    assert ensure(hello, second.append) == path == hello.directory / "hello"
    assert (first[0], first[-1].partition(" in ")[0], second) == (
        "building hello 1.0 (a second the first time) … 0 s",
        "built hello 1.0",
        [],
    )
    assert subprocess.run([path], capture_output=True, text=True, check=True).stderr == "hello\n"
    assert [entry.name for entry in hello.directory.parent.iterdir() if "hello" in entry.name] == [hello.directory.name]


def test_two_at_once_build_once(hello):
    said = []

    with ThreadPoolExecutor(2) as pool:
        paths = set(pool.map(lambda _: ensure(hello, said.append), range(2)))

    assert len(paths) == 1
    assert sum(line.startswith("built") for line in said) == 1


def test_a_failed_build_says_what_the_compiler_said(hello):
    (hello.source / "main.go").write_text("package main\n\nfunc main() { nonsense() }\n")

    with pytest.raises(BuildError, match="undefined: nonsense"):
        ensure(hello, print)

    assert binaries.locate("hello") is None


def test_a_killed_build_leaves_no_binary_and_no_compiler_and_the_next_one_works(hello, tmp_path, monkeypatch, processes, wait_for):
    blocker = tmp_path / "blocker"
    blocker.write_text("#!/bin/sh\nsleep 600\n")
    blocker.chmod(0o755)
    builder = subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(tmp_path)],
        cwd=CHECKOUT,
        env=os.environ | {"GOFLAGS": f"-toolexec={blocker}"},
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: bool(processes(str(blocker))), "the compiler is at work")

    builder.send_signal(signal.SIGKILL)
    builder.wait()

    wait_for(lambda: not processes(str(blocker)) and not processes(str(hello.directory)), "go and its compiler are gone")
    with pytest.raises(BinaryMissingError, match="make build"):
        binaries.require("hello")
    assert os.access(ensure(hello, print), os.X_OK)


@pytest.mark.parametrize("changed", ["go.mod", "go.sum"])
def test_other_pinned_sources_are_another_build(hello, changed):
    before = hello.directory
    with (hello.source / changed).open("a") as file:
        file.write("\n")

    assert hello.directory != before


def test_kubebuilder_assets_come_first_and_what_they_lack_comes_from_the_cache(hello, tmp_path, monkeypatch):
    built = ensure(hello, print)
    assets = tmp_path / "assets"
    assets.mkdir()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert binaries.require("hello") == built

    (assets / "hello").touch(mode=0o755)

    assert binaries.require("hello") == assets / "hello"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/arm64", (1, 27)),
        ("go version go1.27rc2 linux/amd64", None),
        ("go version devel go1.28-abcdef linux/amd64", None),
        ("gccgo", None),
    ],
)
def test_only_a_released_go_counts(tmp_path, said, version):
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho '{said}'\n")
    go.chmod(0o755)

    assert golang.go_version(go) == version


@pytest.mark.parametrize(("module", "needed"), [("etcd", (1, 26)), ("kubernetes", (1, 26, 0)), ("prometheus", (1, 26, 7))])
def test_the_go_directive_says_how_new_go_must_be(module, needed):
    assert golang.required_version(binaries.MODULES / module) == needed


@pytest.mark.parametrize("name", ["helm3", "helm4"])
def test_helm_without_a_cluster_takes_the_kubernetes_of_its_own_client_for_granted(name, tmp_path):
    minor = re.search(r"k8s.io/client-go v0.(\d+).", (BINARIES[name].source / "go.mod").read_text())[1]
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: hello, version: 0.1.0}")
    (tmp_path / "templates" / "hello.yaml").write_text("version: {{ .Capabilities.KubeVersion.Version }}")
    printed = subprocess.run([require(name), "template", tmp_path], capture_output=True, text=True, check=True).stdout
    assert f"version: v1.{minor}.0" in printed
