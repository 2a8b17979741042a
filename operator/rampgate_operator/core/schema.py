"""What the models of the resource are made of: bounded types, and rules said once for CEL and for Python.

Knows pydantic and the OpenAPI extensions of Kubernetes (`x-kubernetes-*`); knows nothing of experiments.
A rule carries its CEL text, its sentence and the same predicate in Python, so that the API server and `rampgate lint` cannot disagree
unnoticed: one table of manifests runs through both (tests/apiserver/test_manifests.py).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True)
class Rule:
    """A cross-field rule: `cel` for the API server, `holds` for Python, `message` for the person.

    Among `RULES`, `holds` takes the object; among `UPDATE_RULES` (transition rules, `oldSelf` in CEL) it takes the new and the old one.

    `path` is the field that is at fault, relative to the object the rule stands on, as CEL's `fieldPath` wants it (`.control`).
    Source: KEP-2876, CRD validation expression language.
    """

    cel: str
    message: str
    holds: Callable[..., bool]
    path: str = ""

    def as_validation(self) -> dict[str, str]:
        """Give the entry of `x-kubernetes-validations`."""
        return {"rule": self.cel, "message": self.message} | ({"fieldPath": self.path} if self.path else {})


@dataclass(frozen=True)
class Obeys:
    """A rule on a single value: `Annotated[float, Obeys(Rule(…))]`."""

    rule: Rule

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the rule after the type and its bounds."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rule to the value's schema."""
        return handler(schema) | {"x-kubernetes-validations": [self.rule.as_validation()]}

    def _checked(self, value: Any) -> Any:  # noqa: ANN401  # whatever type it annotates
        if not self.rule.holds(value):
            raise broken([(self.rule.path, self.rule.message)])
        return value


@dataclass(frozen=True)
class KeyedBy:
    """A list in which each value of these fields occurs once, so that server-side apply merges by it (`x-kubernetes-list-type: map`)."""

    fields: tuple[str, ...]

    def __init__(self, *fields: str) -> None:
        object.__setattr__(self, "fields", fields)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse duplicates after the items were read."""
        return core_schema.no_info_after_validator_function(self._unique, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the list's type to its schema."""
        return handler(schema) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(self.fields)}

    def _unique(self, items: Sequence[Any]) -> Sequence[Any]:
        keys = [{field: getattr(item, field) for field in self.fields} for item in items]
        duplicates = [
            (f"[{index}]", f"Duplicate value: {json.dumps(key, separators=(',', ':'))}")
            for index, key in enumerate(keys)
            if key in keys[:index]
        ]
        if duplicates:
            raise broken(duplicates)
        return items


def broken(rules: Iterable[tuple[str, str]]) -> PydanticCustomError:
    """Make the error for broken rules, each a path relative to the value that is checked and a sentence."""
    found = tuple(rules)
    return PydanticCustomError("rules", "{sentences}", {"sentences": "; ".join(sentence for _, sentence in found), "broken": found})


class Model(BaseModel):
    """A frozen object of the resource: camelCase on the wire, unknown fields refused, its `RULES` checked.

    Raises `pydantic.ValidationError`; broken rules are an error of type `rules` whose context lists them (`problems.py` reads it).
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,  # as the API server: "1" is no integer, 1 no boolean
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )
    RULES: ClassVar[tuple[Rule, ...]] = ()
    UPDATE_RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        found = [(rule.path, rule.message) for rule in self.RULES if not rule.holds(self)]
        if found:
            raise broken(found)
        return self

    @classmethod
    def from_wire(cls, value: object) -> Self:
        """Read a JSON value as the API server does; raises `pydantic.ValidationError`."""
        return cls.model_validate_json(json.dumps(as_stored(value)))

    def to_wire(self) -> dict[str, Any]:
        """Give the JSON value for the API server; absent fields are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rules to the object's schema."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        rules = [rule.as_validation() for rule in (*cls.RULES, *cls.UPDATE_RULES)]
        if rules:
            schema["x-kubernetes-validations"] = rules
        return schema


def as_stored(value: Any) -> Any:  # noqa: ANN401  # JSON
    """Give a JSON value as the API server keeps it: a field that is null is absent, and 1.0 is a whole number.

    What stands under the key `value` is the user's own JSON and stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: item if key == "value" else as_stored(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return int(value) if whole else value


_EXACT = 2.0**53  # beyond it a float is no particular whole number


def must_be(wanted: str, value: object) -> str:
    """Say that a value has the wrong type, in the API server's words."""
    return f'must be of type {wanted}: "{_JSON_TYPES.get(type(value), "object")}"'


_JSON_TYPES = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
