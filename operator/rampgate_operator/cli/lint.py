"""`rampgate lint`: what would the API server and the operator say to these manifests? Asks neither of them, nor Prometheus."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rampgate_operator.core.lint import Finding, Linted, Terms

STANDARD_INPUT = "<stdin>"
EPILOG = """\
one line per finding: FILE:LINE: error|warning: FIELD: SENTENCE, or with --output json a list of {file, line, severity, path, message}
errors are what the API server or the operator would refuse; warnings what they take and you most likely do not mean
from what a tool renders:
  helm template . | rampgate lint --config operator.yaml -
exit status: 0 nothing found, or warnings without --strict; 1 errors found, or warnings with --strict; 2 wrong usage, a configuration
that cannot be used, or a file that cannot be read; 3 the extra `operator` is not installed
"""


def add_to(subcommands: Any) -> None:  # noqa: ANN401  # argparse's type is private
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "lint",
        help="check manifests before they are applied",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="YAML, of one or several documents; - reads standard input")
    sources = parser.add_mutually_exclusive_group()
    sources.add_argument("--source", action="append", metavar="NAME", help="a source that the operator knows; may be given several times")
    sources.add_argument("--config", type=Path, metavar="FILE", help="the operator's configuration, which names the sources")
    parser.add_argument("--namespace", "-n", default="default", help="that of manifests that name none (default: %(default)s)")
    parser.add_argument("--new", action="store_true", help="these ramps begin now or later: judge deadlines also without notBefore")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors in the exit status")
    parser.add_argument("--output", "-o", choices=("text", "json"), default="text", help="how to print findings (default: %(default)s)")
    parser.set_defaults(run=run, extra="operator")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found, and on standard error how much was judged; returns the exit status that EPILOG explains."""
    from rampgate_operator.configuration import ConfigurationError

    try:
        terms = _terms(arguments)
    except ConfigurationError as error:
        return _refuse(*error.lines)
    judged: dict[str, Linted] = {}
    unreadable: list[str] = []
    for file in dict.fromkeys(arguments.files):
        name = STANDARD_INPUT if file == "-" else file
        try:
            judged[name] = _lint(file, terms)
        except OSError as error:
            unreadable.append(f"{name}: {error.strerror}")
    found = [(name, finding) for name, linted in judged.items() for finding in linted.findings]
    _print(_as_json(found) if arguments.output == "json" else "".join(_as_text(found)))
    sys.stderr.write(f"rampgate lint: {_summary(judged)}\n")
    if unreadable:
        return _refuse(*unreadable)
    return int(any(arguments.strict or finding.severity == "error" for _, finding in found))


def _terms(arguments: argparse.Namespace) -> "Terms":
    from rampgate_operator.adapters.clock import SystemClock
    from rampgate_operator.configuration import load_settings
    from rampgate_operator.core.lint import Terms
    from rampgate_operator.core.promql import LOOKBACK

    sources = None if arguments.source is None else dict.fromkeys(arguments.source, LOOKBACK)
    if arguments.config is not None:
        settings = load_settings(arguments.config, os.environ)
        sources = {name: source.lookback for name, source in settings.sources.items()}
    return Terms(namespace=arguments.namespace, sources=sources, begins=SystemClock().now() if arguments.new else None)


def _lint(file: str, terms: "Terms") -> "Linted":
    from rampgate_operator.core.lint import lint_bytes

    return lint_bytes(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes(), terms)


def _as_text(found: "list[tuple[str, Finding]]") -> Iterator[str]:
    for file, finding in found:
        said = f"{finding.path}: {finding.message}" if finding.path else finding.message
        one_line = said.replace("\r", "\\r").replace("\n", "\\n")
        yield f"{file}:{finding.line}: {finding.severity}: {one_line}\n"


def _as_json(found: "list[tuple[str, Finding]]") -> str:
    return json.dumps([{"file": file, **asdict(finding)} for file, finding in found], indent=2, ensure_ascii=False) + "\n"


def _summary(judged: "dict[str, Linted]") -> str:
    severities = [finding.severity.value for linted in judged.values() for finding in linted.findings]
    errors, warnings = _count(severities.count("error"), "error"), _count(severities.count("warning"), "warning")
    experiments = _count(sum(linted.experiments for linted in judged.values()), "Experiment")
    skipped = _count(sum(linted.skipped for linted in judged.values()), "document")
    return f"{experiments} in {_count(len(judged), 'file')}: {errors}, {warnings}; {skipped} of other kinds skipped"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _print(text: str) -> None:
    sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
    sys.stdout.flush()


def _refuse(*lines: str) -> int:
    sys.stderr.writelines(f"rampgate lint: {line}\n" for line in lines)
    return 2
