"""Keep a cluster up in the foreground, or in a detached process that `end` ends.

Knows how one process holds servers and how another finds and ends it. Must not know the command line.
The servers are the keeper's children under watch: whatever happens to the keeper, they end.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from tools.devcluster import removal, state
from tools.devcluster.cluster import Cluster
from tools.devcluster.node import Node
from tools.devcluster.places import DATA, NODE
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role

CHECKOUT = Path(__file__).parent.parent.parent
START_SECONDS = 120.0
END_SECONDS = 30.0
REMOVAL_SECONDS = 300.0
"""For the files of a node alone: thousands, on whatever disk this is."""
POLL_SECONDS = 0.05


class KeeperError(Exception):
    """A detached cluster did not start or did not end; the message says why."""


def keep(directory: Path, *, node: bool, scrape_interval: float | None, ready: Callable[[state.State], None]) -> None:
    """Run a cluster in this process until SIGINT or SIGTERM, with `node` one that runs pods; `ready` is called once it answers.

    `scrape_interval` is in seconds, None = no Prometheus. Raises AlreadyRunningError, ServerError, and with `node` what Node.start raises.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both signals unwind the stack, also during the start
    with state.held(directory), ExitStack() as running:
        cluster = running.enter_context(Node.start(directory)).cluster if node else running.enter_context(Cluster.start(directory))
        prometheus = None
        if scrape_interval is not None:
            launched = Prometheus.launch(directory / "prometheus", scrape_interval=scrape_interval, host=cluster.host)
            prometheus = running.enter_context(launched)
        here = _describe(cluster, prometheus, node=NODE if node else None)
        state.write(directory, here)
        ready(here)
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            return


def detach(directory: Path, options: list[str]) -> state.State:
    """Start a keeper that outlives this process and return once its cluster answers.

    `options` are those of `up`. Interrupted (Ctrl-C) before that, it takes the keeper along. Raises KeeperError with the end of its log.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "keeper.log"
    command = [sys.executable, "-m", "tools.devcluster", "up", "--foreground", f"--dir={directory}", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        return _wait_for_state(directory, process, log)
    except BaseException:
        process.terminate()
        process.wait(END_SECONDS + REMOVAL_SECONDS)
        raise


def end(directory: Path, report: Callable[[str], None] = print) -> bool:
    """End the keeper of a directory and wait until it is gone; False when none ran. Raises KeeperError when it stays.

    `report` is told when a node's files take long to remove: that is waited for, since who ended it then would leave them there.
    """
    pid, here = state.keeper(directory), state.read(directory)
    if pid is None:
        return False
    with suppress(ProcessLookupError):  # it may end by itself at this moment
        os.kill(pid, signal.SIGTERM)
    if _is_gone(directory, within=END_SECONDS):
        return True
    if here is None or here.node is None or not removal.is_under_way():
        raise KeeperError(f"process {pid} did not end within {END_SECONDS:.0f} s; `kill -9 {pid}` ends it and its servers")
    report(f"its servers have ended; still removing the node's files, {DATA}")
    if not _is_gone(directory, within=REMOVAL_SECONDS):
        raise KeeperError(f"process {pid} is still removing {DATA}, and goes on; `down` again waits for it")
    return True


def _is_gone(directory: Path, *, within: float) -> bool:
    """Wait until there is no keeper, for some seconds."""
    deadline = time.monotonic() + within
    while state.keeper(directory) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _wait_for_state(directory: Path, process: "subprocess.Popen[bytes]", log: Path) -> state.State:
    deadline = time.monotonic() + START_SECONDS
    while (found := state.read(directory)) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise KeeperError(f"the cluster did not start:\n{log.read_text(errors='replace')}")
        time.sleep(POLL_SECONDS)
    return found


def _describe(cluster: Cluster, prometheus: Prometheus | None, *, node: str | None) -> state.State:
    return state.State(
        api_server=cluster.url,
        ca_file=str(cluster.ca_file),
        kubeconfigs={role.value: str(cluster.kubeconfig(role)) for role in Role},
        prometheus=prometheus.url if prometheus else None,
        prometheus_targets=str(prometheus.targets) if prometheus else None,
        node=node,
    )
