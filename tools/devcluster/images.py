"""Images of one static program each, as OCI archives of our own: Debian's busybox, and what Go built.

A pod's sandbox needs an image that only sleeps, and a first try needs a shell, wget and nslookup: busybox is both.
Knows the OCI image format (https://github.com/opencontainers/image-spec), not who imports it.
"""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tools.devcluster.binaries import PROMETHEUS_VERSION
from tools.devcluster.debian import PackageError

BUSYBOX = "localhost/busybox:1"
PROMETHEUS = f"docker.io/prom/prometheus:v{PROMETHEUS_VERSION}"
"""What manifests call it: a node that no registry can be asked from has the one that is built here."""
SANDBOX = BUSYBOX
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SLEEP = ["/bin/busybox", "sleep", "2147483647"]
_OCI = "application/vnd.oci.image"


def write_busybox(archive: Path) -> None:
    """Write an archive with the image BUSYBOX, which holds this machine's busybox under all its names; raises PackageError."""
    program = Path(shutil.which("busybox") or "")
    if not _is_static(program.read_bytes()):
        raise PackageError(f"{program} is not static, so no pod can run it: install Debian's busybox-static in its place")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    _write(archive, BUSYBOX, _layer(program, names=set(names) - {"busybox"}), {"Cmd": _SLEEP})


def write_program(archive: Path, image: str, program: Path) -> None:
    """Write an archive with an image of that name, which runs the static program at `program`."""
    _write(archive, image, _layer(program, names=()), {"Entrypoint": [f"/bin/{program.name}"]})


def _write(archive: Path, image: str, layer: bytes, runs: dict[str, list[str]]) -> None:
    config = _json(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {**runs, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor(config, "config.v1+json"),
            "layers": [_descriptor(layer, "layer.v1.tar")],
        }
    )
    named = {**_descriptor(manifest, "manifest.v1+json"), "annotations": {"io.containerd.image.name": image}}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _json({"schemaVersion": 2, "manifests": [named]}))
        for blob in (layer, config, manifest):
            _add(tar, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)


def _is_static(program: bytes) -> bool:
    """Whether no segment of a 64-bit little-endian ELF file names an interpreter (PT_INTERP, elf(5))."""
    first, size, count = (int.from_bytes(program[at : at + length], "little") for at, length in ((32, 8), (54, 2), (56, 2)))
    return 3 not in (int.from_bytes(program[at : at + 4], "little") for at in range(first, first + size * count, size))


def _layer(program: Path, *, names: Iterable[str]) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, mode))
        _add(tar, f"bin/{program.name}", program.read_bytes(), mode=0o755)
        for name in sorted(names):
            link = _entry(f"bin/{name}", tarfile.SYMTYPE, 0o777)
            link.linkname = program.name
            tar.addfile(link)
    return layer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _descriptor(blob: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
