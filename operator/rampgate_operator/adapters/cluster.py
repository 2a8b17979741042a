"""The API server, through `kubernetes.aio`: lists, reads, and the guarded writes of design §8.

Knows paths, patches and their preconditions. Decides nothing, retries nothing: a lost race is a ConflictError, all else a ClusterError.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from kubernetes.aio import client

from rampgate_operator.adapters.answers import UnprocessableError, answered, items_of, object_of, plain, read_body, read_json
from rampgate_operator.cache import key_of
from rampgate_operator.core.conditions import Announcement
from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.nudging import GATES_LABEL, RULES_ANNOTATION
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, RULES_LABEL
from rampgate_operator.core.quantities import timestamp
from rampgate_operator.core.resource import GROUP, KIND, PLURAL, VERSION
from rampgate_operator.core.revision import EXPERIMENT_LABEL, SPEC_LABEL
from rampgate_operator.core.status import Status
from rampgate_operator.ports import Body, ClusterError, ConflictError, Key, Pod

FIELD_MANAGER = "rampgate"
MERGE_PATCH, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
_ENCODED_ALIKE = re.compile(r"[ -%'-;=?-~]*")
"""What every encoder of JSON writes alike: a `test` at kube-apiserver compares encoded values, and Go escapes `<`, `>` and `&`."""
_PLACE = ("attempt", "phase", "step")
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
_METADATA_ALONE = "application/json;g=meta.k8s.io;v=v1;as"
"""A pod is some ten times as large as its metadata."""
LONGEST_NEWS = 1024
_TIMEOUT = 15.0
"""Seconds for a whole request; the client's default is none at all."""


