"""What the models of the resource are made of: bounded types, and rules said once for CEL and for Python.

Knows pydantic and the OpenAPI extensions of Kubernetes (`x-kubernetes-*`); knows nothing of experiments.
A rule carries its CEL text, its sentence and the same predicate in Python, so that the API server and `rampgate lint` cannot disagree
unnoticed: one table of manifests runs through both (tests/apiserver/test_manifests.py).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError


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


class Model(BaseModel):
    """A frozen object of the resource: camelCase on the wire, unknown fields refused, its `RULES` checked.

    Raises `pydantic.ValidationError`; a broken rule is an error of type `rule` whose context names the field relative to the object.
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
        for rule in self.RULES:
            if not rule.holds(self):
                raise PydanticCustomError("rule", "{sentence}", {"sentence": rule.message, "path": rule.path})
        return self

    @classmethod
    def from_wire(cls, value: object) -> Self:
        """Read the JSON value that the API server sent; raises `pydantic.ValidationError`."""
        return cls.model_validate_json(json.dumps(value))

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
