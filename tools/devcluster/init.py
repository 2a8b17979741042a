"""The node's process 1: `python init.py RUN DATA`, started in fresh mount, network and process namespaces.

Makes the namespaces a node, then reaps what is left to it until SIGTERM. When it ends, however, the kernel ends every process of the node,
and with the last of them its mounts, interfaces, bridges and packet filters are gone. Imports the standard library only, as child.py.

What kubelet, containerd and CNI write outside the folders they are told (/run/containerd, /var/log/containers, /var/lib/cni, …) goes to
layers over the host's folders that only the node sees, in memory.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

WRITTEN_TO = ("/var/lib", "/var/log", "/run")  # /run last: it covers the layers' own place


def main(run: str, data: str) -> None:
    """Prepare, tell the process id by a file, then wait for SIGTERM."""
    host_pid = Path("/proc/self").readlink()  # as the host numbers us: its /proc is still what we see
    _cover_written(run, data)
    _mount("-t", "proc", "proc", "/proc")
    _mount("--make-rshared", "/")  # the kubelet wants to pass mounts on into pods
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    signals = {signal.SIGCHLD, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    partial = Path(run, "init.partial")
    partial.write_text(str(host_pid))
    partial.rename(Path(run, "init.pid"))
    while signal.sigwait(signals) != signal.SIGTERM:
        _reap()


def _cover_written(run: str, data: str) -> None:
    kept = {path: os.open(path, os.O_PATH) for path in (run, data)}
    layers = Path(run, "layers")
    layers.mkdir()
    _mount("-t", "tmpfs", "tmpfs", str(layers))
    for place in WRITTEN_TO:
        upper, work = (layers / place.strip("/").replace("/", "-") / name for name in ("upper", "work"))
        upper.mkdir(parents=True)
        work.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir={place},upperdir={upper},workdir={work}", "overlay", place)
    for path, descriptor in kept.items():
        # not canonical: that name leads below the layer
        _mount("--no-canonicalize", "--bind", f"/proc/self/fd/{descriptor}", path, pass_fds=[descriptor])


def _mount(*arguments: str, pass_fds: list[int] | None = None) -> None:
    subprocess.run(["mount", *arguments], check=True, pass_fds=pass_fds or [])


def _reap() -> None:
    """One SIGCHLD may stand for several children."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
