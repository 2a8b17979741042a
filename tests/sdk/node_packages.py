"""The JavaScript packages that the tests ask with, installed into the cache once per lock file."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.devcluster.binaries import cache_directory

NODE = Path(__file__).parent / "node"


def javascript_packages() -> Path:
    """The folder with node_modules; skips, and says so, where there is no npm."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("the JavaScript clients of OFREP were not asked: there is no npm here")
    digest = hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()[:10]
    folder = cache_directory() / f"ofrep-clients-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "ofrep-clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other processes of these tests want the same
        if not (folder / "node_modules" / ".package-lock.json").exists():  # npm writes it last
            folder.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(NODE / name, folder)
            subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=100)
    return folder
