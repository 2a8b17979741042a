"""What people do in the story, each with the command that they would type, and what they see of it.

Knows commands and how they are told. Must not know the order of the story, nor judge what comes of anything.
"""

import json
import textwrap
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tools.demo.audience import Audience
from tools.demo.checks import Report
from tools.demo.stage import CONFIG_MAP, EXPERIMENTS, GATE, Stage
from tools.demo.timeline import Timeline
from tools.demo.witness import Seen
from tools.devcluster.roles import Role


@dataclass
class Play:
    """What every act needs."""

    stage: Stage
    audience: Audience
    report: Report
    timeline: Timeline


def show_overview(scene: Play) -> None:
    """Look at all experiments of the namespace."""
    scene.timeline.say("$ kubectl get rexp")
    scene.timeline.show(scene.stage.kubectl("get", "rexp"))


def apply(scene: Play, file: str = "new-checkout.yaml") -> None:
    """Apply the experiment, as its author."""
    scene.timeline.say(f"$ kubectl apply -f examples/experiments/{file}")
    scene.timeline.show(scene.stage.kubectl("apply", "-f", str(EXPERIMENTS / file)))


def patch_experiment(scene: Play, spec: dict[str, Any]) -> None:
    """Patch the spec, as its author."""
    patch = json.dumps({"spec": spec})
    scene.timeline.say(f"$ kubectl patch rexp {GATE} --type=merge -p '{patch}'")
    scene.timeline.show(scene.stage.kubectl("patch", "rexp", GATE, "--type=merge", "-p", patch))


def patch_rules(scene: Play, kill: str | None) -> None:
    """Set the break-glass key, as the administrator; None takes it away."""
    patch = json.dumps({"data": {"kill": kill}})
    scene.timeline.say(f"$ kubectl patch configmap {CONFIG_MAP} --type=merge -p '{patch}'")
    scene.timeline.show(scene.stage.kubectl("patch", "configmap", CONFIG_MAP, "--type=merge", "-p", patch, role=Role.ADMIN))


def begin_attempt(scene: Play, attempt: int) -> Seen[Any]:
    """Raise the attempt; returns the first rules of it."""
    began = time.time()
    patch_experiment(scene, {"attempt": attempt, "killed": None})
    return first_rules(scene, attempt, since=began)


def first_rules(scene: Play, attempt: int, *, since: float) -> Seen[Any]:
    """Wait for the first rules of an attempt."""
    return scene.audience.rules.wait(lambda rules: rules["attempt"] == attempt, f"attempt {attempt}", since=since)


def wait_for_percent(scene: Play, percent: float, *, attempt: int) -> None:
    """Wait until the rules that applications read say so."""
    scene.audience.rules.wait(lambda rules: (rules["attempt"], rules["percent"]) == (attempt, percent), f"{percent:g} %", timeout=40)


def unix(timestamp: str) -> float:
    """Read one of the operator's timestamps."""
    return datetime.fromisoformat(timestamp).timestamp()


def excerpt(description: str, *headings: str) -> str:
    """Take the blocks under some headings out of what `kubectl describe` prints: the rest would bury them."""
    kept: list[str] = []
    depth: int | None = None
    for line in description.splitlines():
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent <= depth:
            depth = None
        if depth is None and line.strip() in {f"{heading}:" for heading in headings}:
            depth = indent
        if depth is not None:
            kept.append(line)
    return textwrap.dedent("\n".join(kept))
