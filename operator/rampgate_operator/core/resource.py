"""The whole resource: what surrounds `spec` and `status`, and the rules that need both.

Knows the names on the wire (group, version, kind). Knows nothing of how the resource travels; `tools/crds.py` makes the CRD from here.
"""

import json
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, WithJsonSchema

from rampgate_operator.core.schema import Model, Rule
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Phase, Status

GROUP = "rampgate.dev"
VERSION = "v1alpha1"
KIND = "Experiment"
PLURAL = "experiments"
API_VERSION: Literal["rampgate.dev/v1alpha1"] = "rampgate.dev/v1alpha1"
# In CEL and below: nothing runs yet that a change could disturb, or the change comes with an attempt that begins again from 0 %.
_NOT_STARTED = (
    "!has(oldSelf.status) || !has(oldSelf.status.phase)"
    " || (oldSelf.status.phase == 'Pending' && (!has(oldSelf.status.drawDigest) || oldSelf.status.drawDigest == ''))"
)
_BEGINS_AGAIN = "self.spec.attempt > oldSelf.status.attempt"


class Metadata(Model):
    """The part of ObjectMeta that Rampgate reads."""

    model_config = ConfigDict(extra="ignore")

    name: str
    """The gate's key."""
    namespace: str | None = None
    """The namespace, whose pods evaluate the gate."""


def _fixed(field: str, same: str, changed: Callable[["ExperimentResource"], object]) -> Rule:
    """A field that decides who gets what stays while an attempt is under way or over; `same` is the comparison in CEL."""
    return Rule(
        cel=f"{_NOT_STARTED} || {_BEGINS_AGAIN} || ({same})",
        holds=lambda new, old: not has_started(old) or begins_again(new, old) or changed(new) == changed(old),
        path=f".spec.{field}",
        message=f"{field} cannot change once the ramp has started; raise attempt above status.attempt to begin again from 0 % with another",
    )


class ExperimentResource(Model):
    """A feature behind a gate: who may see it, how fast that grows, and what must not get worse meanwhile."""

    api_version: Annotated[Literal["rampgate.dev/v1alpha1"], WithJsonSchema({"type": "string"})]
    """The version of this representation, `rampgate.dev/v1alpha1`."""
    kind: Annotated[Literal["Experiment"], WithJsonSchema({"type": "string"})]
    """The kind of this resource, `Experiment`."""
    # Kubernetes allows no word on metadata but the name's, and a rule's path must be a field that the schema knows.
    metadata: Annotated[Metadata, WithJsonSchema({"type": "object", "properties": {"name": {"type": "string"}}})]
    """Standard object metadata; the name is the gate's key."""
    spec: Spec
    """What a person asks for; the operator never writes it."""
    status: Status | None = None
    """What the operator remembers and reports; nobody else writes it."""

    RULES: ClassVar = (
        Rule(
            cel="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
            holds=lambda self: is_label(self.metadata.name),
            path=".metadata.name",
            message="the name is the gate's key: at most 63 characters, a-z, 0-9 and -, and no - at either end",
        ),
    )
    UPDATE_RULES: ClassVar = (
        _fixed("unit", "self.spec.unit == oldSelf.spec.unit", lambda self: self.spec.unit),
        _fixed(
            "salt",
            "has(self.spec.salt) == has(oldSelf.spec.salt) && (!has(self.spec.salt) || self.spec.salt == oldSelf.spec.salt)",
            lambda self: self.spec.salt,
        ),
        _fixed("hashInput", "self.spec.hashInput == oldSelf.spec.hashInput", lambda self: self.spec.hash_input),
        _fixed(
            "variants",
            # Lists of type map are equal in any order, but the order of variants decides who gets which: compare the names in order.
            "self.spec.variants == oldSelf.spec.variants && self.spec.variants.map(v, v.name) == oldSelf.spec.variants.map(v, v.name)",
            # As text: to Python False is 0, and 1 is 1.0.
            lambda self: [json.dumps(variant.to_wire(), sort_keys=True) for variant in self.spec.variants],
        ),
        _fixed("control", "self.spec.control == oldSelf.spec.control", lambda self: self.spec.control),
        Rule(
            cel=(
                f"!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase != 'Ramping' || {_BEGINS_AGAIN}"
                " || (has(self.spec.eligibility) == has(oldSelf.spec.eligibility)"
                " && (!has(self.spec.eligibility) || self.spec.eligibility == oldSelf.spec.eligibility))"
            ),
            holds=lambda new, old: (
                not (has_started(old) and old.status.phase is Phase.RAMPING)
                or begins_again(new, old)
                or new.spec.eligibility == old.spec.eligibility
            ),
            path=".spec.eligibility",
            message="eligibility cannot change while Ramping; raise attempt above status.attempt to begin again from 0 % with another",
        ),
    )


def is_label(name: str) -> bool:
    """Whether a name is a DNS label (RFC 1123), so that it fits a label's value and a file's name."""
    return 0 < len(name) <= 63 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and "-" not in (name[0], name[-1])


def has_started(resource: ExperimentResource) -> bool:
    """Whether the ramp has ever left Pending in its present attempt; steps that were all edited higher bring it back there."""
    status = resource.status
    return status is not None and (status.phase is not Phase.PENDING or status.draw_digest != "")


def begins_again(new: ExperimentResource, old: ExperimentResource) -> bool:
    """Whether the new spec asks for a higher attempt than the one that runs or ran last."""
    return old.status is not None and new.spec.attempt > old.status.attempt
