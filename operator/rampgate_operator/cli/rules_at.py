"""Where a command finds rules: a mounted directory, a file that kubectl printed, or the cluster of KUBECONFIG.

Knows how each is read once and what is wrong when there are no rules. Must not know what is done with them.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from rampgate.snapshot import FORMAT_KEY, FORMAT_VALUE, Keys, is_ours
from rampgate.sources.directory import read_keys
from rampgate.sources.file import read_config_map


class NoRulesError(Exception):
    """There are no rules where they should be; the message says what is there instead."""


def from_directory(directory: Path) -> Keys:
    """Read a directory in which a ConfigMap is mounted. Raises `NoRulesError`, OSError."""
    if not directory.is_dir():
        raise NoRulesError(f"{directory}: there is no such directory")
    keys = read_keys(directory)
    if not is_ours(keys):
        found = f'the file "{FORMAT_KEY}" does not say {FORMAT_VALUE}' if FORMAT_KEY in keys else f'no file "{FORMAT_KEY}"'
        raise NoRulesError(f"{directory}/: {found}: this is no mount of a ConfigMap with rules")
    return keys


def from_file(file: str) -> Keys:
    """Read what `kubectl get configmap NAME -o json` printed; `-` is standard input. Raises `NoRulesError`, OSError."""
    text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        keys = read_config_map(text)
    except ValueError as error:
        raise NoRulesError(f"{file}: {error}") from None
    return _ours(keys, file)


def from_cluster(namespace: str, name: str) -> Keys:
    """Read a ConfigMap from the cluster of KUBECONFIG, or of the pod that this runs in. Raises `NoRulesError`."""
    return asyncio.run(_get(namespace, name))


async def _get(namespace: str, name: str) -> Keys:
    from kubernetes.aio import client

    from rampgate_operator.adapters.cluster import KubernetesCluster
    from rampgate_operator.adapters.login import NoClusterError, log_in
    from rampgate_operator.ports import ClusterError, Key

    place = f"ConfigMap {name} in namespace {namespace}"
    try:
        login = await log_in(os.environ)
        async with client.ApiClient(login.configuration) as api:
            found = await KubernetesCluster(api).get_config_map(Key(namespace, name))
    except NoClusterError as error:
        raise NoRulesError(str(error)) from error
    except ClusterError as error:
        raise NoRulesError(f"{place}: {error}") from error
    if found is None:
        raise NoRulesError(f"{place}: there is none; an Experiment's spec.configMapName says which one has its rules")
    return _ours(read_config_map(json.dumps(found).encode()), place)


def _ours(keys: Keys, place: str) -> Keys:
    if not is_ours(keys):
        raise NoRulesError(f'{place}: its key "{FORMAT_KEY}" does not say {FORMAT_VALUE}: this is no ConfigMap with rules')
    return keys
