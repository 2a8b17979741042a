"""Write the figures in `docs/operations.md` from `benchmarks/results/*.json`: `python -m tools.sizing`, or `--check`.

Knows which figures an installation is sized by. Must not measure anything; the rest of the page is written by hand.
"""

import json
import sys
from collections.abc import Callable

from tools.figures import RESULTS
from tools.generated import ROOT, write_or_check

FILE = ROOT / "docs" / "operations.md"
BEGIN, END = "<!-- {name}: generated from benchmarks/results by `python -m tools.sizing`. -->\n", "<!-- End of what is generated. -->\n"
GUARDRAILS, INTERVAL = 2, 30
"""Of each Experiment, as in benchmarks.scale; seconds between two looks."""
COUNTED_LOOKS = 3000
"""In `looks_1000x3_cpu_s`: one look of 1,000 Experiments at three guardrails."""


def takeover() -> str:
    """Give how soon another replica leads."""
    figures = _figures("failover.json")
    return (
        "| the leader | the other one leads after | measured |\n|---|---|---|\n"
        f"| is told to end: a rolling update, a drained node | at once: it gives the Lease back | {figures['hand_over_s']:.1f} s |\n"
        f"| dies without a word | `lease.duration`, 10 s by default | {figures['failover_s']:.1f} s |\n"
        "| cannot renew its Lease: it is cut off from the API server | the same; it writes nothing any more, and ends | |\n"
        "| ends together with the other one | when its Deployment has started one; pods go on meanwhile | not measured |\n"
    )


def sizing() -> str:
    """Give what a number of Experiments takes."""
    scale = _figures("scale.json")
    own, counted = scale["cpu_s_per_1000_looks"], _figures("guardrails.json")["looks_1000x3_cpu_s"] / COUNTED_LOOKS * 1000
    head = f"Experiments that ramp, {GUARDRAILS} guardrails each, a look every {INTERVAL} s"
    lines = [f"| {head} | CPU, by their own queries | CPU, counted by the SDK |", "|--:|--:|--:|"]
    for count in (100, 300, 1000):
        looks = count * GUARDRAILS / INTERVAL
        lines.append(f"| {count:,} | {looks * own:.0f}m | {looks * counted:.0f}m |")
    told = (
        f"Measured with 1,000, at {scale['looks_per_s']:.0f} looks a second: {own:.1f} ms of a CPU for each, {counted:.1f} ms where it is "
        f"counted; {scale['rss_mib_1000']:.0f} MiB of memory; {scale['ready_s_1000']:.0f} s from a restart until all are reconciled."
    )
    return "\n".join(lines) + f"\n\n{told}\n"


def propagation() -> str:
    """Give how soon pods obey a kill."""
    figures = _figures("propagation.json")
    rows = {
        "mount the ConfigMap and carry its label: the operator tells them": "nudge",
        "watch the API server": "watch",
        "mount it, without the label: the kubelet's own pace": "plain",
    }
    lines = []
    for what, mode in rows.items():
        median, most, longest = (f"{figures[f'kill_{each}_s_{mode}']:.2f} s" for each in ("p50", "p99", "max"))
        lines.append(f"| {what} | {median} | {most} | {longest} |")
    return "| ten pods that | all obey after, median | 99 of 100 kills | longest |\n|---|--:|--:|--:|\n" + "\n".join(lines) + "\n"


BLOCKS: dict[str, Callable[[], str]] = {"Takeover": takeover, "Propagation": propagation, "Sizing": sizing}


def text() -> str:
    """Give the page, its figures as they were measured last. Raises ValueError when the page has no place for them."""
    page = FILE.read_text(encoding="utf-8")
    for name, block in BLOCKS.items():
        before, begin, rest = page.partition(BEGIN.format(name=name))
        _, end, after = rest.partition(END)
        if not end:
            raise ValueError(f"{FILE.name} has no place for {name}: {BEGIN.format(name=name)}{END}")
        page = before + begin + block() + end + after
    return page


def _figures(file: str) -> dict[str, float]:
    return dict(json.loads((RESULTS / file).read_text(encoding="utf-8"))["figures"])


if __name__ == "__main__":
    sys.exit(write_or_check(FILE, text, module="tools.sizing"))
