"""What the story plays on: a control plane, Prometheus, the operator, three processes of the shop and their users, each its own process.

Knows how each is started, stopped and reached. Must not know the story. All of them end with this process, whatever happens to it.
"""

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tools.demo.sources import post
from tools.devcluster.binaries import kubectl_path
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl
from tools.devcluster.loopback import HOST, answers, free_port
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.roles import Role
from tools.devcluster.server import Server

CHECKOUT = Path(__file__).parent.parent.parent
EXPERIMENTS = CHECKOUT / "examples" / "experiments"
NAMESPACE, GATE, CONFIG_MAP, TESTER = "shop", "new-checkout", "feature-gates", "qa-1"
PROCESSES, USERS, CHECKOUTS_PER_SECOND, BATCH = 3, 3000, 1600, 16
SCRAPE_SECONDS = 0.5


class Part(StrEnum):
    """Whose end must not go untold."""

    OPERATOR = "the operator"
    PROMETHEUS = "Prometheus"


class Operator:
    """`rampgate operator` with its own token; a person can take it away as hard as a power cut does."""

    def __init__(self, directory: Path, *, kubeconfig: Path, prometheus: str) -> None:
        self._pid_file = directory / "operator.pid"
        self.url = f"http://{HOST}:{free_port()}"
        settings = {
            "KUBECONFIG": str(kubeconfig),
            "RAMPGATE_SOURCES__DEFAULT__URL": prometheus,
            "RAMPGATE_LISTEN": self.url.removeprefix("http://"),
            "RAMPGATE_LEASE__NAMESPACE": NAMESPACE,
            "RAMPGATE_LEASE__IDENTITY": "demo",  # as a pod's name: the next process of that name need not wait for the lease's end
        }
        # The shell becomes the operator: the number it wrote is the operator's own, not that of whoever watches over it.
        become = f'echo $$ > {shlex.quote(str(self._pid_file))}; exec "$0" "$@"'
        rampgate = Path(sys.executable).with_name("rampgate")
        environment = [f"{name}={value}" for name, value in settings.items()]
        command: list[str | Path] = ["env", *environment, "sh", "-c", become, rampgate, "operator"]
        self._server = Server("operator", command, log=directory / "operator.log")

    def start(self) -> None:
        """Start it (again); it has nothing of its own to come back to, only what is in the API server."""
        self._server.start(self._pid_file.exists)

    def kill(self) -> int:
        """End it with SIGKILL; returns the process id that it had."""
        pid = int(self._pid_file.read_text())
        os.kill(pid, signal.SIGKILL)
        self.stop()
        return pid

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._server.running

    @property
    def pid(self) -> int | None:
        """Its process; None when it is stopped."""
        return int(self._pid_file.read_text()) if self._pid_file.exists() else None

    def last_words(self) -> str:
        """Give the end of its log."""
        return "\n".join(self._server.log.read_text(errors="replace").splitlines()[-8:])

    def stop(self) -> None:
        """End it in order."""
        self._server.stop()
        self._pid_file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Stage:
    """Everything that runs, and how to reach it."""

    directory: Path
    cluster: Cluster
    prometheus: Prometheus
    operator: Operator
    shops: tuple[str, ...]
    """The base URL of each process."""

    def kubectl(self, *arguments: str, role: Role = Role.DEVELOPER, check: bool = True) -> str:
        """Run kubectl in the shop's namespace and return what it printed; with `check`, CalledProcessError when it fails."""
        done = kubectl(self.cluster, f"--namespace={NAMESPACE}", *arguments, role=role, check=check)
        return done.stdout + done.stderr

    def ended(self) -> tuple[Part, ...]:
        """Name what should run and does not."""
        running = {Part.OPERATOR: self.operator.running, Part.PROMETHEUS: self.prometheus.running}
        return tuple(part for part, runs in running.items() if not runs)

    def fault(self, **rates: float) -> None:
        """Make these shares of the variants' checkouts fail, in every process."""
        for shop in self.shops:
            for variant, rate in rates.items():
                post(f"{shop}/fault?variant={variant}&rate={rate}")

    def tally(self) -> Mapping[str, Any]:
        """Give the users' latest count (examples/shop/tally.py); empty before the first."""
        complete = (self.directory / "load.log").read_text().rpartition("\n")[0].splitlines()
        with suppress(IndexError, ValueError):
            return dict(json.loads(complete[-1]))
        return {}


