"""Ranges of versions: what the operator expands and the SDK compares lets the same versions in as Helm's own library (Go)."""

import hashlib
import itertools
import json
import secrets
import subprocess
from pathlib import Path

import pytest

from rampgate.conditions import parse_condition
from rampgate.eligibility import compile_test
from rampgate_operator.core.versions import compile_semver
from tools.devcluster.binaries import cache_directory
from tools.devcluster.golang import find_go, go_environment

MODULE = Path(__file__).with_name("semver")
VERSIONS = [f"{major}.{minor}.{patch}" for major, minor, patch in itertools.product((0, 1, 2, 3, 10), (0, 1, 2, 3), (0, 1, 2, 4))]
PARTS = ["0", "0.0", "0.0.0", "0.0.2", "0.2", "0.2.1", "1", "1.x", "1.2", "1.2.x", "1.2.2", "v2", "2.0.0", "2.1.*", "10", "*", "x.x"]
SIMPLE = [
    f"{operator}{blank}{part}"
    for operator in ("", "=", "!=", "<", "<=", ">", ">=", "~", "~>", "^")
    for blank in ("", " ")
    for part in PARTS
]
JOINED = [
    f"{low}{joint}{high}" for low in (">=0.2", ">1.2", "^1", "~1.2") for joint in (" ", ", ", ",") for high in ("<2", "<=2.1", "!=1.2.2")
]
HYPHENS = [f"{low} - {high}" for low in ("0.2", "1.2.2", "1") for high in ("1.2", "2.1.1", "10")]
EITHER = [f"{one} || {other}" for one in ("<1", "~1.2", "0.2 - 1.0.0") for other in (">=2.1", "^10", "1.2.2")]
RANGES = [*SIMPLE, *JOINED, *HYPHENS, *EITHER]

OPEN = [part for part in PARTS if not part.replace(".", "").lstrip("v").isdigit() or part.count(".") < 2]
OTHERWISE = {"<*", ">*", "<=*", "^*", "<x.x", ">x.x", "<=x.x", "^x.x", "~0.0.0", "~>0.0.0", *(f"!={part}" for part in OPEN)}
"""What docs/rules-format.md and core/versions.py say differs, blanks left out: ranges that exclude a range, `*` compared, and `~0.0.0`."""


@pytest.fixture(scope="module")
def helm() -> list[list[bool] | None]:
    """What Helm's library says of every range: None where it reads none, else whether each version is in it."""
    pinned = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum", "main.go"))
    program = cache_directory() / f"semver-{hashlib.sha256(pinned).hexdigest()[:16]}"
    if not program.exists():
        go = find_go(MODULE, print)
        partial = program.with_name(f"{program.name}.{secrets.token_hex(4)}")  # another process may build it at the same time
        command = [go, "build", "-mod=readonly", "-o", partial, "."]
        subprocess.run(command, cwd=MODULE, env=go_environment(), check=True, capture_output=True)
        partial.rename(program)
    questions = "".join(json.dumps([each, VERSIONS]) + "\n" for each in RANGES)
    answers = subprocess.run([program], input=questions, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in answers.splitlines()]


def ours(text: str) -> list[bool] | None:
    """The same by the operator and the SDK."""
    try:
        alternatives = compile_semver(text)
    except ValueError:
        return None
    matches = compile_test(parse_condition({"attribute": "version", "semverAny": alternatives}))
    return [matches({"version": version}) for version in VERSIONS]


def test_ranges_let_the_same_versions_in_as_helms_library_but_where_the_documents_say_otherwise(helm: list[list[bool] | None]) -> None:
    different = {text.replace(" ", "") for text, answer in zip(RANGES, helm, strict=True) if ours(text) != answer}
    assert different <= OTHERWISE, different - OTHERWISE
    assert sum(answer is not None for answer in helm) * len(VERSIONS) > 20_000


def test_what_the_documents_say_differs_does_differ(helm: list[list[bool] | None]) -> None:
    different = {text.replace(" ", "") for text, answer in zip(RANGES, helm, strict=True) if ours(text) != answer}
    assert different == OTHERWISE & {text.replace(" ", "") for text in RANGES}
