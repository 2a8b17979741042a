"""`rampgate eval`: why does this unit see that? Every step of the evaluation, by rules that are mounted, in a file, or in the cluster."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rampgate import Reason
from rampgate_operator.cli import rules_at

if TYPE_CHECKING:
    from rampgate.snapshot import Keys

DEFAULT_NAME = "feature-gates"
EPILOG = """\
from a pod's mount, from the cluster, or where only kubectl is allowed to ask it:
  rampgate eval new-checkout --rules /etc/rampgate --context '{"userId": "u-1"}'
  rampgate eval new-checkout --namespace shop --context '{"userId": "u-1"}'
  kubectl get configmap feature-gates -n shop -o json | rampgate eval new-checkout --config-map - --context '{"userId": "u-1"}'
the cluster is that of KUBECONFIG; without it that of the pod's service account, and outside a pod that of ~/.kube/config
nothing is counted: metrics do not see an explanation
exit status: 0 answered, 1 the gate is unknown or cannot be evaluated, 2 wrong usage, or no rules there,
  3 --namespace without the extra `operator`
"""
EXAMPLE = """write it as '{"userId": "u-1"}'"""


def add_to(subcommands: Any) -> None:  # noqa: ANN401  # argparse's type is private
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "eval",
        help="explain what a unit sees, and why",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("gate", help="the gate: the Experiment's name")
    rules = parser.add_mutually_exclusive_group(required=True)
    rules.add_argument("--rules", type=Path, metavar="DIR", help="where the ConfigMap with the rules is mounted")
    rules.add_argument(
        "--config-map", metavar="FILE", help="the ConfigMap as `kubectl get configmap NAME -o json` prints it; - reads it here"
    )
    rules.add_argument("--namespace", "-n", help="read the ConfigMap of this namespace from the cluster")
    parser.add_argument("--name", help=f"the ConfigMap's name, with --namespace (default: {DEFAULT_NAME})")
    parser.add_argument("--context", type=_context, default={}, metavar="JSON", help='the context, such as \'{"userId": "u-1"}\'')
    parser.add_argument("--output", "-o", choices=("text", "json"), default="text", help="how to print it (default: %(default)s)")
    parser.set_defaults(run=run, extra="operator")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation; returns the exit status that EPILOG explains."""
    from rampgate.explain import explain
    from rampgate.snapshot import EMPTY, advance
    from rampgate_operator.cli.explained import as_json, as_text, printable

    if arguments.name is not None and arguments.namespace is None:
        return _refuse("--name goes with --namespace")
    try:
        keys = _keys(arguments)
    except (rules_at.NoRulesError, OSError) as error:
        return _refuse(str(error))
    explanation = explain(advance(EMPTY, keys).gates, arguments.gate, arguments.context)
    text = as_json(explanation) if arguments.output == "json" else as_text(explanation)
    sys.stdout.buffer.write(printable(text).encode())
    sys.stdout.flush()
    return 1 if explanation.decision.reason in {Reason.UNKNOWN_GATE, Reason.ERROR} else 0


def _keys(arguments: argparse.Namespace) -> "Keys":
    if arguments.namespace is not None:
        return rules_at.from_cluster(arguments.namespace, arguments.name or DEFAULT_NAME)
    return rules_at.from_directory(arguments.rules) if arguments.rules else rules_at.from_file(arguments.config_map)


def _context(text: str) -> dict[str, object]:
    try:
        context = json.loads(text)
        json.dumps(context, indent=2)  # what nests too deep to be shown again is none either
    except (ValueError, RecursionError):
        raise argparse.ArgumentTypeError(f"no JSON; {EXAMPLE}") from None
    if not isinstance(context, dict):
        raise argparse.ArgumentTypeError(f"no JSON object; {EXAMPLE}")
    return context


def _refuse(line: str) -> int:
    sys.stderr.write(f"rampgate eval: {line}\n")
    return 2
