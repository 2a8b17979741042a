"""From an Experiment and its persisted status to the gate's entry: one line of canonical JSON (design §6, docs/rules-format.md).

A pure function of (last accepted spec, status): no other gate's fate touches it, and the same input gives the same bytes.
"""

from collections.abc import Mapping
from typing import Any

from rampgate.rules import render_entry
from rampgate_operator.core.eligibility import AnyItem, group_of
from rampgate_operator.core.experiment import Experiment
from rampgate_operator.core.observation import Entry, RulesSeen, digest
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import LatchCause, Phase, Status
from rampgate_operator.core.versions import compile_semver

FORMAT_NUMBER = 1
ASSIGNMENT_FIELDS = ("control", "hashInput", "salt", "unit", "variants")


def compile_draw(spec: Spec, salt: str) -> dict[str, Any]:
    """Give the part of an entry that draws the units into arms."""
    return {
        "control": {"name": spec.control, "value": spec.control_value},
        "unit": spec.unit,
        "salt": salt,
        "hashInput": spec.hash_input.value,
        "variants": [{"name": v.name, "value": v.value, "weight": v.weight} for v in spec.variants],
    }


def draw_digest(content: Mapping[str, Any]) -> str:
    """Identify what draws the units of an entry, or of its drawing part: another one moves them."""
    return digest({field: content.get(field) for field in ASSIGNMENT_FIELDS})


def number(percent: float) -> float:
    """Write a whole percentage as an integer, since canonical JSON must not depend on how it was spelled."""
    return int(percent) if percent == int(percent) else percent


def compile_content(experiment: Experiment, status: Status, seen: Entry | None) -> dict[str, Any] | None:
    """Give the entry without its generation; None when nothing can be said yet.

    An ended attempt needs the frozen fields alone, so a kill always fits, and needs no accepted spec: what control is stands in the
    entry that is there (`seen`). Anything else needs the spec.
    """
    spec = experiment.spec
    control = {"name": spec.control, "value": spec.control_value} if spec else seen.content["control"] if seen else None
    if control is None:
        return None
    frozen: dict[str, Any] = {
        "format": FORMAT_NUMBER,
        "gate": experiment.name,
        "attempt": status.attempt,
        "percent": number(status.percent),
        "control": control,
    }
    if status.latch is not None:
        serve = "KILLED" if status.latch.cause is LatchCause.KILL else "ROLLED_BACK"
        return frozen | {"latch": status.latch.cause.value, "serve": serve}
    return frozen | _targeting(experiment, spec) | _shipped(status) if spec else None


def compile_line(content: Mapping[str, Any], *, generation: int) -> str:
    """Give the value of the gate's key."""
    return render_entry({**content, "generation": generation})


def compile_entry(experiment: Experiment, status: Status, seen: Entry | None) -> str | None:
    """Give the value that the gate's key must have by its persisted status; None when nothing must be written."""
    content = compile_content(experiment, status, seen)
    if content is None or status.rules is None or digest(content) != status.rules.digest:
        return None
    return compile_line(content, generation=status.rules.generation)


def fits(line: str, seen: RulesSeen) -> bool:
    """Tell whether the entry may be written: it fits beside its neighbours, or is no larger than what is there."""
    size = len(line.encode())
    return size <= seen.room or size <= len((seen.line or "").encode())


def _targeting(experiment: Experiment, spec: Spec) -> dict[str, Any]:
    fields = compile_draw(spec, experiment.salt)
    if spec.eligibility:
        fields["eligibility"] = [compile_item(item) for item in spec.eligibility]
    if spec.overrides:
        fields["overrides"] = [{"variant": o.variant, "units": list(o.units)} for o in spec.overrides]
    return fields


def _shipped(status: Status) -> dict[str, Any]:
    return {"ship": status.shipped} if status.phase is Phase.SHIPPED else {}


def compile_item(item: AnyItem) -> dict[str, Any]:
    """Say an item as the entry does, whose groups have no end: `{"any": [TEST, …]}`, `{"not": TEST}`."""
    group = group_of(item)
    if group is None:
        return _condition(item)
    join, inner = group
    tests = [compile_item(each) for each in inner]
    return {join: tests[0] if join == "not" else tests}


def _condition(condition: AnyItem) -> dict[str, Any]:
    """Say a test as the entry does: versions expanded, numbers and instants written in one way however they were spelled."""
    ((name, operand),) = condition.tests.items()
    if condition.semver is not None:
        alternatives = compile_semver(condition.semver)
        name, operand = ("semver", alternatives[0]) if len(alternatives) == 1 else ("semverAny", alternatives)
    elif isinstance(operand, float):
        operand = number(operand)
    return {"attribute": condition.attribute, name: operand}
