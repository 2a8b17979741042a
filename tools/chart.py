"""Write the chart's copy of the CRD, since a chart may read no file outside its folder: `python -m tools.chart`, or `--check`.

Knows where it goes. What it says is tools/crds.py's.
"""

import sys

from tools.crds import FILE as ORIGINAL
from tools.crds import text
from tools.generated import ROOT, write_or_check

FILE = ROOT / "charts" / "rampgate" / "files" / "crds" / ORIGINAL.name


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` say whether it is up to date: exit status 1 when it is not."""
    return write_or_check(FILE, text, module="tools.chart", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
