"""`python -m benchmarks.sdk.reload GATES CHANGED`: how long an evaluation is held up while a mounted ConfigMap's gates are replaced.

One thread evaluates without a pause while the volume is swapped as the kubelet does it. For each swap: the longest that any evaluation
took until all changed gates were in force. Printed as JSON: the median of the swaps' longest, in ms, the same without a swap (what
the machine does to a busy loop by itself), how long until the gate that is asked for was served by its new rules, and until all were.
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
        shutil.rmtree(self.root / f"..{self._swaps - 1}", ignore_errors=True)
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
        new.symlink_to(self._next.name)
        new.rename(link)
        return self._swaps


def longest(gates: Gates, gate: str, *, first: str = "", generation: int = 0, seconds: float = 60.0) -> tuple[float, float, float]:
    """Evaluate until `generation` is in force from `first` to `gate`, or for so long.

    Give the longest evaluation, and how long `gate` and all gates took, in milliseconds.
    """
    clock, decide = time.perf_counter_ns, gates.decide
    worst, served, began = 0, 0, clock()
    end = began + int(seconds * 1e9)
    while (before := clock()) < end:
        decision = decide(gate, CONTEXT)
        worst = max(worst, clock() - before)
        if decision.generation == generation:
            served = served or clock() - began
            # Not by asking, which would make it one that is wanted, and read first.
            if gates._in_force.state.snapshot.gates[first].generation == generation:
                break
    return worst / 1e6, served / 1e6, (clock() - began) / 1e6


def main() -> None:
    """Measure, and print the figures."""
    count, changed = int(sys.argv[1]), int(sys.argv[2])
    volume = Volume(count)
    stalls, served, all_served, quiet = [], [], [], []
    with Gates.from_directory(volume.root, wait=60) as gates:
        for _ in range(RELOADS):
            volume.stage(changed)
            quiet.append(longest(gates, volume.last, seconds=0.3)[0])
            first = f"gate-{count - changed}" if changed > 1 else volume.last
            stall, one, every = longest(gates, volume.last, first=first, generation=volume.swap())
            stalls.append(stall)
            served.append(one)
            all_served.append(every)
    shutil.rmtree(volume.root)
    medians = {"stall_ms": stalls, "quiet_ms": quiet, "served_after_ms": served, "all_served_after_ms": all_served}
    figures = {name: statistics.median(values) for name, values in medians.items()}
    sys.stdout.write(json.dumps(figures | {"worst_ms": max(stalls)}) + "\n")


if __name__ == "__main__":
    main()
