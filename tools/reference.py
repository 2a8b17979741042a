"""Write `docs/reference.md`, the resource field by field, from the models: `python -m tools.reference`, or `--check`.

Knows structural schemas and Markdown; knows no field of an Experiment.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from rampgate_operator.core.resource import API_VERSION, GROUP, KIND, PLURAL
from tools.crds import SHORT_NAME, Schema, openapi
from tools.generated import ROOT, write_or_check

FILE = ROOT / "docs" / "reference.md"
HEADER = f"""<!-- Generated from operator/rampgate_operator/core by `python -m tools.reference`; edit the models. -->
# {KIND}: field by field

`{API_VERSION}`, kind `{KIND}`, namespaced; in full `{PLURAL}.{GROUP}`, for short `{SHORT_NAME}`.
The same text is in the cluster: `kubectl explain {SHORT_NAME}.spec.ramp.steps`.
A field that is null is absent. Sentences under a table are rules: the API server refuses what breaks one, in these words.
"""
SKIPPED = ("apiVersion", "kind", "metadata")


def text() -> str:
    """Give the file's content."""
    root = openapi()
    sections = [HEADER]
    sections.extend(f"* {_rule(rule)}" for rule in root["x-kubernetes-validations"])
    written: dict[str, str] = {}
    for name, schema in root["properties"].items():
        if name not in SKIPPED:
            sections.extend(_object(name, schema, written))
    return "\n".join(sections) + "\n"


def _object(path: str, schema: Schema, written: dict[str, str]) -> Iterator[str]:
    """Write an object's section, then those of the objects in it; `written` knows which fields were described already, and where."""
    yield f"\n## {path}\n\n{schema['description']}\n"
    same = written.setdefault(json.dumps([schema["properties"], schema.get("required")]), path)
    if same != path:
        yield f"Its fields are those of `{same}`."
        return
    yield "| field | type | default | bounds | |"
    yield "|---|---|---|---|---|"
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        default = "required" if name in required else _default(field)
        yield f"| `{name}` | {_type(field)} | {default} | {_bounds(field)} | {_cell(field['description'])} |"
    # Nobody but the operator writes a status, so its rules tell a reader nothing.
    rules = [*schema.get("x-kubernetes-validations", []), *_rules_of_values(schema)] if path.startswith("spec") else []
    if rules:
        yield ""
    for rule in dict.fromkeys(map(_rule, rules)):
        yield f"* {rule}"
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            described = inner | {"description": field["description"]} if inner is field else inner
            yield from _object(f"{path}.{name}{'[]' if inner is not field else ''}", described, written)


def _rules_of_values(schema: Schema) -> Iterator[Schema]:
    """Give the rules that stand on the object's plain values."""
    for name, field in schema["properties"].items():
        if "properties" not in field:
            for rule in field.get("x-kubernetes-validations", []):
                yield rule | {"fieldPath": f".{name}"}


def _rule(rule: Schema) -> str:
    path = rule.get("fieldPath", "").lstrip(".")
    return f"`{path}`: {rule['message']}" if path else f"{rule['message']}"


def _type(field: Schema) -> str:
    if "enum" in field:
        return " or ".join(f"`{word}`" for word in field["enum"])
    if "items" in field:
        return f"list of {_type(field['items'])}"
    if field.get("format") == "date-time":
        return "time"
    return str(field.get("type", "any"))


def _default(field: Schema) -> str:
    return f"`{json.dumps(field['default'], ensure_ascii=False)}`".replace('`"', "`").replace('"`', "`") if "default" in field else ""


def _bounds(field: Schema) -> str:
    found = [*_range(field, "Length", "characters"), *_range(field, "Items", "items")]
    if "minimum" in field:
        found.append(f"{'>' if field.get('exclusiveMinimum') else '≥'} {field['minimum']}")
    if "maximum" in field:
        found.append(f"≤ {field['maximum']}")
    if "pattern" in field:
        found.append(f"`{field['pattern']}`")
    if "x-kubernetes-list-map-keys" in field:
        found.append("one for each `" + "`, `".join(field["x-kubernetes-list-map-keys"]) + "`")
    items = field.get("items", {})
    if items and "properties" not in items and (inner := _bounds(items)):
        found.append(f"each {inner}")
    return _cell(", ".join(found))


def _range(field: Schema, what: str, unit: str) -> Iterator[str]:
    least, most = field.get(f"min{what}"), field.get(f"max{what}")
    if most is not None:
        yield f"{least} to {most} {unit}" if least else f"≤ {most} {unit}"


def _cell(value: Any) -> str:  # noqa: ANN401  # whatever stands in a table
    return " ".join(str(value).split()).replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` say whether it is up to date: exit status 1 when it is not."""
    return write_or_check(FILE, text, module="tools.reference", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
