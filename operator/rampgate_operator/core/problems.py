"""Say what is wrong with a manifest as the API server says it: the field's path and the same sentence.

Knows pydantic's errors and the sentences of kube-apiserver 1.36; knows no field of an Experiment.
The operator's condition Valid and `rampgate lint` speak through it; one table of manifests runs here and on a real API server.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rampgate_operator.core.resource import ExperimentResource
from rampgate_operator.core.schema import Model, must_be
from rampgate_operator.core.status import read_status


@dataclass(frozen=True)
class Problem:
    """A field, such as `spec.ramp.steps[1].percent`, and what is wrong with it in a sentence."""

    path: str
    message: str

    def __str__(self) -> str:
        """As kubectl prints it."""
        return f"{self.path}: {self.message}"


def problems(manifest: Mapping[str, Any]) -> list[Problem]:
    """Give what the API server would say to creating this Experiment; an empty list means that it would accept it.

    A given status is ignored, as the API server does. What no schema can say is `checks.find_problems`.
    """
    try:
        _read(manifest)
    except ValidationError as error:
        return list(_from_errors(error))
    return []


def update_problems(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Problem]:
    """Give what the API server would say to replacing `old`, which has a status, by `new`.

    An old one that cannot be read (written under an older schema) is compared with nothing.
    """
    found = problems(new)
    if found or problems(old):
        return found
    after = _read(new)
    before = _read(old).model_copy(update={"status": read_status(old.get("status"))})
    return [*_broken_updates(after, before, ""), *_broken_updates(after.spec, before.spec, "spec")]


def _read(manifest: Mapping[str, Any]) -> ExperimentResource:
    return ExperimentResource.from_wire({key: value for key, value in manifest.items() if key != "status"})


def _broken_updates(new: Model, old: Model, path: str) -> Iterator[Problem]:
    for rule in new.UPDATE_RULES:
        if not rule.holds(new, old):
            yield Problem(f"{path}{rule.path}".lstrip("."), rule.message)


def from_validation_error(error: ValidationError, *, under: str = "") -> list[Problem]:
    """Translate pydantic's errors about a part of the resource that stands at the path `under`, such as `spec`."""
    return list(_from_errors(error, under))


def _from_errors(error: ValidationError, under: str = "") -> Iterator[Problem]:
    for details in error.errors(include_url=False):
        path = field_path(details["loc"], under)
        if details["type"] == "rules":
            for relative, sentence in details["ctx"]["broken"]:
                yield Problem(f"{path}{relative}".lstrip("."), sentence)
        else:
            for sentence in _sentences(details, path):
                yield Problem(path, sentence)


def field_path(location: Iterable[str | int], under: str = "") -> str:
    """Write a location as Kubernetes does: `spec.ramp.steps[1].percent`."""
    path = under
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")


def _sentences(details: ErrorDetails, path: str) -> list[str]:
    kind, value, facts = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return [f'unknown field "{path}"']
    if kind in ("enum", "literal_error"):
        return _not_supported(value, re.findall(r"'([^']*)'", facts["expected"]))
    if kind in _TYPES:
        return [must_be(_TYPES[kind], value)]
    bound = _BOUNDS.get(kind)
    return [bound(facts) if bound else details["msg"]]


def _not_supported(value: object, words: Iterable[str]) -> list[str]:
    supported = ", ".join(f'"{word}"' for word in words)
    refused = f"Unsupported value: {json.dumps(value, ensure_ascii=False)}: supported values: {supported}"
    return [refused] if isinstance(value, str) else [must_be("string", value), refused]


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_TYPES = {
    "string_type": "string",
    "string_sub_type": "string",
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "bool_type": "boolean",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}
_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "Required value",
    "string_too_long": lambda facts: f"Too long: may not be more than {facts['max_length']} bytes",  # it counts characters, and says bytes
    "string_too_short": lambda facts: f"should be at least {facts['min_length']} chars long",
    "string_pattern_mismatch": lambda facts: f"should match '{facts['pattern']}'",
    "too_long": lambda facts: f"Too many: {facts['actual_length']}: must have at most {facts['max_length']} items",
    "too_short": lambda facts: f"should have at least {facts['min_length']} items",
    "greater_than": lambda facts: f"should be greater than {_number(facts['gt'])}",
    "greater_than_equal": lambda facts: f"should be greater than or equal to {_number(facts['ge'])}",
    "less_than_equal": lambda facts: f"should be less than or equal to {_number(facts['le'])}",
}
