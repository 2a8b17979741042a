"""What no schema can say of a spec: time zones that exist, versions that parse, values of one type, units that stand once.

The API server accepts such a spec; the operator answers it with the condition Valid=False and goes on serving the last accepted one.
Knows nothing of PromQL and of the operator's sources: those are checked where they are read.
"""

from collections.abc import Iterator
from functools import cache
from zoneinfo import available_timezones

from pydantic import JsonValue

from rampgate_operator.core.counted import bounds
from rampgate_operator.core.eligibility import conditions_within
from rampgate_operator.core.problems import Problem
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.versions import compile_semver

MOST_EVIDENCE = 240
"""Each takes up to 2 KiB of the status, and etcd takes 1.5 MiB for all of the object."""


def find_problems(spec: Spec) -> tuple[Problem, ...]:
    """Give what is wrong with a spec that the schema accepts, each with its field; none means that it can be run."""
    return (
        *_mixed_values(spec),
        *_unreadable_versions(spec),
        *_disputed_units(spec),
        *_unknown_time_zones(spec),
        *_too_much_evidence(spec),
    )


def _mixed_values(spec: Spec) -> Iterator[Problem]:
    # CEL cannot read a value without a type: it is seen as a whole in comparisons of variants, and nowhere else.
    wanted = json_type(spec.variants[0].value)
    for index, variant in enumerate(spec.variants):
        found = json_type(variant.value)
        if found == "null":
            yield Problem(f"spec.variants[{index}].value", "null is no value; use false, an empty text or an empty object")
        elif found != wanted:
            yield Problem(f"spec.variants[{index}].value", f"all values must be of one type: this is {found}, the first is {wanted}")


def _unreadable_versions(spec: Spec) -> Iterator[Problem]:
    for index, item in enumerate(spec.eligibility or ()):
        for path, condition in conditions_within(item, f"spec.eligibility[{index}]"):
            if condition.semver is not None:
                try:
                    compile_semver(condition.semver)
                except ValueError as error:
                    yield Problem(f"{path}.semver", str(error))


def _disputed_units(spec: Spec) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for index, override in enumerate(spec.overrides or ()):
        for place, unit in enumerate(override.units):
            owner = owners.setdefault(unit, override.variant)
            if owner != override.variant:
                yield Problem(f"spec.overrides[{index}].units[{place}]", f"{unit!r} is already given {owner}; a unit can have one variant")


def _unknown_time_zones(spec: Spec) -> Iterator[Problem]:
    for index, window in enumerate((spec.schedule and spec.schedule.windows) or ()):
        if not is_time_zone(window.time_zone):
            yield Problem(
                f"spec.schedule.windows[{index}].timeZone",
                f"{window.time_zone!r} is no time zone of the IANA database; use a name such as Europe/Berlin or UTC",
            )


def _too_much_evidence(spec: Spec) -> Iterator[Problem]:
    treatments, guardrails = len(spec.drawn_treatments), [each for each in spec.guardrails or () if each.is_counted]
    kept = treatments * sum(len(bounds(guardrail)) for guardrail in guardrails)
    if kept > MOST_EVIDENCE:
        text = f"what is counted for {len(guardrails)} guardrails, each bound of a latency by itself, and {treatments} treatments"
        yield Problem("spec.guardrails", f"{text} are {kept} comparisons, and a status has room for {MOST_EVIDENCE}: have fewer of them")


def is_time_zone(name: str) -> bool:
    """Whether it is a place's time zone, or UTC: neither the machine's own nor a placeholder."""
    return name in _time_zones()


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"Factory", "localtime"})


def json_type(value: JsonValue) -> str:
    """Name a value's type as JSON Schema does, with one type for all numbers."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
