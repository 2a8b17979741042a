"""Accepted specs, each kept as an owned ControllerRevision (design §4): what one holds, and which of them are kept.

A Deployment keeps its templates likewise. Knows their content and order; writing them is revisions.py's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rampgate_operator.core.observation import digest
from rampgate_operator.core.spec import Spec

EXPERIMENT_LABEL, SPEC_LABEL = "rampgate.dev/experiment", "rampgate.dev/spec"
KEPT = 10
"""Accepted specs that are kept, the newest included."""
_OBEYED_AT_ONCE = frozenset({"killed", "paused"})
"""Fields that are no part of a version: those of the newest spec are obeyed, whether it can be run or not."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A ControllerRevision as it was found; `number` rises with every spec that comes into force."""

    number: int
    spec_digest: str
    is_owned: bool
    """Whether it is of this Experiment, and not of an earlier object of that name."""
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What makes an accepted spec the newest revision: `number` is that of the one to create, None when there is nothing to do."""

    number: int | None
    outdated: tuple[Revision, ...] = ()


def revision_data(spec: Spec) -> dict[str, Any]:
    """Give what is kept of a spec."""
    return {field: value for field, value in spec.to_wire().items() if field not in _OBEYED_AT_ONCE}


def spec_digest(spec: Spec) -> str:
    """Identify a version of a spec."""
    return digest(revision_data(spec))


def read_revisions(bodies: Sequence[Mapping[str, Any]], uid: str) -> tuple[Revision, ...]:
    """Take in the revisions that carry an Experiment's name, oldest first."""
    found = (
        Revision(
            number=body["revision"],
            spec_digest=body["metadata"].get("labels", {}).get(SPEC_LABEL, ""),
            is_owned=any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or ()),
            body=body,
        )
        for body in bodies
    )
    return tuple(sorted(found, key=lambda revision: revision.number))


def plan_revisions(known: Sequence[Revision], wanted: str) -> Plan:
    """Say what makes the spec of this digest the newest revision; one that comes back gets a new number, for it came into force again."""
    owned = [revision for revision in known if revision.is_owned]
    if owned and owned[-1].spec_digest == wanted:
        return Plan(number=None)
    number = known[-1].number + 1 if known else 1
    return Plan(number=number, outdated=tuple(owned[: max(0, len(owned) - (KEPT - 1))]))


def read_spec(known: Sequence[Revision], wanted: str) -> Spec | None:
    """Give the spec of this digest, else the newest; None when there is none, or none that this version can read."""
    owned = [revision for revision in known if revision.is_owned]
    chosen = next((revision for revision in owned if revision.spec_digest == wanted), owned[-1] if owned else None)
    try:
        return None if chosen is None else Spec.from_wire(chosen.body.get("data"))
    except ValidationError:
        return None
