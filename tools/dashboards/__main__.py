"""Write both dashboards, for people in `dashboards/` and for the chart: `python -m tools.dashboards`, or `--check`."""

import json
import sys

from tools.dashboards.experiment import experiment
from tools.dashboards.fleet import fleet
from tools.generated import ROOT, write_or_check

DASHBOARDS = {"fleet": fleet, "experiment": experiment}
FOLDERS = (ROOT / "dashboards", ROOT / "charts" / "rampgate" / "files" / "dashboards")


def main() -> int:
    """Write or check every file; exit status 1 when one is out of date."""
    results = []
    for folder in FOLDERS:
        for name, dashboard in DASHBOARDS.items():
            text = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
            results.append(write_or_check(folder / f"{name}.json", lambda text=text: text, module="tools.dashboards"))  # type: ignore[misc]  # bound now
    return max(results)


if __name__ == "__main__":
    sys.exit(main())
