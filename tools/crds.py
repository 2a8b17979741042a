"""Write `crds/` from the models: `python -m tools.crds`, or `--check` to fail when the files differ.

Knows pydantic's JSON schema and what Kubernetes calls a structural schema (apiextensions.k8s.io/v1); knows no field of an Experiment.
"""

import sys
from typing import Any

import yaml

from rampgate_operator.core.resource import GROUP, KIND, PLURAL, VERSION, ExperimentResource
from tools.generated import ROOT, write_or_check

FILE = ROOT / "crds" / f"{GROUP}_{PLURAL}.yaml"
HEADER = "# Generated from operator/rampgate_operator/core by `python -m tools.crds`; edit the models.\n"
# Never `exp`: that is Argo Rollouts' Experiment.
SHORT_NAME = "rexp"
# What a structural schema may not contain, or what only Python needs.
DROPPED = ("title", "discriminator", "additionalProperties")
COLUMNS = (
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase", "description": "Where the attempt is."},
    {"name": "Percent", "type": "number", "jsonPath": ".status.percent", "description": "The share of eligible units that is enrolled."},
    {"name": "Waiting", "type": "string", "jsonPath": ".status.waitingFor", "description": "Why it is not advancing."},
    # A column of type date prints an age, and <invalid> for a time to come.
    {"name": "Next", "type": "string", "jsonPath": ".status.nextStepAt", "description": "When the hold is over."},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "Since when it exists."},
)
Schema = dict[str, Any]


def structural(schema: Schema, definitions: Schema) -> Schema:
    """Turn one of pydantic's schemas into a structural one: references inlined, optional fields without null, known keywords only.

    Source: Kubernetes, "Extend the API with CustomResourceDefinitions", specifying a structural schema.
    """
    merged = _resolved(schema, definitions)
    result = {key: value for key, value in merged.items() if key not in DROPPED and not (key == "default" and value is None)}
    if "const" in result:
        result["enum"] = [result.pop("const")]
    for side in ("Minimum", "Maximum"):
        if f"exclusive{side}" in result:  # a number in JSON Schema 2020-12, a flag beside the bound in OpenAPI 3.0
            result[side.lower()] = max(result.get(side.lower(), 0), result.pop(f"exclusive{side}"))
            result[f"exclusive{side}"] = True
    if "properties" in result:
        result["properties"] = {name: structural(value, definitions) for name, value in result["properties"].items()}
    if "items" in result:
        result["items"] = structural(result["items"], definitions)
        if "x-kubernetes-list-type" not in result:
            _drop_defaults(result["items"])
    return result


def _drop_defaults(item: Schema) -> None:
    """Leave defaults in the items of an atomic list to the models.

    Server-side apply compares such a list as a whole, as it was applied, with what is stored: one default in it, and a second person
    who applies the very same list gets a conflict.
    """
    for field in item.get("properties", {}).values():
        field.pop("default", None)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """Inline a reference and collapse `X or null`; what stands beside them wins, as the nearer word."""
    beside = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
    if "$ref" in schema:
        return _resolved(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions) | beside
    if "anyOf" in schema:
        (only,) = (branch for branch in schema["anyOf"] if branch.get("type") != "null")
        return _resolved(only, definitions) | beside
    return schema


def openapi() -> Schema:
    """Give the structural schema of an Experiment."""
    schema = ExperimentResource.model_json_schema(by_alias=True, mode="validation")
    result = structural({key: value for key, value in schema.items() if key != "$defs"}, schema["$defs"])
    del result["properties"]["metadata"]["description"]  # refused by the API server, which describes it itself
    return result


def definition() -> Schema:
    """Give the CustomResourceDefinition."""
    singular = KIND.lower()
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": openapi()},
        "subresources": {"status": {}},
        "additionalPrinterColumns": list(COLUMNS),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": singular,
                "shortNames": [SHORT_NAME],
                "categories": ["rampgate"],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes every list and map out: an anchor would be legal YAML that people cannot read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # PyYAML's signature
        """Never abbreviate."""
        return True


def text() -> str:
    """Give the file's content."""
    return HEADER + yaml.dump(definition(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` say whether it is up to date: exit status 1 when it is not."""
    return write_or_check(FILE, text, module="tools.crds", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
