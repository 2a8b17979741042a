"""Accepted specs as ControllerRevisions: written when one comes into force, read when a restart finds a newer one that cannot be run.

`kubectl get controllerrevisions` tells a person what ran when. What a revision holds is core/revision.py's.
"""

from rampgate_operator.core.revision import plan_revisions, read_revisions, read_spec, revision_data, spec_digest
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Status
from rampgate_operator.ports import Body, Cluster, ClusterError, ConflictError

MOST_TAKEN = 20
"""Names that are tried."""


class Revisions:
    """The ControllerRevisions of Experiments. Nothing of them is kept in memory."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def keep(self, experiment: Body, spec: Spec) -> None:
        """Make an accepted spec the newest revision, and delete the oldest ones; run again it changes nothing.

        Raises ConflictError when another process does the same.
        """
        wanted = spec_digest(spec)
        if experiment["metadata"]["generation"] == 1 and await self._is_first(experiment, spec, wanted):
            return
        known = read_revisions(await self._cluster.list_revisions(experiment), experiment["metadata"]["uid"])
        plan = plan_revisions(known, wanted)
        if plan.number is not None:
            await self._create(experiment, spec, wanted, first=plan.number)
        for revision in plan.outdated:
            await self._cluster.delete_revision(revision.body)

    async def _create(self, experiment: Body, spec: Spec, wanted: str, *, first: int) -> None:
        """Create it under the first number whose name is free: somebody else's ControllerRevision may have it."""
        for number in range(first, first + MOST_TAKEN):
            try:
                await self._cluster.create_revision(experiment, number=number, spec_digest=wanted, data=revision_data(spec))
            except ConflictError:
                known = read_revisions(await self._cluster.list_revisions(experiment), experiment["metadata"]["uid"])
                if any(revision.number >= first for revision in known):  # it is one of ours: another process was faster
                    raise
            else:
                return
        raise ClusterError(f"the names {experiment['metadata']['name']}-{first} to -{number} are taken by others' ControllerRevisions")

    async def _is_first(self, experiment: Body, spec: Spec, wanted: str) -> bool:
        """Create the first revision of a new Experiment without looking for others; there may be an earlier object's."""
        try:
            await self._cluster.create_revision(experiment, number=1, spec_digest=wanted, data=revision_data(spec))
        except ConflictError:
            return False
        return True

    async def last_accepted(self, experiment: Body, status: Status | None) -> Spec | None:
        """Give the spec that was accepted last; None when none was kept."""
        known = read_revisions(await self._cluster.list_revisions(experiment), experiment["metadata"]["uid"])
        return read_spec(known, status.spec_digest if status else "")
