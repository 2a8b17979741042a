"""What the operator needs of the outside: protocols, and the two errors it acts on. Adapters implement them; the core knows none."""

from collections.abc import Collection, Hashable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from rampgate_operator.core.conditions import Announcement
from rampgate_operator.core.looks import Answer, LookRequest
from rampgate_operator.core.status import Status

Body = Mapping[str, Any]
"""An object as the API server gives it."""


class Key(NamedTuple):
    """A namespaced name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Write it as kubectl does."""
        return f"{self.namespace}/{self.name}"


class ConflictError(Exception):
    """Somebody else was faster: what was gathered is old. Gather again."""


LONGEST_OBEYED = 60.0
"""Seconds that a Retry-After is obeyed at most: a kill must not wait for an hour because something in between says so."""


class ClusterError(Exception):
    """The API server could not do it now. Try again later: after `retry_after` seconds, if it said so (RFC 9110 §10.2.3); bounded."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = min(retry_after, LONGEST_OBEYED)


class ForbiddenError(ClusterError):
    """The operator may not do it: a right is missing."""


class DeniedError(ForbiddenError):
    """Admission refuses this one change, by a webhook or a policy; of another object it may allow the same."""


class Outcome(StrEnum):
    """How a reconcile ended: well, with a lost race, with an API server that could not, or with an exception that nobody expects."""

    OK = "ok"
    CONFLICT = "conflict"
    ERROR = "error"
    BUG = "bug"


class Pod(NamedTuple):
    """A pod that mounts a ConfigMap with rules."""

    name: str
    told: str
    """The ConfigMap's resourceVersion that it was told of last; empty when it was told of none."""


class Nudged(StrEnum):
    """How it ended to tell the pods of a ConfigMap: all were told, a right is missing, or some could not be told."""

    OK = "ok"
    FORBIDDEN = "forbidden"
    ERROR = "error"


class Patched(StrEnum):
    """How it ended to tell one pod."""

    OK = "ok"
    GONE = "gone"
    ERROR = "error"


class Cluster(Protocol):
    """The API server. Writes raise ConflictError when what they are based on is old, ClusterError when they could not be done."""

    async def list_experiments(self) -> list[Body]:
        """Give every Experiment that is watched."""

    async def list_config_maps(self) -> list[Body]:
        """Give every ConfigMap with rules that is watched."""

    async def get_experiment(self, key: Key) -> Body | None:
        """Give one Experiment as it is now; None when it is gone."""

    async def get_config_map(self, key: Key) -> Body | None:
        """Give one ConfigMap as it is now; None when it does not exist."""

    async def write_status(self, experiment: Body, status: Status) -> Body:
        """Replace the status, if the Experiment is still at the resourceVersion it was read at."""

    async def latch(self, experiment: Body, status: Status) -> Body:
        """Replace the status, if the Experiment is still the same one, where its attempt was, however much its spec was edited."""

    async def create_config_map(self, key: Key, data: Mapping[str, str]) -> Body:
        """Create a ConfigMap for rules, unless `data` has another `format`; ConflictError when there is one by now."""

    async def swap(self, config_map: Body, *, key: str, new: str | None) -> Body:
        """Replace the value of one key, if the ConfigMap is ours and the key still is what was read; None means absent."""

    async def replace_document(self, config_map: Body, text: str) -> Body:
        """Replace a flagd document, and put back the label, if nothing of its ConfigMap has changed."""

    async def restore_label(self, config_map: Body) -> Body:
        """Put back the label by which a ConfigMap with rules is watched, if nothing else of it has changed."""

    async def list_revisions(self, experiment: Body) -> list[Body]:
        """Give the ControllerRevisions that carry the Experiment's name."""

    async def create_revision(self, experiment: Body, *, number: int, spec_digest: str, data: Mapping[str, Any]) -> None:
        """Create a ControllerRevision that is deleted with the Experiment; ConflictError when there is one of that number."""

    async def delete_revision(self, revision: Body) -> None:
        """Delete a ControllerRevision; one that is gone is no error."""

    async def create_event(self, experiment: Body, announcement: Announcement, at: datetime) -> Body:
        """Post an Event."""

    async def repeat_event(self, event: Body, announcement: Announcement, at: datetime, *, count: int) -> Body | None:
        """Say on an Event that it has happened again, with its newest words; None when the Event is gone."""

    async def list_pods(self, config_map: Key) -> list[Pod]:
        """Give the pods that say, by their label, that they mount a ConfigMap; those that have ended are left out."""

    async def nudge_pod(self, pod: Key, version: str) -> bool:
        """Tell a pod of a ConfigMap's version, by an annotation; False when the pod is gone."""


class Metrics(Protocol):
    """The metrics sources."""

    def lookbacks(self) -> Mapping[str, timedelta]:
        """Say, by source, how old a sample an instant selector may return."""

    async def answer(self, requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        """Answer a set of questions together; every failure is an answer too."""

    def answered(self) -> Mapping[tuple[str, str], int]:
        """Say how many questions were answered, by source and by what came of them: `Ok`, or why there was no usable answer."""


class Meter(Protocol):
    """Who counts what the operator does."""

    def decided(self, before: Status | None, after: Status, now: datetime, *, due: datetime | None) -> None:
        """Count what is new in a status that was carried out; `due` is when time alone could have changed the decision before."""

    def reconciled(self, seconds: float, outcome: Outcome) -> None:
        """Count one reconcile: `ok`, `conflict`, `error` or `bug`."""

    def nudged(self, outcome: Nudged, patches: Mapping[Patched, int], *, seconds: float) -> None:
        """Count one round of telling pods; `seconds` lie between the change and the end of the round."""


class Clock(Protocol):
    """The one clock."""

    def now(self) -> datetime:
        """Give the time, aware."""
