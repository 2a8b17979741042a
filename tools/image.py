"""Build the image: `python -m tools.image [--base IMAGE] [--output FILE]`. Prints the archive's path; progress goes to standard error.

Knows two builders: a docker engine where one answers, else buildah, which needs root but no engine. Where no registry of images can be
asked, buildah's base is Debian with Python, made by debootstrap. Must not know what is in the image: that is the Dockerfile's.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.devcluster import debian
from tools.devcluster.binaries import cache_directory
from tools.devcluster.server import supervised

ROOT = Path(__file__).parents[1]
CONTEXT = ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE", "sdk", "operator", "examples/shop")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = f"localhost/rampgate:{VERSION}"
"""What the image is called in its archive: a name of no registry, so that nothing is ever pulled under it."""
DEBIAN, DEBIAN_BASE = "bookworm", "localhost/debian-python:bookworm"
UNNEEDED = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale")
KEPT_ARCHIVES = 3
CERTIFICATES = Path("/etc/ssl/certs")


class ImageError(Exception):
    """The image could not be built; the message says why and what to do."""


def built(base: str | None = None) -> Path:
    """Give a docker archive of the image, for `docker load`, `kind load image-archive` and `ctr images import`.

    Built once for the same sources and base, and kept in the cache. Raises ImageError.
    """
    archive = cache_directory() / f"image-{_fingerprint(base)}.tar"
    if not archive.exists():
        cache_directory().mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(f".{os.getpid()}.partial")
        try:
            build(base, partial)
            partial.rename(archive)
        finally:
            partial.unlink(missing_ok=True)
    archive.touch()
    for old in sorted(cache_directory().glob("image-*.tar"), key=lambda file: file.stat().st_mtime)[:-KEPT_ARCHIVES]:
        old.unlink(missing_ok=True)
    return archive


def build(base: str | None, archive: Path) -> None:
    """Build the image anew, into an archive; raises ImageError."""
    if _docker_answers():
        _build_with_docker(base, archive)
    else:
        _build_with_buildah(base, archive)


def _build_with_docker(base: str | None, archive: Path) -> None:
    arguments = [] if base is None else [f"--build-arg=BASE={base}"]
    _run("docker", "build", "--quiet", "--build-arg=SOURCE_DATE_EPOCH=0", *arguments, f"--tag={IMAGE}", str(ROOT))
    _run("docker", "save", f"--output={archive}", IMAGE)


def _build_with_buildah(base: str | None, archive: Path) -> None:
    _prepare("buildah", *([] if base else ["debootstrap"]))
    with _store() as buildah:
        if base is None:
            debian = _debian()
            _say(f"taking in Debian {DEBIAN}")
            container = _run(*buildah, "from", "scratch")
            _run(*buildah, "add", "--quiet", container, str(debian), "/")
            _run(*buildah, "commit", "--quiet", "--timestamp=0", "--rm", container, DEBIAN_BASE)
        _say("building the image")
        # the host's network and certificates: what this machine reaches and trusts, the builder does
        alike = ["--isolation=chroot", "--network=host", "--timestamp=0", f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"]
        _run(*buildah, "build", "--quiet", *alike, f"--build-arg=BASE={base or DEBIAN_BASE}", f"--tag={IMAGE}", str(ROOT))
        _say("writing the archive")
        _run(*buildah, "push", "--quiet", IMAGE, f"docker-archive:{archive}:{IMAGE}")


@contextmanager
def _store() -> Iterator[list[str]]:
    """Give buildah's command line with a storage of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rampgate-image-") as directory:
        yield ["buildah", f"--root={directory}/storage", f"--runroot={directory}/run", "--storage-driver=vfs"]


def _debian() -> Path:
    """Give Debian with Python as a tar, made once: 1 minute."""
    archive = cache_directory() / f"debian-{DEBIAN}.tar"
    if archive.exists():
        return archive
    _say(f"making a base of Debian {DEBIAN} (about 1 minute, once)")
    with tempfile.TemporaryDirectory(prefix="rampgate-debian-") as directory:
        root, partial = Path(directory) / "root", archive.with_suffix(f".{os.getpid()}.partial")
        _run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", DEBIAN, str(root))
        for path in UNNEEDED:
            shutil.rmtree(root / path, ignore_errors=True)
            (root / path).mkdir(parents=True)
        _run("tar", "--numeric-owner", "--sort=name", "--mtime=@0", "-C", str(root), "-cf", str(partial), ".")
        partial.rename(archive)
    return archive


def _fingerprint(base: str | None) -> str:
    digest = hashlib.sha256((base or DEBIAN_BASE).encode())
    for name in CONTEXT:
        files = [ROOT / name] if (ROOT / name).is_file() else sorted((ROOT / name).rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts and not any(part.endswith(".egg-info") for part in file.parts):
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def _prepare(*names: str) -> None:
    if os.geteuid() != 0:
        raise ImageError("no docker engine answers, and buildah can do without one only as root")
    try:
        debian.install({name: name for name in names}, _say)
    except debian.PackageError as error:
        raise ImageError(f"no docker engine answers, and {error}") from error


def _run(*command: str) -> str:
    # how our Python runs, such as where it keeps bytecode, is nothing for those that are installed in an image
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(supervised(command), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"`{' '.join(command)}` failed:\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout.strip()


def _say(line: str) -> None:
    print(f"image: {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Build the image, and say where its archive is and how large it is."""
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=__doc__.partition("\n\n")[0] if __doc__ else None)
    parser.add_argument(
        "--base", metavar="IMAGE", help="an image with Python >= 3.11 and its venv module (default: the Dockerfile's, or Debian)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="copy the archive there")
    options = parser.parse_args()
    try:
        archive = built(options.base)
    except ImageError as error:
        _say(str(error))
        return 1
    if options.output is not None:
        shutil.copyfile(archive, options.output)
    _say(f"{IMAGE}: {archive.stat().st_size / 1e6:.0f} MB as an archive")
    print(options.output or archive)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was begun is removed, as after Ctrl-C
    sys.exit(main())
