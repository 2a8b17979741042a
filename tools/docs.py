"""Write everything that is generated, the pages of docs/ and the CRD: `python -m tools.docs`, or `--check` to fail when a file differs.

Knows the names of the generators. Must not know what any of them writes: each is a command of its own, and says itself what is wrong.
"""

import argparse
import subprocess
import sys

GENERATORS = (
    "tools.crds",
    "tools.dashboards",
    "tools.chart",
    "tools.figures",
    "tools.reference",
    "tools.reliability",
    "tools.sizing",
    "tools.states",
)


def main(arguments: list[str] | None = None) -> int:
    """Run every generator, also after one that failed; exit status 1 when one did, or with `--check` found a file out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description="Write everything that is generated from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is not up to date")
    options = ["--check"] if parser.parse_args(arguments).check else []
    failed = [name for name in GENERATORS if subprocess.run([sys.executable, "-m", name, *options], check=False).returncode]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
