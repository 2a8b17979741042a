"""`rampgate eval`: what would this unit get, and why? By the rules of a mounted ConfigMap, or of one that kubectl printed."""

import argparse
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rampgate import Decision, Gates, Reason
from rampgate.evaluate import compile_gate
from rampgate.rules import parse_entry
from rampgate.snapshot import EMPTY, FORMAT_KEY, FORMAT_VALUE, Keys, advance, is_ours
from rampgate.sources import Receiver
from rampgate.sources.directory import read_keys

EPILOG = """\
from a laptop:
  kubectl get configmap feature-gates -n shop -o json | rampgate eval new-checkout --config-map - --context '{"userId": "u-1"}'
exit status: 0 answered, 1 the gate is unknown or cannot be evaluated (standard error says why), 2 wrong usage, or no rules there
"""
SHOWN = ("gate", "variant", "value", "reason", "label", "generation", "attempt", "percent")
EXAMPLE = """write it as '{"userId": "u-1"}'"""


class NoRulesError(Exception):
    """There are no rules where they should be; the message says what is there instead."""


class _Once:
    """A source that delivers keys once."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def start(self, receiver: Receiver) -> None:
        receiver.deliver(self._keys)

    def start_in_child(self) -> None:
        pass

    def close(self) -> None:
        pass


def add_to(subcommands: Any) -> None:  # noqa: ANN401  # argparse's type is private
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "eval", help="evaluate a gate", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gate", help="the gate: the Experiment's name")
    rules = parser.add_mutually_exclusive_group(required=True)
    rules.add_argument("--directory", type=Path, help="where the ConfigMap with the rules is mounted")
    rules.add_argument(
        "--config-map", metavar="FILE", help="the ConfigMap as `kubectl get configmap NAME -o json` prints it; - reads it here"
    )
    parser.add_argument("--context", type=_context, default={}, metavar="JSON", help='the context, such as \'{"userId": "u-1"}\'')
    parser.set_defaults(run=run, extra="operator")


def run(arguments: argparse.Namespace) -> int:
    """Print the decision as JSON, and on standard error why there is none; returns the exit status that EPILOG explains."""
    try:
        keys = _from_directory(arguments.directory) if arguments.directory else _from_config_map(arguments.config_map)
    except (NoRulesError, OSError) as error:
        sys.stderr.write(f"rampgate eval: {error}\n")
        return 2
    logging.getLogger("rampgate").addHandler(logging.NullHandler())  # what is wrong with this gate is said below, other gates do not matter
    with Gates(_Once(keys)) as gates:
        decision = gates.decide(arguments.gate, arguments.context)
    shown = json.dumps({field: getattr(decision, field) for field in SHOWN}, indent=2, ensure_ascii=False)
    sys.stdout.buffer.write(shown.encode(errors="backslashreplace") + b"\n")  # half a surrogate pair becomes JSON's own escape
    if why := _why(decision, keys, arguments.context):
        sys.stderr.write(f"rampgate eval: {why}\n")
    return 1 if decision.reason in {Reason.UNKNOWN_GATE, Reason.ERROR} else 0


def _context(text: str) -> dict[str, object]:
    try:
        context = json.loads(text)
    except (ValueError, RecursionError):
        raise argparse.ArgumentTypeError(f"no JSON; {EXAMPLE}") from None
    if not isinstance(context, dict):
        raise argparse.ArgumentTypeError(f"no JSON object; {EXAMPLE}")
    return context


def _from_directory(directory: Path) -> Keys:
    if not directory.is_dir():
        raise NoRulesError(f"{directory}: there is no such directory")
    keys = read_keys(directory)
    if not is_ours(keys):
        found = f'the file "{FORMAT_KEY}" does not say {FORMAT_VALUE}' if FORMAT_KEY in keys else f'no file "{FORMAT_KEY}"'
        raise NoRulesError(f"{directory}/: {found}: this is no mount of a ConfigMap with rules")
    return keys


def _from_config_map(file: str) -> Keys:
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    try:
        keys = {key: value.encode() for key, value in json.loads(text)["data"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NoRulesError(f"{file}: this is no ConfigMap as `kubectl get configmap NAME -o json` prints it") from None
    if not is_ours(keys):
        raise NoRulesError(f'{file}: its key "{FORMAT_KEY}" does not say {FORMAT_VALUE}: this is no ConfigMap with rules')
    return keys


def _why(decision: Decision, keys: Keys, context: Mapping[str, object]) -> str:
    """Say in a sentence what kept a rule from answering; empty when one did."""
    gates = advance(EMPTY, keys).gates
    if decision.reason is Reason.UNKNOWN_GATE:
        return f"the rules have no gate {decision.gate!r}; they have: {', '.join(sorted(gates)) or 'none'}"
    if decision.reason not in {Reason.ERROR, Reason.NO_UNIT}:
        return ""
    loaded = gates[decision.gate]
    if loaded.problem or loaded.good is None:
        return f"the gate's entry is not understood: {loaded.problem}"
    unit = compile_gate(parse_entry(loaded.good), killed=loaded.killed).unit
    if decision.reason is Reason.NO_UNIT:
        return f"the context names no unit: give {unit} a non-empty string"
    given = json.dumps(context.get(unit), ensure_ascii=False)
    return f'{unit} is {given}, and a unit is a string: write "{given}"' if unit else "the entry asks for what this version does not know"