class KubernetesCluster:
    """The API server behind an `ApiClient`; it lists one namespace, or all."""

    def __init__(self, api: client.ApiClient, namespace: str | None = None, *, may_write: Callable[[], bool] = lambda: True) -> None:
        self._custom = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._apps = client.AppsV1Api(api)
        self._namespace = namespace
        self._may_write = may_write

    async def list_experiments(self) -> list[Body]:
        """Give every Experiment that is watched."""
        arguments: dict[str, Any] = {"group": GROUP, "version": VERSION, "plural": PLURAL, "_request_timeout": _TIMEOUT}
        if self._namespace is None:
            listed = self._custom.list_cluster_custom_object_without_preload_content(**arguments)
        else:
            listed = self._custom.list_namespaced_custom_object_without_preload_content(namespace=self._namespace, **arguments)
        return items_of(await answered(read_json(listed)))

    async def list_config_maps(self) -> list[Body]:
        """Give every ConfigMap with rules that is watched."""
        arguments: dict[str, Any] = {"label_selector": RULES_LABEL, "_request_timeout": _TIMEOUT}
        if self._namespace is None:
            listed = self._core.list_config_map_for_all_namespaces_without_preload_content(**arguments)
        else:
            listed = self._core.list_namespaced_config_map_without_preload_content(self._namespace, **arguments)
        return items_of(await answered(read_json(listed)))

    async def get_experiment(self, key: Key) -> Body | None:
        """Give one Experiment as it is now; None when it is gone."""
        read = self._custom.get_namespaced_custom_object_without_preload_content(**_experiment(key))
        return await object_of(read_json(read), may_be_absent=True)

    async def get_config_map(self, key: Key) -> Body | None:
        """Give one ConfigMap as it is now; None when it does not exist."""
        read = self._core.read_namespaced_config_map_without_preload_content(key.name, key.namespace, _request_timeout=_TIMEOUT)
        return await object_of(read_json(read), may_be_absent=True)

    async def write_status(self, experiment: Body, status: Status) -> Body:
        """Replace the status by a merge patch that carries the resourceVersion (RFC 7386; 409 when it has moved)."""
        changes = merge_patch(experiment.get("status") or {}, status.to_wire())
        patch = {"metadata": {"resourceVersion": experiment["metadata"]["resourceVersion"]}, "status": changes}
        return await self._patch_status(experiment, patch, MERGE_PATCH)

    async def latch(self, experiment: Body, status: Status) -> Body:
        """Replace the status by a JSON Patch that tests uid, attempt, phase and step only: a storm of edits cannot starve it (RFC 6902).

        The phase and the step, so that one which was held up on the way does not end what has gone on since.
        """
        before = experiment.get("status") or {}
        tested = [{"op": "test", "path": f"/status/{field}", "value": before[field]} for field in _PLACE if field in before]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": experiment["metadata"]["uid"]},
            *tested,
            {"op": "replace", "path": "/status", "value": status.to_wire()},
        ]
        return await self._patch_status(experiment, patch, JSON_PATCH)

    async def create_config_map(self, key: Key, data: Mapping[str, str]) -> Body:
        """Create a ConfigMap for rules, or for what its `format` says; it belongs to nobody, so that pods which mount it always start."""
        self._check_leadership()
        metadata = {"name": key.name, "labels": {RULES_LABEL: "true"}}
        body = client.V1ConfigMap.model_validate(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {FORMAT_KEY: FORMAT, **data}}
        )
        create = self._core.create_namespaced_config_map_without_preload_content(
            key.namespace, body, field_manager=FIELD_MANAGER, _request_timeout=_TIMEOUT
        )
        return cast("Body", await object_of(read_json(create)))

    async def swap(self, config_map: Body, *, key: str, new: str | None) -> Body:
        """Compare and swap one key by JSON Patch.

        A `test` of null tests for absence, as long as `data` is there: it is, since every ConfigMap of ours has the key `format`.
        """
        path = "/data/" + key.replace("~", "~0").replace("/", "~1")
        change = {"op": "remove", "path": path} if new is None else {"op": "add", "path": path, "value": new}
        old = (config_map.get("data") or {}).get(key)
        unchanged = {"op": "test", "path": path, "value": old} if _ENCODED_ALIKE.fullmatch(old or "") else _is_version_of(config_map)
        return await self._patch_config_map(config_map, [_is_ours(), unchanged, change], key)

    async def replace_document(self, config_map: Body, text: str) -> Body:
        """Replace a flagd document by JSON Patch, at the version that was read: nobody else has a key of it to write."""
        change = {"op": "add", "path": f"/data/{FLAGD_KEY}", "value": text}
        patch = [_is_ours(FLAGD_FORMAT), _is_version_of(config_map), change, _label(config_map)]
        return await self._patch_config_map(config_map, patch, None)

    async def restore_label(self, config_map: Body) -> Body:
        """Put back the label by which a ConfigMap with rules is watched; `labels` may be absent as a whole."""
        return await self._patch_config_map(config_map, [_is_ours(), _is_version_of(config_map), _label(config_map)], None)

    async def list_revisions(self, experiment: Body) -> list[Body]:
        """Give the ControllerRevisions that carry the Experiment's name as a label."""
        metadata = experiment["metadata"]
        selector = f"{EXPERIMENT_LABEL}={metadata['name']}"
        listed = self._apps.list_namespaced_controller_revision_without_preload_content(
            metadata["namespace"], label_selector=selector, _request_timeout=_TIMEOUT
        )
        return items_of(await answered(read_json(listed)))

    async def create_revision(self, experiment: Body, *, number: int, spec_digest: str, data: Mapping[str, Any]) -> None:
        """Create a ControllerRevision that the Experiment owns, so that it is deleted with it.

        It is never patched: the API server compares `data` as bytes, and a patch writes them anew.
        """
        self._check_leadership()
        metadata = experiment["metadata"]
        owner = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": metadata["name"], "uid": metadata["uid"], "controller": True}
        labels = {EXPERIMENT_LABEL: metadata["name"], SPEC_LABEL: spec_digest}
        body = client.V1ControllerRevision.model_validate(
            {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {"name": f"{metadata['name']}-{number}", "labels": labels, "ownerReferences": [owner]},
                "revision": number,
                "data": data,
            }
        )
        create = self._apps.create_namespaced_controller_revision(
            metadata["namespace"], body, field_manager=FIELD_MANAGER, _request_timeout=_TIMEOUT
        )
        await answered(create)

    async def delete_revision(self, revision: Body) -> None:
        """Delete a ControllerRevision; one that is gone is no error."""
        self._check_leadership()
        metadata = revision["metadata"]
        call = self._apps.delete_namespaced_controller_revision_without_preload_content(
            metadata["name"], metadata["namespace"], _request_timeout=_TIMEOUT
        )
        await answered(read_body(call), may_be_absent=True)

    async def create_event(self, experiment: Body, announcement: Announcement, at: datetime) -> Body:
        """Post an Event about an Experiment."""
        self._check_leadership()
        metadata, moment = experiment["metadata"], _second(at)
        regarding = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            **{field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion")},
        }
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": regarding,
            "type": "Warning" if announcement.warning else "Normal",
            "reason": announcement.reason.value,
            "message": announcement.message[:LONGEST_NEWS],
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
        event = client.CoreV1Event.model_validate(body)
        return plain(await answered(self._core.create_namespaced_event(metadata["namespace"], event, _request_timeout=_TIMEOUT)))

    async def repeat_event(self, event: Body, announcement: Announcement, at: datetime, *, count: int) -> Body | None:
        """Count an Event up by a merge patch; None when it is gone, for the API server keeps Events for an hour."""
        self._check_leadership()
        metadata = event["metadata"]
        patch = {"count": count, "message": announcement.message[:LONGEST_NEWS], "lastTimestamp": _second(at)}
        call = self._core.patch_namespaced_event(
            metadata["name"], metadata["namespace"], patch, _content_type=MERGE_PATCH, _request_timeout=_TIMEOUT
        )
        found = await answered(call, may_be_absent=True)
        return None if found is None else plain(found)

    async def list_pods(self, config_map: Key) -> list[Pod]:
        """Give the pods that mount a ConfigMap: what the API server has in memory, and of each pod its metadata alone."""
        call = self._core.list_namespaced_pod_without_preload_content(
            config_map.namespace,
            label_selector=f"{GATES_LABEL}={config_map.name}",
            field_selector=_NOT_ENDED,
            resource_version="0",
            _headers={"Accept": f"{_METADATA_ALONE}=PartialObjectMetadataList"},
            _request_timeout=_TIMEOUT,
        )
        metadata = [each["metadata"] for each in items_of(await answered(read_json(call)))]
        return [Pod(each["name"], (each.get("annotations") or {}).get(RULES_ANNOTATION, "")) for each in metadata]

    async def nudge_pod(self, pod: Key, version: str) -> bool:
        """Set one annotation by a merge patch; False when the pod is gone."""
        self._check_leadership()
        call = self._core.patch_namespaced_pod_without_preload_content(
            pod.name,
            pod.namespace,
            {"metadata": {"annotations": {RULES_ANNOTATION: version}}},
            field_manager=FIELD_MANAGER,
            _content_type=MERGE_PATCH,
            _headers={"Accept": f"{_METADATA_ALONE}=PartialObjectMetadata"},
            _request_timeout=_TIMEOUT,
        )
        return await answered(read_body(call), may_be_absent=True) is not None

    def _check_leadership(self) -> None:
        """A replica that was suspended and has lost its lease writes nothing, not even what would be right."""
        if not self._may_write():
            raise ClusterError("this replica does not lead any more")

    async def _patch_status(self, experiment: Body, patch: Any, content_type: str) -> Body:  # noqa: ANN401  # JSON
        self._check_leadership()
        call = self._custom.patch_namespaced_custom_object_status_without_preload_content(
            **_experiment(key_of(experiment)), body=patch, field_manager=FIELD_MANAGER, _content_type=content_type
        )
        try:
            return cast("Body", await object_of(read_json(call)))
        except UnprocessableError as error:
            now = await self.get_experiment(key_of(experiment))
            raise _lost_or_refused(error, lost=now is None or _place(now) != _place(experiment)) from error

    async def _patch_config_map(self, config_map: Body, patch: list[dict[str, Any]], key: str | None) -> Body:
        """Patch a ConfigMap as it was read: one of its keys, or without a `key` all of it. The patch begins with whose it must be."""
        self._check_leadership()
        name, namespace = config_map["metadata"]["name"], config_map["metadata"]["namespace"]
        call = self._core.patch_namespaced_config_map_without_preload_content(
            name, namespace, patch, field_manager=FIELD_MANAGER, _content_type=JSON_PATCH, _request_timeout=_TIMEOUT
        )
        try:
            return cast("Body", await object_of(read_json(call)))
        except UnprocessableError as error:
            now = await self.get_config_map(Key(namespace, name))
            unchanged = now is not None and _format(now) == patch[0]["value"] and _part(now, key) == _part(config_map, key)
            raise _lost_or_refused(error, lost=not unchanged) from error


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Give the merge patch that turns `old` into `new`: absent fields become null, lists are replaced (RFC 7386)."""
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for field, value in new.items():
        before = old.get(field)
        if before != value:
            patch[field] = merge_patch(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return patch


def _experiment(key: Key) -> dict[str, Any]:
    return {
        "group": GROUP, "version": VERSION, "plural": PLURAL, "namespace": key.namespace, "name": key.name, "_request_timeout": _TIMEOUT,
    }  # fmt: skip


def _second(at: datetime) -> str:
    return timestamp(at).split(".")[0] + "Z"


def _is_ours(format_: str = FORMAT) -> dict[str, str]:
    return {"op": "test", "path": f"/data/{FORMAT_KEY}", "value": format_}


def _label(config_map: Body) -> dict[str, Any]:
    labels = {**(config_map["metadata"].get("labels") or {}), RULES_LABEL: "true"}
    return {"op": "add", "path": "/metadata/labels", "value": labels}


def _is_version_of(body: Body) -> dict[str, str]:
    return {"op": "test", "path": "/metadata/resourceVersion", "value": body["metadata"]["resourceVersion"]}


def _format(config_map: Body) -> object:
    return (config_map.get("data") or {}).get(FORMAT_KEY)


def _part(config_map: Body, key: str | None) -> object:
    """Give what a patch tests: the key's value, or the version where that cannot be tested."""
    value = (config_map.get("data") or {}).get(key)
    return value if key and _ENCODED_ALIKE.fullmatch(value or "") else config_map["metadata"]["resourceVersion"]


def _place(experiment: Body) -> tuple[object, ...]:
    """Give where an attempt is, by what does not move but by a decision."""
    status = experiment.get("status") or {}
    return experiment["metadata"]["uid"], *(status.get(field) for field in _PLACE)


def _lost_or_refused(error: UnprocessableError, *, lost: bool) -> ConflictError | ClusterError:
    """422 is a `test` that failed, or a refusal for good: by a webhook, a size limit, an immutable ConfigMap."""
    return ConflictError(str(error)) if lost else ClusterError(f"the API server refuses the change: {error}")
