"""Where the settings come from: a YAML file, and before it environment variables `RAMPGATE_…`. Every mistake is one line with its place.

Knows files, variables and the wording of refusals. What may be set is settings.py.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from rampgate_operator.settings import PREFIX, Settings, SourceSettings

_URL = "http://prometheus.monitoring:9090"
_IN_A_FILE = {
    ("namespaces",): "write a list, such as [shop]",
    ("sources",): f'write a mapping, such as {{default: {{url: "{_URL}"}}}}',
    ("sources", "*"): f'write a mapping, such as {{url: "{_URL}"}}',
}
_IN_A_VARIABLE = {
    ("namespaces",): 'write JSON, such as ["shop"]',
    ("sources",): f'write JSON, such as {{"default": {{"url": "{_URL}"}}}}',
    ("sources", "*"): f'write JSON, such as {{"url": "{_URL}"}}',
}
_WRONG_SHAPES = frozenset({"tuple_type", "dict_type", "model_type"})
_ALIAS_OF_FIELD = {name: field.alias or name for name, field in SourceSettings.model_fields.items()}
_SETTINGS = {to_camel(name): name for name in Settings.model_fields}
"""The fields of the file's first level, by how they are written there."""
_FIELD_OF_ALIAS = {alias: name for name, alias in _ALIAS_OF_FIELD.items()}


class ConfigurationError(Exception):
    """The configuration cannot be used. Each line of `lines` names a mistake and where it is: file and field, or variable."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the configuration; raises ConfigurationError. The environment is the process's own: it is given to name its variables."""
    document = {} if file is None else _read(file)
    lines = [*_no_json(environment)]
    lines += [f"{file}: {key}: there is no such setting" for key in document if key not in _SETTINGS]
    if isinstance(document.get("lease"), dict) and "identity" in document["lease"]:  # two replicas of one name would both lead
        lines.append(f"{file}: lease.identity: replicas share this file; each has its own by {PREFIX}LEASE__IDENTITY")
    try:
        settings = Settings(**{_SETTINGS[key]: value for key, value in document.items() if key in _SETTINGS})
    except ValidationError as refused:
        lines += [_line(error, file, environment) for error in refused.errors(include_url=False, include_context=False)]
    except SettingsError as error:
        lines = lines or [f"the environment: {error}"]
    if lines:
        raise ConfigurationError(lines)
    return settings


def unknown_variables(environment: Iterable[str]) -> tuple[str, ...]:
    """Give the environment variables that begin as ours do and name no setting: most likely misspelled.

    They cannot be refused: Kubernetes sets some of its own for a Service whose name begins with `rampgate`.
    """
    names = {field.upper() for field in Settings.model_fields}
    ours = (name for name in environment if name.startswith(PREFIX))
    return tuple(sorted(name for name in ours if name.removeprefix(PREFIX).split("__")[0].upper() not in names))


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise ConfigurationError([f"{file}: {error.strerror}"]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError([f"{file}: {_broken(error)}"]) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError([f"{file}: write a mapping, such as `namespaces: [shop]`"])
    document = {str(key): value for key, value in document.items()}
    if isinstance(document.get("sources"), dict):
        document["sources"] = {str(name): _by_field(source) for name, source in document["sources"].items()}
    return document


def _by_field(source: object) -> object:
    """Name fields as the environment's variables do, so that the one can replace the other's value."""
    return {_FIELD_OF_ALIAS.get(str(key), str(key)): value for key, value in source.items()} if isinstance(source, dict) else source


def _broken(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: no YAML: {error.problem}"
    return "no YAML: " + " ".join(str(error).split())


def _no_json(environment: Mapping[str, str]) -> Iterator[str]:
    for place in (("namespaces",), ("sources",)):
        for name, value in environment.items():
            if name.upper() == PREFIX + place[0].upper():
                try:
                    json.loads(value)
                except JSONDecodeError:
                    yield f"{name}: {_IN_A_VARIABLE[place]}"


def _line(error: ErrorDetails, file: Path | None, environment: Mapping[str, str]) -> str:
    place, variables = error["loc"], {_plain(name): name for name in environment}
    for length in range(len(place), 0, -1):
        variable = variables.get(_plain(_variable(place[:length])))
        if variable is not None:
            rest = place[length:]
            return f"{variable}: {_path(rest)}{': ' if rest else ''}{_sentence(error, _IN_A_VARIABLE)}"
    if file is None:
        return f"{_variable(place)}: {_sentence(error, _IN_A_VARIABLE)}"
    # a setting, and sources.NAME.FIELD, were read under the field's name, and are told under the one they were written with
    written = tuple(_ALIAS_OF_FIELD.get(str(part), part) if depth == 2 else part for depth, part in enumerate(place))
    written = (to_camel(str(place[0])), *written[1:])
    return f"{file}: {_path(written)}: {_sentence(error, _IN_A_FILE)}"


def _sentence(error: ErrorDetails, shapes: Mapping[tuple[str, ...], str]) -> str:
    place = tuple("*" if depth else str(part) for depth, part in enumerate(error["loc"]))
    if error["type"] in _WRONG_SHAPES and place in shapes:
        return shapes[place]
    fixed = {"extra_forbidden": "there is no such setting", "missing": "it must be given"}
    return fixed.get(error["type"], error["msg"].removeprefix("Value error, "))


def _variable(place: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(map(str, place)).upper()


def _plain(variable: str) -> str:
    return variable.replace("_", "").lower()


def _path(place: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
