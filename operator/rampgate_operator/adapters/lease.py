"""One leader among the replicas, by a Lease (coordination.k8s.io/v1; the protocol is client-go's leaderelection).

Knows the Lease and how long it counts. Must not know what a leader does.

Time is the event loop's, which no clock change moves: another replica takes over when it has seen the Lease unchanged for its whole
duration, and a leader stops writing `RENEW_SHARE` of that time after its last renewal, also when its process was suspended meanwhile.
Not by kubernetes.aio's own election: it goes by the wall clock, ends at a connection error, has no timeouts, and cannot create a Lease.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from kubernetes.aio import client

from rampgate_operator.adapters.answers import answered, plain
from rampgate_operator.adapters.cluster import FIELD_MANAGER
from rampgate_operator.ports import Clock, ClusterError, ConflictError
from rampgate_operator.settings import LeaseSettings

logger = logging.getLogger(__name__)
RENEW_SHARE, RETRY_SHARE = 0.7, 0.1
"""Of the Lease's duration: until when it must be renewed, and how often that is tried."""

Body = Mapping[str, Any]


class LostLeaseError(Exception):
    """Another replica leads, or the Lease could not be renewed in time: this process must end."""


class Lease:
    """A Lease that this process wants, holds or has lost."""

    def __init__(
        self,
        api: client.ApiClient,
        settings: LeaseSettings,
        *,
        identity: str,
        namespace: str,
        clock: Clock,
        log_in_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._log_in_again = log_in_again
        self._leases = client.CoordinationV1Api(api)
        self._name, self._namespace, self._identity, self._clock = settings.name, namespace, identity, clock
        self._duration = settings.duration.total_seconds()
        self._whole_seconds = max(1, round(self._duration))
        self._retry = self._duration * RETRY_SHARE
        self._held: Body | None = None
        self._renewed_at = 0.0
        self.stands_by = False
        """Whether another replica was found to hold it, a moment ago: then this one is ready to take over."""

    @property
    def is_held(self) -> bool:
        """Whether this process may still write."""
        return self._held is not None and self._now() - self._renewed_at < self._duration * RENEW_SHARE

    async def acquire(self) -> None:
        """Wait until this process leads; an API server that is away is waited for."""
        seen, since, told = None, self._now(), ""
        while True:
            started = self._now()
            try:
                lease = await self._read()
                if lease is None or (version := lease["metadata"]["resourceVersion"]) != seen:
                    seen, since = version if lease else None, started
                if lease is None or self._is_free(lease, unchanged_for=started - since):
                    await self._take(lease, started)
                    return
                self.stands_by = True
                news, level = f"standing by: {_spec(lease).get('holderIdentity')} holds the lease", logging.INFO
            except (ConflictError, ClusterError) as error:
                self.stands_by = False
                await self._refresh_login(error)
                remedy = "; the rights are in manifests/rbac/operator.yaml" if "403" in str(error) else ""
                news, level = f"cannot take the lease: {error}{remedy}", logging.WARNING
            if news != told:
                told = news
                logger.log(level, "%s/%s: %s", self._namespace, self._name, news)
            await asyncio.sleep(self._retry)

    async def hold(self) -> None:
        """Renew it again and again; raises LostLeaseError."""
        while True:
            await asyncio.sleep(self._retry)
            started = self._now()
            try:
                await self._renew(started)
            except (ConflictError, ClusterError, TimeoutError) as error:
                logger.warning("the lease %s/%s could not be renewed: %s", self._namespace, self._name, error)
                await self._refresh_login(error)
                if not self.is_held:
                    raise LostLeaseError(f"the lease {self._namespace}/{self._name} was not renewed in time") from error

    async def release(self) -> None:
        """Give it up, so that another replica need not wait for its end; what fails is left to time."""
        held, self._held = self._held, None
        if held is not None:
            try:
                try:
                    await self._give_up(held)
                except ConflictError:  # a renewal that was cut short may have been written all the same
                    lease = await self._read()
                    if lease is not None and _spec(lease).get("holderIdentity") == self._identity:
                        await self._give_up(lease)
            except (ConflictError, ClusterError, TimeoutError) as error:
                logger.warning("the lease %s/%s was not given up: %s", self._namespace, self._name, error)

    async def _give_up(self, lease: Body) -> None:
        await self._write(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})

    async def _refresh_login(self, error: Exception) -> None:
        """A token that was rotated is read again; a pod's is by itself, a kubeconfig's is not."""
        if "401" in str(error):
            await self._log_in_again()

    async def _renew(self, started: float) -> None:
        held = self._held or {}
        try:
            renewed = {"renewTime": self._stamp(), "leaseDurationSeconds": self._whole_seconds}
            self._held = await self._write(held, renewed)
        except ConflictError:
            lease = await self._read()
            if lease is None or _spec(lease).get("holderIdentity") != self._identity:
                self._held = None
                holder = "nobody" if lease is None else _spec(lease).get("holderIdentity")
                raise LostLeaseError(f"the lease {self._namespace}/{self._name} is held by {holder}") from None
            self._held = lease  # somebody touched it, and it is still ours
            return
        self._renewed_at = started

    def _is_free(self, lease: Body, *, unchanged_for: float) -> bool:
        spec = _spec(lease)
        holder = spec.get("holderIdentity")
        # the same identity is this pod's earlier process, which is dead
        return not holder or holder == self._identity or unchanged_for >= (spec.get("leaseDurationSeconds") or 0)

    async def _take(self, lease: Body | None, started: float) -> None:
        spec = {} if lease is None else _spec(lease)
        now = self._stamp()
        taken = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._whole_seconds,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": (spec.get("leaseTransitions") or 0) + (spec.get("holderIdentity") != self._identity),
        }
        self._held = await (self._create(taken) if lease is None else self._write(lease, taken))
        self._renewed_at = started
        self.stands_by = False

    async def _read(self) -> Body | None:
        request = self._leases.read_namespaced_lease(self._name, self._namespace, _request_timeout=self._retry * 3)
        found = await answered(request, may_be_absent=True)
        return None if found is None else plain(found)

    async def _create(self, spec: Mapping[str, Any]) -> Body:
        body = client.V1Lease.model_validate({"metadata": {"name": self._name}, "spec": spec})
        create = self._leases.create_namespaced_lease(self._namespace, body, field_manager=FIELD_MANAGER, _request_timeout=self._retry * 3)
        return plain(await answered(create))

    async def _write(self, lease: Body, spec: Mapping[str, Any]) -> Body:
        body = client.V1Lease.model_validate({"metadata": lease["metadata"], "spec": {**_spec(lease), **spec}})
        replace = self._leases.replace_namespaced_lease(
            self._name, self._namespace, body, field_manager=FIELD_MANAGER, _request_timeout=self._retry * 3
        )
        return plain(await answered(replace))

    def _stamp(self) -> datetime:
        """Give the time for people to read; never a whole second, which would lose the digits that a MicroTime must have."""
        now = self._clock.now()
        return now.replace(microsecond=now.microsecond or 1)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _spec(lease: Body) -> Mapping[str, Any]:
    """Give what a Lease says; nothing need be said for it to be one."""
    return lease.get("spec") or {}
