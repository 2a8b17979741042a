"""Reads YAML as kubectl does, and remembers on which line each field stands.

Knows YAML 1.1 as sigs.k8s.io/yaml has it (go-yaml v2, then JSON): `off` and `n` are false, `1:30` is a text, a merge wins over the keys
above it. tests/contract/test_yaml.py reads the same texts with the real kubectl. Must not know what a document says.
"""

import base64
import math
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from rampgate_operator.core.problems import field_path
from rampgate_operator.core.yaml_scalars import read_plain

DEEPEST = 100
"""Levels that are read. No resource comes near it, and the parsers further on are recursive."""
MOST_VALUES = 1_000_000
"""Values of one document, each alias counted in full: what ten nested anchors can make of a kilobyte."""

_PLAIN = "plain"
_TYPED = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))
_BINARY = "tag:yaml.org,2002:binary"


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document, or one item of a list, as JSON.

    Attributes:
        value: what it says.
        lines: the line, from 1, of every field by its path, `spec.ramp.steps[1].percent`; of the document itself by the empty path.
        duplicates: each key that was given again, with its line; the value is that of the last.
        root: where it stands in the document, `items[2]`; the empty path as a rule.
    """

    value: Any
    lines: Mapping[str, int]
    duplicates: tuple[tuple[str, int], ...]
    root: str = ""

    def line_of(self, path: str) -> int:
        """Give the line of a field; of the nearest one around it when it is missing."""
        place = ".".join(filter(None, (self.root, path)))
        while place not in self.lines:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return self.lines[place]

    def items(self) -> Iterator["Document"]:
        """Give the items of a list (`kind: List`), each as if it were a document."""
        for index, value in enumerate(self.value["items"]):
            root = field_path(("items", index), self.root)
            inside = tuple((path.removeprefix(f"{root}."), line) for path, line in self.duplicates if path.startswith(f"{root}."))
            yield replace(self, value=value, root=root, duplicates=inside)


@dataclass(frozen=True)
class Unreadable:
    """A document that is no YAML, or none that could become JSON: the line, and why in a sentence."""

    line: int
    message: str


class _RefusedError(Exception):
    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.node = node


class _Loader(yaml.SafeLoader):
    """Leaves the type of a plain scalar open: PyYAML's own rules are not go-yaml's."""

    yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))]}  # noqa: RUF012  # PyYAML declares it so


class _Lines:
    """The line, in the whole text, of a position in a part of it that begins on the line `first`.

    PyYAML's own lines also count U+2028 and its like, which no editor does.
    """

    def __init__(self, part: str, first: int) -> None:
        self._first = first
        self._ends = [found.start() for found in re.finditer("\n", part)]

    def at(self, position: int) -> int:
        return self._first + bisect_left(self._ends, position)


def read_documents(text: str) -> Iterator[Document | Unreadable]:
    """Read every document of a stream; one that is broken hides no other, and empty ones are left out."""
    for first, behind, part in _split(text):
        if behind and not behind.startswith("#"):
            yield Unreadable(first - 1, "kubectl wants a line of its own for ---: write the document below it")
        found = _read(part, _Lines(part, first))
        if found is not None:
            yield found


def _split(text: str) -> Iterator[tuple[int, str, str]]:
    """Cut at the lines that begin with `---`, as kubectl does: first line, what stands behind the dashes above it, text."""
    first, behind, lines = 1, "", list[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("---"):
            yield first, behind, "\n".join(lines)
            first, behind, lines = number + 1, line[3:].strip(), []
        else:
            lines.append(line)
    yield first, behind, "\n".join(lines)


def _read(part: str, lines: _Lines) -> Document | Unreadable | None:
    if part.lstrip().startswith("{"):
        part = part.replace("\t", " ")  # JSON may be indented by tabs, and has none in its texts
    try:
        node = yaml.compose(part, Loader=_Loader)
        if node is None:
            return None
        values = _Values(lines)
        values.lines[""] = lines.at(node.start_mark.index)
        return Document(value=values.read(node, "", 0), lines=values.lines, duplicates=tuple(values.duplicates))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Unreadable(lines.at(mark.index if mark else 0), f"no YAML: {error.problem}")
    except yaml.reader.ReaderError as error:
        return Unreadable(lines.at(error.position), f"no YAML: the character U+{int(error.character):04X} is not allowed")
    except _RefusedError as error:
        return Unreadable(lines.at(error.node.start_mark.index), str(error))
    except (ValueError, OverflowError):  # PyYAML's own, of an escape such as "\\UFFFFFFFF"
        return Unreadable(lines.at(0), "no YAML: an escape in the document names no character")
    except RecursionError:
        return Unreadable(lines.at(0), f"the document nests deeper than {DEEPEST} levels")


class _Values:
    """Makes JSON of a tree of nodes, and notes the lines of its fields."""

    def __init__(self, lines: _Lines) -> None:
        self.lines: dict[str, int] = {}
        self.duplicates: list[tuple[str, int]] = []
        self._line = lines
        self._count = 0

    def read(self, node: yaml.Node, path: str, depth: int) -> Any:  # noqa: ANN401  # JSON
        """Give what a node says, and note the lines below `path`; raises _RefusedError where it goes too far."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise _RefusedError(node, f"the document has more than {MOST_VALUES} values: its anchors are used excessively")
        if depth > DEEPEST:
            raise _RefusedError(node, f"the document nests deeper than {DEEPEST} levels")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, field_path((index,), path), depth) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _item(self, node: yaml.Node, path: str, depth: int) -> Any:  # noqa: ANN401  # JSON
        self.lines[path] = self._line.at(node.start_mark.index)
        return self.read(node, path, depth + 1)

    def _mapping(self, mapping: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        values, given = dict[str, Any](), set[str]()
        for key_node, node in mapping.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                for merged in _merged(node):
                    values |= self.read(merged, path, depth + 1)
                continue
            key = _key(key_node)
            place = field_path((key,), path)
            self.lines[place] = self._line.at(key_node.start_mark.index)
            if key in given:
                self.duplicates.append((place, self.lines[place]))
            given.add(key)
            values[key] = self.read(node, place, depth + 1)
        return values


def _merged(node: yaml.Node) -> list[yaml.MappingNode]:
    """Give what a merge brings, the last word last."""
    nodes = node.value[::-1] if isinstance(node, yaml.SequenceNode) else [node]
    mappings = [each for each in nodes if isinstance(each, yaml.MappingNode)]
    if len(mappings) < len(nodes):
        raise _RefusedError(node, "a merge (<<) brings a mapping or a list of mappings")
    return mappings


def _key(node: yaml.Node) -> str:
    value = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case _:
            raise _RefusedError(node, "a key must be a text")


def _scalar(node: yaml.Node) -> str | int | float | bool | None:
    text: str = node.value
    if node.tag == _BINARY:
        try:
            return base64.b64decode("".join(text.split()), validate=True).decode()
        except ValueError:
            raise _RefusedError(node, "no base64 of a text") from None
    if node.tag != _PLAIN and node.tag not in _TYPED:
        return _whole(node, text)
    value = read_plain(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise _RefusedError(node, f"{text} is no number that JSON has; in quotes it is a text")
    return value


def _whole(node: yaml.Node, text: str) -> str:
    """Join the two halves of a character beyond U+FFFF, as JSON escapes it."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _RefusedError(node, "half a surrogate pair is no text") from None
