"""`python -m benchmarks.sdk.reload GATES CHANGED`: how long an evaluation is held up while a mounted ConfigMap's gates are replaced.

One thread evaluates without a pause while the volume is swapped as the kubelet does it. For each swap: the longest that any evaluation
took until the last changed gate was served by its new rules. Printed as JSON: the median of the swaps' longest, in milliseconds, the same
without a swap (what the machine does to a busy loop by itself), and how long it took until the new rules were served.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.sdk.subjects import entry
from rampgate import Gates
from rampgate.rules import render_entry

RELOADS = 20
CONTEXT = {"targetingKey": "user-1", "country": "US", "plan": "pro"}


class Volume:
    """A ConfigMap as the kubelet mounts it: every swap is a new directory with all files, and a link that is renamed onto the old one."""

    def __init__(self, gates: int) -> None:
        self.root = Path(tempfile.mkdtemp())
        self._swaps = 0
        self._lines = {f"gate-{number}": render_entry(entry(f"gate-{number}")) for number in range(gates)}
        self.last = f"gate-{gates - 1}"
        self.stage(0)
        self.swap()

    def stage(self, changed: int) -> None:
        """Write the next directory, with the last `changed` gates at a higher generation."""
        self._swaps += 1
        for gate in list(self._lines)[len(self._lines) - changed :]:
            self._lines[gate] = render_entry(entry(gate, generation=self._swaps))
        self._next = self.root / f"..{self._swaps}"
        self._next.mkdir()
        (self._next / "format").write_text("rampgate.dev/1")
        for gate, line in self._lines.items():
            (self._next / f"{gate}.json").write_text(line)

    def swap(self) -> int:
        """Make the directory that was staged the current one; return its generation."""
        link, new = self.root / "..data", self.root / "..data_tmp"
        previous = link.readlink() if link.is_symlink() else None
        new.symlink_to(self._next.name)
        new.rename(link)
        if previous is not None:
            shutil.rmtree(self.root / previous)
        return self._swaps


def longest(gates: Gates, gate: str, *, generation: int | None = None, seconds: float = 60.0) -> tuple[float, float]:
    """Evaluate until `generation` is served, or for so long; return the longest evaluation and the whole, in milliseconds."""
    clock, decide = time.perf_counter_ns, gates.decide
    worst, began = 0, clock()
    end = began + int(seconds * 1e9)
    before = began
    while before < end:
        decision = decide(gate, CONTEXT)
        after = clock()
        worst = max(worst, after - before)
        if decision.generation == generation:
            break
        before = clock()
    return worst / 1e6, (clock() - began) / 1e6


def main() -> None:
    """Measure, and print the figures."""
    count, changed = int(sys.argv[1]), int(sys.argv[2])
    volume = Volume(count)
    stalls, delays, quiet = [], [], []
    with Gates.from_directory(volume.root, wait=60) as gates:
        for _ in range(RELOADS):
            volume.stage(changed)
            quiet.append(longest(gates, volume.last, seconds=0.3)[0])
            stall, delay = longest(gates, volume.last, generation=volume.swap())
            stalls.append(stall)
            delays.append(delay)
    shutil.rmtree(volume.root)
    figures = {"stall_ms": statistics.median(stalls), "quiet_ms": statistics.median(quiet), "served_after_ms": statistics.median(delays)}
    sys.stdout.write(json.dumps(figures | {"worst_ms": max(stalls)}) + "\n")


if __name__ == "__main__":
    main()
