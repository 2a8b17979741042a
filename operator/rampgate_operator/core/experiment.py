"""One Experiment as the operator takes it in: what it may act on, and what is wrong with the rest.

The last accepted spec stays in force while a newer one is invalid; `killed` and `paused` of the newer one are obeyed all the same
(design §4, "An invalid spec"). Knows the shape of a Kubernetes object; knows nothing of status.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rampgate_operator.core.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a person wants, as far as it can be understood."""

    namespace: str
    name: str
    uid: str
    generation: int
    """metadata.generation of the newest spec."""
    spec: Spec | None
    """The last accepted spec; None when none was ever accepted by this process."""
    problem: str | None
    """Why the newest spec is not accepted; None when it is."""
    attempt: int
    """The attempt that the newest spec asks for."""
    killed: bool
    paused: bool
    config_map_name: str
    managers: Mapping[str, str]
    """The field manager that last set each field of the spec."""

    @property
    def salt(self) -> str:
        """What makes this experiment's draw independent of others."""
        return salt_of(self.spec, self.namespace, self.name)


def salt_of(spec: Spec | None, namespace: str, name: str) -> str:
    """Give the salt of a spec; by default it is the experiment's own name."""
    return (spec and spec.salt) or f"{namespace}/{name}"


def read_experiment(body: Mapping[str, Any], *, accepted: Spec | None, examined: Spec | str) -> Experiment:
    """Take in an object of the API server.

    `examined` is what core/examine.py makes of its spec, a Spec or why there is none; `accepted` is the spec accepted before.
    """
    metadata, spec = body["metadata"], body.get("spec") or {}
    attempt = spec.get("attempt", 1)
    return Experiment(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=accepted if isinstance(examined, str) else examined,
        problem=examined if isinstance(examined, str) else None,
        attempt=attempt if isinstance(attempt, int) else 1,
        killed=spec.get("killed") is True,
        paused=spec.get("paused") is True,
        config_map_name=config_map_name_of(body),
        managers=read_managers(metadata.get("managedFields") or ()),
    )


def config_map_name_of(body: Mapping[str, Any]) -> str:
    """Give the name of the ConfigMap that has the experiment's rules: it cannot change, so a spec that cannot be run tells it too."""
    return str((body.get("spec") or {}).get("configMapName", "feature-gates"))


def read_managers(managed_fields: Any) -> Mapping[str, str]:  # noqa: ANN401  # JSON from the API server
    """Give the field manager that last set each field directly under spec (KEP-555, managedFields)."""
    managers: dict[str, str] = {}
    for entry in sorted(managed_fields, key=lambda entry: entry.get("time") or ""):
        for field in (entry.get("fieldsV1") or {}).get("f:spec") or {}:
            managers[field.removeprefix("f:")] = entry.get("manager", "")
    return managers
