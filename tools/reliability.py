"""Write `docs/reliability.md`, what goes wrong and what must hold then, from the hard days: `python -m tools.reliability`, or `--check`.

Knows how tests/harddays says faults and expectations, and where a run with `--record-recovery` leaves its seconds. Must not run a test,
nor import one: the words are read from the source, so that the page can be checked wherever the code can be read.
"""

import ast
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.generated import ROOT, write_or_check

FILE = ROOT / "docs" / "reliability.md"
TESTS = ROOT / "tests"
RESULTS = ROOT / "benchmarks" / "results" / "harddays.json"
HEADER = """<!-- Generated from tests/harddays by `python -m tools.reliability`; edit the decorators of the tests. -->
# Hard days

What goes wrong, what must (not) happen then, and how long it takes until all is well again. Each line is a test on a real etcd, API server
and Prometheus, with the operator as its own process. Two sentences hold in all of them: no ramp advances without a fresh reading, and none
is rolled back unless somebody asked for that.

"""
TABLE = "| fault | what must hold | seconds | test |\n|---|---|---|---|"


@dataclass(frozen=True, kw_only=True)
class HardDay:
    """One line of the table; `file` is relative to tests/."""

    file: str
    test: str
    fault: str
    expected: str


def text() -> str:
    """Give the page's content; LookupError when a line names a test that is not there."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"figures": {}}
    lines = [_line(day, results["figures"]) for day in (*_hard_days(), *_elsewhere())]
    return HEADER + _measured(results) + "\n\n" + "\n".join((TABLE, *lines)) + "\n"


def _measured(results: dict[str, Any]) -> str:
    if not results["figures"]:
        return "No seconds have been recorded."
    return (
        f"Seconds: from the end of the fault until what is waited for is so, with looks every second, and after a\n"
        f"SIGKILL with the start of the process; measured {results['date']} on {results['machine']}, shared with other work.\n"
        "They are a record, not a promise: a test fails after a minute, not after these."
    )


def _line(day: HardDay, figures: dict[str, float]) -> str:
    seconds = sorted(value for name, value in figures.items() if name.partition("[")[0] == f"{Path(day.file).name}::{day.test}")
    shown = "–".join(f"{value:.1f}" for value in dict.fromkeys((*seconds[:1], *seconds[-1:])))
    sentence = day.test.removeprefix("test_").replace("_", " ")
    return f"| {day.fault} | {day.expected} | {shown or '—'} | [{sentence}](../tests/{day.file}) |"


def _hard_days() -> Iterator[HardDay]:
    for path in sorted((TESTS / "harddays").glob("test_*.py")):
        for name, function in _tests(path).items():
            for words in (_words(decorator, "hard_day") for decorator in function.decorator_list):
                if words is not None:
                    yield HardDay(file=f"harddays/{path.name}", test=name, **words)


def _elsewhere() -> Iterator[HardDay]:
    tree = ast.parse((TESTS / "harddays" / "elsewhere.py").read_text(encoding="utf-8"))
    for words in (_words(node, "Elsewhere") for node in ast.walk(tree)):
        if words is not None:
            file, _, test = words.pop("test").partition("::")
            if test not in _tests(TESTS / file):
                raise LookupError(f"tests/harddays/elsewhere.py names {file}::{test}, which is not there")
            yield HardDay(file=file, test=test, **words)


def _tests(path: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name: function for function in functions if function.name.startswith("test_")}


def _words(node: ast.AST, name: str) -> dict[str, str] | None:
    """Give the texts that a call of `name` is given by keyword; None when it is no such call."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != name:
        return None
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` say whether it is up to date: exit status 1 when it is not."""
    return write_or_check(FILE, text, module="tools.reliability", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
