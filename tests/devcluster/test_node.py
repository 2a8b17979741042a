"""What is known of a node without one: where it cannot run, and what it is made of. How it runs is tests/node's."""

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile

import pytest

from tools.devcluster import cgroups, debian, enclosure, images, node
from tools.devcluster.debian import PackageError


@pytest.mark.parametrize(
    ("place", "name", "value", "said"),
    [
        (sys, "platform", "darwin", "a node needs Linux, and this is darwin"),
        (os, "geteuid", lambda: 1000, "a node needs root, for namespaces, interfaces and cgroups"),
        (debian, "can_install", lambda: False, "there is no apt-get to install Debian's busybox-static, runc"),
        (cgroups, "writable", lambda: False, "a node needs cgroups, and /sys/fs/cgroup does not let us make any"),
        (enclosure, "refusal", lambda: "unshare failed", "a node needs namespaces and mounts, which are refused here: unshare failed"),
    ],
)
def test_a_machine_that_cannot_run_a_node_says_why(monkeypatch, place, name, value, said):
    able = (
        (sys, "platform", "linux"),
        (os, "geteuid", lambda: 0),
        (cgroups, "writable", lambda: True),
        (enclosure, "refusal", lambda: None),
    )
    for each in (*able, (debian, "missing", lambda _: ["busybox-static", "runc"]), (debian, "can_install", lambda: True)):
        monkeypatch.setattr(*each)
    assert node.why_not() is None

    monkeypatch.setattr(place, name, value)

    assert said in node.why_not()


def test_each_missing_package_is_named_once(tmp_path):
    program = tmp_path / "there"
    program.touch(mode=0o755)
    programs = {str(program): "some", str(tmp_path / "lost"): "other", str(tmp_path / "gone"): "other"}

    assert debian.missing(programs) == ["other"]


def test_who_may_not_install_is_told_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "can_install", lambda: False)

    with pytest.raises(PackageError, match=r"missing: runc; install them"):
        debian.install({str(tmp_path / "runc"): "runc"}, print)


@pytest.mark.skipif(shutil.which("busybox") is None, reason="Debian's busybox-static is not installed")
def test_every_part_of_the_image_is_what_its_digest_says(tmp_path):
    images.write_busybox(tmp_path / "image.tar")

    with tarfile.open(tmp_path / "image.tar") as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive}
    blobs = {name.rpartition("/")[2]: blob for name, blob in content.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(blob).hexdigest() == digest for digest, blob in blobs.items())
    (named,) = json.loads(content["index.json"])["manifests"]
    manifest = json.loads(blobs[named["digest"].removeprefix("sha256:")])
    for part in (named, manifest["config"], *manifest["layers"]):
        assert len(blobs[part["digest"].removeprefix("sha256:")]) == part["size"]
    with tarfile.open(fileobj=io.BytesIO(blobs[manifest["layers"][0]["digest"].removeprefix("sha256:")])) as layer:
        assert {"bin/busybox", "bin/sh", "bin/httpd", "bin/wget", "tmp"} <= set(layer.getnames())


def test_a_busybox_that_needs_libraries_is_refused(monkeypatch, tmp_path):
    shutil.copy(os.path.realpath("/bin/sh"), tmp_path / "busybox")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PackageError, match="is not static, so no pod can run it"):
        images.write_busybox(tmp_path / "image.tar")
