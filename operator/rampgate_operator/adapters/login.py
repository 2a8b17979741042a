"""Which cluster it is, and as whom: decided once, for kopf's watch and for our own requests alike.

Knows where Kubernetes keeps credentials. Must not know what is done with the cluster. kopf's own login is not used: it prefers the service
account where `kubernetes.aio` prefers the kubeconfig, so in a pod with both one cluster would be watched and another written to; and it
knows neither exec plugins nor paths relative to the kubeconfig.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import kopf
import yaml
from kubernetes.aio import client, config

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_HOME = "~/.kube/config"


class NoClusterError(Exception):
    """There is no cluster to talk to: set KUBECONFIG, or run in a pod with a service account."""


class Login:
    """Credentials for one cluster, in `configuration`; renewed in place, so that whoever uses it has the new ones too."""

    def __init__(self, kubeconfig: str | None) -> None:
        self._kubeconfig = kubeconfig
        self.configuration = client.Configuration()

    async def renew(self) -> None:
        """Read the credentials (again): tokens are rotated, exec plugins give short-lived ones. Raises NoClusterError."""
        try:
            if self._kubeconfig is None:
                config.load_incluster_config(client_configuration=self.configuration)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(  # type: ignore[no-untyped-call]
                    self._kubeconfig, client_configuration=self.configuration, persist_config=False
                )
        except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            what = "the pod's service account" if self._kubeconfig is None else f"the kubeconfig {self._kubeconfig}"
            raise NoClusterError(f"no cluster: {what} cannot be used: {' '.join(str(error).split())}") from error

    @property
    def pod_namespace(self) -> str | None:
        """The namespace of the pod that this runs in; None when it talks to the cluster of a kubeconfig."""
        return None if self._kubeconfig is not None else SERVICE_ACCOUNT.with_name("namespace").read_text(encoding="utf-8").strip()

    def connection(self) -> kopf.ConnectionInfo:
        """Give the credentials to kopf."""
        found = self.configuration
        scheme, _, token = str(found.api_key.get("BearerToken", "")).strip().rpartition(" ")
        return kopf.ConnectionInfo(
            server=found.host,
            ca_path=found.ssl_ca_cert,
            insecure=not found.verify_ssl,
            scheme=scheme.capitalize() or None,
            token=token or None,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
            proxy_url=found.proxy,
        )


async def log_in(environment: Mapping[str, str], *, service_account: Path = SERVICE_ACCOUNT) -> Login:
    """Find the cluster and read the credentials for it; raises NoClusterError."""
    login = Login(find_kubeconfig(environment, service_account=service_account))
    await login.renew()
    return login


def find_kubeconfig(environment: Mapping[str, str], *, service_account: Path = SERVICE_ACCOUNT) -> str | None:
    """Give the path of the kubeconfig, or several as in PATH; None inside a pod, unless KUBECONFIG is set there too.

    Raises NoClusterError when there is no such file. As with kubectl, one of several is enough.
    """
    named = environment.get("KUBECONFIG")
    if not named and service_account.exists():
        return None
    kubeconfig = named or str(Path(_HOME).expanduser())
    if not any(Path(path).expanduser().exists() for path in kubeconfig.split(os.pathsep) if path):
        where = "" if service_account.exists() else "not inside a pod, and "
        raise NoClusterError(f"no cluster: {where}the kubeconfig {kubeconfig} does not exist")
    return kubeconfig