@contextmanager
def set_up(directory: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """Start everything, say so, and put it away again. Raises ServerError with the end of a log when something does not start."""
    with ExitStack() as running:
        cluster = running.enter_context(Cluster.start(directory / "cluster"))
        say(f"etcd and kube-apiserver    {cluster.url}")
        prometheus = running.enter_context(Prometheus.launch(directory / "prometheus", scrape_interval=SCRAPE_SECONDS))
        say(f"Prometheus                 {prometheus.url}/api/v1/targets (built without its web page), scrapes every {SCRAPE_SECONDS:g} s")
        _install(cluster)
        say("CRD and roles installed")
        operator = Operator(directory, kubeconfig=cluster.kubeconfig(Role.OPERATOR), prometheus=prometheus.url)
        running.callback(operator.stop)
        operator.start()
        say("rampgate operator          a process with its own token and the rights of manifests/rbac/operator.yaml")
        shops = tuple(_start_shops(directory, cluster, running))
        say(f"the shop, {len(shops)} processes      {'  '.join(shops)}")
        for shop in shops:
            prometheus.add_target("shop", shop.removeprefix("http://"), {"namespace": NAMESPACE})
        # The last one started also clears up when this process is killed and cannot.
        load = Server(
            "load",
            [sys.executable, "-m", "examples.shop.load", f"--users={USERS}", f"--rate={CHECKOUTS_PER_SECOND}", f"--batch={BATCH}", *shops],
            log=directory / "load.log",
            remove=directory,
        )
        running.callback(load.stop)
        stage = Stage(directory, cluster, prometheus, operator, shops)
        load.start(lambda: bool(stage.tally()))
        say(f"its users                  {USERS}, {CHECKOUTS_PER_SECOND} checkouts a second in all, each at any of the processes")
        yield stage


def _install(cluster: Cluster) -> None:
    """The CRD, the namespace, and for each caller the role that it needs and no more."""
    apply_crds(cluster, CHECKOUT / "crds")
    kubectl(cluster, "create", "namespace", NAMESPACE)
    rbac = CHECKOUT / "manifests" / "rbac"
    kubectl(cluster, "apply", f"--namespace={NAMESPACE}", "-f", str(rbac))
    kubectl(cluster, "create", "clusterrolebinding", "operator", "--clusterrole=rampgate-operator", f"--user={Role.OPERATOR.user}")
    # Kubernetes' own `view` is put together by a controller manager, which is not there; this is what it is made of.
    for role, name, granted in (
        (Role.OPERATOR, "operator-lease", "--role=rampgate-operator-lease"),
        (Role.APPLICATION, "application", "--role=rampgate-application"),
        (Role.DEVELOPER, "developer", "--clusterrole=rampgate-editor"),
        (Role.DEVELOPER, "developer-view", "--clusterrole=system:aggregate-to-view"),
    ):
        kubectl(cluster, f"--namespace={NAMESPACE}", "create", "rolebinding", name, granted, f"--user={role.user}")


def _start_shops(directory: Path, cluster: Cluster, running: ExitStack) -> Iterator[str]:
    token_file = directory / "application.token"
    token_file.touch(mode=0o600)
    token_file.write_text(cluster.token(Role.APPLICATION))
    place = [f"--namespace={NAMESPACE}", f"--api-server={cluster.url}", f"--token-file={token_file}", f"--ca-file={cluster.ca_file}"]
    for number in range(1, PROCESSES + 1):
        port = free_port()
        url = f"http://{HOST}:{port}"
        command = [sys.executable, "-m", "examples.shop.app", f"--port={port}", *place]
        server = Server(f"shop-{number}", command, log=directory / f"shop-{number}.log")
        running.callback(server.stop)
        server.start(lambda url=url: answers(f"{url}/metrics"))  # type: ignore[misc]
        yield url


def environment(stage: Stage) -> Path:
    """Write the file that a shell sources to be the demo's administrator, with kubectl at hand."""
    path = stage.directory / "env"
    bins = ":".join(dict.fromkeys(map(str, (Path(sys.executable).parent, kubectl_path().parent))))
    path.write_text(f'export KUBECONFIG={shlex.quote(str(stage.cluster.kubeconfig()))}\nexport PATH={shlex.quote(bins)}:"$PATH"\n')
    return path
