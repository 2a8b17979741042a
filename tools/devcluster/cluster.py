"""A control plane: real etcd and real kube-apiserver on free ports, of loopback unless pods are to reach it.

Knows the flags of the two servers. Must not know what is tested on it: no CRDs, no RBAC objects, no namespaces.
There is no controller manager: no garbage collection by ownerReference, no ServiceAccount tokens, and deleted namespaces stay Terminating.
A node (node.py) brings one.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tools.devcluster import audit
from tools.devcluster.binaries import require
from tools.devcluster.loopback import HOST, answers, free_port
from tools.devcluster.places import SERVICE_RANGE
from tools.devcluster.roles import Caller, Role, make_tokens, write_kubeconfig, write_token_file
from tools.devcluster.server import Server

OWNED = ("etcd", "apiserver")  # what `start` empties in a directory it was given


class Cluster:
    """A running control plane. Use it as a context manager, or call `stop`; its servers end with this process at the latest."""

    def __init__(self, directory: Path, *, temporary: bool, pods_reach: str | None) -> None:
        self.directory = directory
        self.host = pods_reach or HOST
        self.port = free_port()
        self._temporary = temporary
        self._tokens = make_tokens()
        etcd_port = free_port()
        for name in OWNED:
            if (directory / name).exists():
                shutil.rmtree(directory / name)  # not forgiving: a server that still writes there must not share it with the new one
            (directory / name).mkdir(parents=True)
        write_token_file(directory / "apiserver" / "tokens.csv", self._tokens)
        self._etcd_url = f"http://{HOST}:{etcd_port}"
        self._etcd = Server("etcd", self._etcd_command(), log=directory / "etcd" / "log", remove=directory if temporary else None)
        self._api_server = Server(
            "kube-apiserver", self._api_server_command(pods=pods_reach is not None), log=directory / "apiserver" / "log"
        )

    @classmethod
    def start(cls, directory: Path | None = None, *, pods_reach: str | None = None) -> Self:
        """Start an empty control plane and wait until it is ready (about 4 s).

        Its files go to `directory` and stay there, else to a temporary one that goes with it.
        `pods_reach` is the address of this machine at which pods reach it; then it insists on what only a controller manager makes.
        Raises BinaryMissingError when the servers are not built, ServerError with the end of the log when one does not come up.
        """
        cluster = cls(directory or Path(tempfile.mkdtemp(prefix="rampgate-cluster-")), temporary=directory is None, pods_reach=pods_reach)
        try:
            cluster._etcd.start(lambda: answers(f"{cluster._etcd_url}/health"))
            cluster.start_api_server()
            for role in Role:
                write_kubeconfig(cluster.kubeconfig(role), url=cluster.url, ca_file=cluster.ca_file, token=cluster.token(role))
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def url(self) -> str:
        """The API server, https://127.0.0.1:PORT without a node; the same for the cluster's whole life."""
        return f"https://{self.host}:{self.port}"

    @property
    def certificates(self) -> Path:
        """The folder of the API server's certificate and key."""
        return self.directory / "apiserver" / "certificates"

    @property
    def ca_file(self) -> Path:
        """The certificate that clients verify the API server with (PEM)."""
        return self.certificates / "apiserver.crt"

    def token(self, caller: Caller) -> str:
        """The bearer token of a role, or of a part of a node."""
        return self._tokens[caller]

    def kubeconfig(self, role: Role = Role.ADMIN) -> Path:
        """The kubeconfig file of a role."""
        return self.directory / "apiserver" / f"{role}.kubeconfig"

    def requests(self) -> Iterator[audit.Request]:
        """What callers other than ADMIN have asked so far, oldest first."""
        return audit.read(self.directory / "apiserver")

    def start_api_server(self) -> None:
        """Bring the API server (back) on the same port with the same data, tokens and certificate; returns when /readyz says ok."""
        self._api_server.start(lambda: self.ca_file.exists() and self.serves("/readyz"))

    def serves(self, path: str) -> bool:
        """Whether GET `path` gives ADMIN status 200: the server answers, the object is there."""
        return answers(f"{self.url}{path}", ca_file=self.ca_file, token=self._tokens[Role.ADMIN])

    def stop_api_server(self) -> None:
        """Take the API server away; etcd keeps the data."""
        self._api_server.stop()

    def restart_api_server(self) -> None:
        """Stop, then start: every watch and connection of its clients is cut."""
        self.stop_api_server()
        self.start_api_server()

    def stop(self) -> None:
        """End both servers; a temporary directory goes too."""
        self._api_server.stop()
        self._etcd.stop()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _etcd_command(self) -> list[str | Path]:
        peer_url = f"http://{HOST}:{free_port()}"
        return [
            require("etcd"),
            f"--data-dir={self.directory / 'etcd' / 'data'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=default={peer_url}",
            "--unsafe-no-fsync",  # this data need not survive a power cut
            "--log-level=warn",
        ]

    def _api_server_command(self, *, pods: bool) -> list[str | Path]:
        directory = self.directory / "apiserver"
        return [
            require("kube-apiserver"),
            f"--etcd-servers={self._etcd_url}",
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            f"--secure-port={self.port}",
            f"--cert-dir={self.certificates}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--service-account-issuer=https://kubernetes.default.svc",
            # The key of the serving certificate, which the server makes before it reads this: good enough for a test's pods.
            f"--service-account-signing-key-file={self.certificates / 'apiserver.key'}",
            f"--service-account-key-file={self.certificates / 'apiserver.key'}",
            "--authorization-mode=Node,RBAC",
            f"--token-auth-file={directory / 'tokens.csv'}",
            # Without a controller manager nobody makes the default ServiceAccount that this one insists on.
            *([] if pods else ["--disable-admission-plugins=ServiceAccount"]),
            "--kubelet-preferred-address-types=InternalIP",  # for logs and exec: a node's name is in no DNS
            "--allow-privileged=true",
            *audit.flags(directory),
            "--profiling=false",
            # Open watches must not hold up a stop.
            "--shutdown-watch-termination-grace-period=0s",
        ]
