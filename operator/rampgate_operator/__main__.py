"""The command `rampgate`: one subcommand per file of cli/. Each imports what it needs, so that the base install can show `--help`."""

import argparse
import sys
from collections.abc import Sequence

from rampgate import __version__
from rampgate_operator.cli import evaluate, lint, operate, serve, simulate

COMMANDS = (operate, evaluate, lint, serve, simulate)
MISSING_EXTRA = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and give its exit status: 0 well, 1 failed, 2 wrong usage, 3 a missing extra."""
    parser = argparse.ArgumentParser(prog="rampgate", description="Feature-gated experiments on Kubernetes.")
    parser.add_argument("--version", action="version", version=f"rampgate {__version__}")
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(subcommands)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f"rampgate: {missing.name} is not installed; this command needs the extra `{parsed.extra}`: "
            f"in a checkout, pip install '.[{parsed.extra}]'\n"
        )
        return MISSING_EXTRA


if __name__ == "__main__":
    sys.exit(main())
