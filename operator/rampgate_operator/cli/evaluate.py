"""`rampgate eval`: what would this unit get, and why? By the rules in a directory (a mounted ConfigMap)."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rampgate import Gates


def add_to(subcommands: Any) -> None:  # noqa: ANN401  # argparse's type is private
    """Add the subcommand."""
    parser = subcommands.add_parser("eval", help="evaluate a gate", description=__doc__)
    parser.add_argument("gate", help="the gate: the Experiment's name")
    parser.add_argument("--directory", type=Path, required=True, help="where the ConfigMap with the rules is mounted")
    parser.add_argument("--context", type=json.loads, default={}, metavar="JSON", help='the context, such as \'{"userId": "u-1"}\'')
    parser.set_defaults(run=run, extra="operator")


def run(arguments: argparse.Namespace) -> int:
    """Print the decision as JSON; 1 when the gate is unknown or cannot be evaluated."""
    with Gates.from_directory(arguments.directory) as gates:
        decision = gates.decide(arguments.gate, arguments.context)
    shown = {field: getattr(decision, field) for field in ("gate", "variant", "value", "reason", "generation")}
    json.dump(shown, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    return 1 if decision.reason in {"UNKNOWN_GATE", "ERROR"} else 0
