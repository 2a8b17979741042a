"""The API server in memory: three kinds of objects, resourceVersions, generations, and the preconditions of each write.

A stand-in only as far as tests/contract runs the same cases on it and on a real one.
Deterministic: no clock, no randomness, no I/O. `on_write` is asked before each write of the operator and may refuse it or end the process;
`on_change` hears of every change, as a watch does.
"""

import copy
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rampgate_operator.adapters.cluster import merge_patch
from rampgate_operator.cache import key_of, version_of
from rampgate_operator.core.conditions import Announcement
from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, RULES_LABEL
from rampgate_operator.core.revision import EXPERIMENT_LABEL, SPEC_LABEL
from rampgate_operator.core.status import Status
from rampgate_operator.ports import Body, ClusterError, ConflictError, Key, Pod

Object = dict[str, Any]


class MemoryCluster:
    """What the operator's port `Cluster` promises, and what people do with kubectl."""

    def __init__(self) -> None:
        self.experiments: dict[Key, Object] = {}
        self.config_maps: dict[Key, Object] = {}
        self.revisions: dict[Key, Object] = {}
        self.pods: dict[Key, tuple[str, str]] = {}
        """The ConfigMap that each mounts, and the version that it was told of."""
        self.announced: list[Announcement] = []
        self.events: dict[Key, Object] = {}
        self.on_write: Callable[[str], None] = lambda _what: None
        self.on_change: Callable[[str, str, Body], None] = lambda _kind, _change, _body: None
        self.version = 0

    # --- what people do ---

    def apply(self, key: Key, spec: Mapping[str, Any]) -> Body:
        """Create an Experiment or replace its spec; the generation rises only when it changes."""
        known = self.experiments.get(key)
        if known is None:
            metadata = {"namespace": key.namespace, "name": key.name, "uid": f"uid-{self._next()}", "generation": 1}
            self.experiments[key] = {"metadata": metadata, "spec": copy.deepcopy(dict(spec))}
        elif known["spec"] != spec:
            known["spec"] = copy.deepcopy(dict(spec))
            known["metadata"]["generation"] += 1
        return self._stamp(self.experiments[key])

    def wipe_status(self, key: Key) -> None:
        """Take the status away, as a restore from a backup does."""
        self.experiments[key].pop("status", None)
        self._stamp(self.experiments[key])

    def delete_experiment(self, key: Key) -> None:
        """Delete an Experiment."""
        self._gone("experiment", self.experiments.pop(key, None))

    def put_config_map(
        self, key: Key, data: Mapping[str, str] | None, *, labels: Mapping[str, str] | None = None, immutable: bool = False
    ) -> Body:
        """Create a ConfigMap or replace its data; None is a ConfigMap without any."""
        metadata = {"namespace": key.namespace, "name": key.name, **({"labels": dict(labels)} if labels else {})}
        self.config_maps[key] = {"metadata": metadata, **({} if data is None else {"data": dict(data)})}
        self.config_maps[key] |= {"immutable": True} if immutable else {}
        return self._stamp(self.config_maps[key])

    def delete_config_map(self, key: Key) -> None:
        """Delete a ConfigMap."""
        self._gone("rules", self.config_maps.pop(key, None))

    def put_pod(self, key: Key, config_map: str) -> None:
        """Start a pod that mounts a ConfigMap."""
        self.pods[key] = (config_map, "")

    def end_pod(self, key: Key) -> None:
        """Let it run to its end: it is not listed any more, and may still be patched."""
        self.pods[key] = ("", self.pods[key][1])

    # --- the port ---

    async def list_experiments(self) -> list[Body]:
        return [copy.deepcopy(body) for body in self.experiments.values()]

    async def list_config_maps(self) -> list[Body]:
        return [copy.deepcopy(body) for body in self.config_maps.values() if RULES_LABEL in body["metadata"].get("labels", {})]

    async def get_experiment(self, key: Key) -> Body | None:
        return copy.deepcopy(self.experiments.get(key))

    async def get_config_map(self, key: Key) -> Body | None:
        return copy.deepcopy(self.config_maps.get(key))

    async def write_status(self, experiment: Body, status: Status) -> Body:
        self.on_write("status")
        known = self._same(experiment)
        if known["metadata"]["resourceVersion"] != experiment["metadata"]["resourceVersion"]:
            raise ConflictError("409 Conflict")
        changes = merge_patch(experiment.get("status") or {}, status.to_wire())
        known["status"] = _merged(known.get("status") or {}, changes)
        return self._stamp(known)

    async def latch(self, experiment: Body, status: Status) -> Body:
        self.on_write("status")
        known = self._same(experiment)
        places = [[each.get("status", {}).get(field) for field in ("attempt", "phase", "step")] for each in (known, experiment)]
        if known["metadata"]["uid"] != experiment["metadata"]["uid"] or "status" not in known or places[0] != places[1]:
            raise ConflictError("422 Unprocessable Entity")
        known["status"] = copy.deepcopy(status.to_wire())
        return self._stamp(known)

    async def create_config_map(self, key: Key, data: Mapping[str, str]) -> Body:
        self.on_write("rules")
        if key in self.config_maps:
            raise ConflictError("409 Conflict")
        return self.put_config_map(key, {FORMAT_KEY: FORMAT, **data}, labels={RULES_LABEL: "true"})

    async def swap(self, config_map: Body, *, key: str, new: str | None) -> Body:
        self.on_write("rules")
        name, old = key_of(config_map), (config_map.get("data") or {}).get(key)
        known = self._ours(name)
        whole = any(character in "<>&" or not " " <= character <= "~" for character in old or "")
        if known["data"].get(key) != old or (old is None and new is None) or (whole and version_of(known) != version_of(config_map)):
            raise ConflictError("422 Unprocessable Entity")
        if known.get("immutable"):
            raise ClusterError("the API server refuses the change: it is immutable")
        known["data"].pop(key, None)
        known["data"] |= {} if new is None else {key: new}
        return self._stamp(known)

    async def replace_document(self, config_map: Body, text: str) -> Body:
        self.on_write("flagd")
        known = self.config_maps.get(key_of(config_map))
        if known is None or known.get("data", {}).get(FORMAT_KEY) != FLAGD_FORMAT or version_of(known) != version_of(config_map):
            raise ConflictError("422 Unprocessable Entity")
        if known.get("immutable"):
            raise ClusterError("the API server refuses the change: it is immutable")
        known["data"] |= {FLAGD_KEY: text}
        known["metadata"]["labels"] = {**(known["metadata"].get("labels") or {}), RULES_LABEL: "true"}
        return self._stamp(known)

    async def restore_label(self, config_map: Body) -> Body:
        self.on_write("label")
        known = self._ours(key_of(config_map))
        if version_of(known) != version_of(config_map):
            raise ConflictError("422 Unprocessable Entity")
        known["metadata"]["labels"] = {**(known["metadata"].get("labels") or {}), RULES_LABEL: "true"}
        return self._stamp(known)

    async def list_revisions(self, experiment: Body) -> list[Body]:
        found = self.revisions.values()
        return [copy.deepcopy(body) for body in found if body["metadata"]["labels"][EXPERIMENT_LABEL] == experiment["metadata"]["name"]]

    async def create_revision(self, experiment: Body, *, number: int, spec_digest: str, data: Mapping[str, Any]) -> None:
        self.on_write("revision")
        owner = experiment["metadata"]
        key = Key(owner["namespace"], f"{owner['name']}-{number}")
        if key in self.revisions:
            raise ConflictError("409 Conflict")
        labels = {EXPERIMENT_LABEL: owner["name"], SPEC_LABEL: spec_digest}
        metadata = {"namespace": key.namespace, "name": key.name, "labels": labels, "ownerReferences": [{"uid": owner["uid"]}]}
        self.revisions[key] = {"metadata": metadata, "revision": number, "data": copy.deepcopy(dict(data))}

    async def delete_revision(self, revision: Body) -> None:
        self.on_write("revision")
        self.revisions.pop(key_of(revision), None)

    async def create_event(self, experiment: Body, announcement: Announcement, at: datetime) -> Body:
        self.on_write("event")
        self.announced.append(announcement)
        key = Key(experiment["metadata"]["namespace"], f"{experiment['metadata']['name']}.{self._next()}")
        self.events[key] = {"metadata": {"namespace": key.namespace, "name": key.name}, "count": 1, "message": announcement.message}
        return copy.deepcopy(self.events[key])

    async def repeat_event(self, event: Body, announcement: Announcement, at: datetime, *, count: int) -> Body | None:
        self.on_write("event")
        known = self.events.get(key_of(event))
        if known is not None:
            known |= {"count": count, "message": announcement.message}
        return copy.deepcopy(known)

    async def list_pods(self, config_map: Key) -> list[Pod]:
        on = (config_map.namespace, config_map.name)
        return [Pod(key.name, told) for key, (mounts, told) in self.pods.items() if (key.namespace, mounts) == on]

    async def nudge_pod(self, pod: Key, version: str) -> bool:
        self.on_write("pod")
        if pod not in self.pods:
            return False
        self.pods[pod] = (self.pods[pod][0], version)
        return True

    def _same(self, experiment: Body) -> Object:
        key = Key(experiment["metadata"]["namespace"], experiment["metadata"]["name"])
        if key not in self.experiments:
            raise ConflictError("404 Not Found")
        return self.experiments[key]

    def _ours(self, key: Key) -> Object:
        known = self.config_maps.get(key)
        if known is None:
            raise ConflictError("404 Not Found")
        if known.get("data", {}).get(FORMAT_KEY) != FORMAT:
            raise ConflictError("422 Unprocessable Entity")
        return known

    def _next(self) -> int:
        self.version += 1
        return self.version

    def _stamp(self, body: Object) -> Body:
        body["metadata"]["resourceVersion"] = str(self._next())
        self.on_change("experiment" if "spec" in body else "rules", "MODIFIED", copy.deepcopy(body))
        return copy.deepcopy(body)

    def _gone(self, kind: str, body: Object | None) -> None:
        if body is not None:
            body["metadata"]["resourceVersion"] = str(self._next())
            self.on_change(kind, "DELETED", copy.deepcopy(body))


def _merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    """Apply a merge patch (RFC 7386)."""
    result = {name: value for name, value in old.items() if name not in patch}
    for name, value in patch.items():
        if isinstance(value, Mapping):
            before = old.get(name)
            result[name] = _merged(before if isinstance(before, Mapping) else {}, value)
        elif value is not None:
            result[name] = copy.deepcopy(value)
    return result
