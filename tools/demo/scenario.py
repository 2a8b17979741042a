"""The story: an experiment is applied, ramps, survives a crash, breaks a guardrail, and is stopped by hand in two ways.

Each act does what a person would do, and judges what came of it by what the witnesses saw. How they look is audience.py's, what plays is
stage.py's. Unix time throughout: the operator's timestamps and ours are compared, on one machine.
"""

import json
import math
import textwrap
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from tools.demo.audience import Audience
from tools.demo.checks import Check, Report
from tools.demo.stage import CONFIG_MAP, EXPERIMENTS, GATE, PROCESSES, USERS, Stage
from tools.demo.timeline import Timeline
from tools.demo.witness import Seen
from tools.devcluster.roles import Role

INTERVAL_SECONDS = 1.0
DECISION_LIMIT = INTERVAL_SECONDS + 0.5
OBEY_LIMIT = 1.0
LEAST_USERS = 500
MISTAKES = ("baseline, ineligible", "control must be", "steps must rise")
"""What the answer to refused.yaml must say."""
SIGMAS = 4.0
"""How far the observed share of users may lie from the planned one, in standard deviations of the draw."""


@dataclass
class Play:
    """What every act needs."""

    stage: Stage
    audience: Audience
    report: Report
    timeline: Timeline


def play(scene: Play) -> None:
    """Tell the whole story. Raises NotSeenError when something it waits for does not come."""
    a_bad_manifest_is_refused(scene)
    an_experiment_is_applied(scene)
    it_ramps_while_the_operator_is_killed(scene)
    the_treatment_breaks_and_everybody_is_back_on_control(scene)
    the_same_file_does_not_undo_it(scene)
    a_higher_attempt_begins_again(scene)
    a_person_kills_it(scene)
    a_person_breaks_the_glass(scene)


def a_bad_manifest_is_refused(scene: Play) -> None:
    """The API server itself says what is wrong, before anything runs."""
    scene.timeline.act("A bad manifest is refused")
    scene.timeline.say("$ kubectl apply -f examples/experiments/refused.yaml")
    printed = scene.stage.kubectl("apply", "-f", str(EXPERIMENTS / "refused.yaml"), check=False)
    scene.timeline.show(printed)
    told = [mistake for mistake in MISTAKES if mistake in printed]
    left = scene.stage.kubectl("get", "experiments.rampgate.dev", "--output=name")
    scene.report.record(Check.REFUSED, ok=len(told) == len(MISTAKES) and not left, detail=f"{len(told)} of {len(MISTAKES)} mistakes named")


def an_experiment_is_applied(scene: Play) -> None:
    """From `kubectl apply` to three processes that know the gate."""
    scene.timeline.act("An experiment is applied")
    began = time.time()
    apply(scene)
    last = scene.audience.all_obey("OVERRIDE", since=began)[-1]
    scene.timeline.say(f"{PROCESSES} processes have the rules: the tester qa-1 sees the new checkout, 0 % of the users do", at=last.at)
    scene.report.record(Check.ACCEPTED, seconds=last.at - began, detail="from kubectl apply to the last process")


def it_ramps_while_the_operator_is_killed(scene: Play) -> None:
    """1, 10, 50 %; the operator dies while 10 % is held, and its successor goes on by the same clock."""
    scene.timeline.act("It ramps: 1, 10, 50 %")
    wait_for_percent(scene, 10, attempt=1)
    judge_share(scene, Check.SHARE_1, 1)
    time.sleep(3)
    show_overview(scene)
    pid = scene.stage.operator.kill()
    scene.timeline.say(f"$ kill -9 {pid}    the operator is gone; the shop does not notice: its rules are in its memory")
    time.sleep(2)
    scene.stage.operator.start()
    scene.timeline.say("the operator is started again")
    wait_for_percent(scene, 50, attempt=1)
    judge_share(scene, Check.SHARE_10, 10)
    scene.timeline.say("50 % is held for a while")
    time.sleep(6)
    judge_share(scene, Check.SHARE_50, 50)
    judge_stability(scene)
    judge_restart(scene)


def the_treatment_breaks_and_everybody_is_back_on_control(scene: Play) -> None:
    """Errors begin; nobody does anything."""
    scene.timeline.act("The treatment breaks")
    began = time.time()
    scene.stage.fault(rate=0.3)
    scene.timeline.say("30 % of the treatment's checkouts fail from now on")
    breach = scene.audience.breach.wait(bool, "a breach", since=began)
    scene.timeline.say(
        "Prometheus: the guardrail's query reads more than its limit for the first time, and less than 30 % yet: it averages the last 4 s",
        at=breach.at,
    )
    judge_rollback(scene, began, breach.at)
    show_overview(scene)
    scene.timeline.say(f"$ kubectl describe rexp {GATE}    (of its status, the conditions and the latch)")
    scene.timeline.show(excerpt(scene.stage.kubectl("describe", "rexp", GATE), "Conditions", "Latch"))


def the_same_file_does_not_undo_it(scene: Play) -> None:
    """A rollback is latched: the fault may be gone, and a GitOps tool may apply what it has as often as it likes."""
    scene.timeline.act("The same file is applied again")
    scene.stage.fault(rate=0)
    scene.timeline.say("the fault is repaired")
    began = time.time()
    apply(scene)
    time.sleep(INTERVAL_SECONDS)
    before = scene.stage.tally()
    time.sleep(3 * INTERVAL_SECONDS)
    after = scene.stage.tally()
    phase = scene.stage.kubectl("get", "rexp", GATE, "-o", "jsonpath={.status.phase}")
    raised = [rules for rules in scene.audience.rules.since(began) if rules.value["percent"] > 0]
    exposed, requests = (after[count] - before[count] for count in ("enrolled", "requests"))
    scene.timeline.say(
        f"{time.time() - began:.0f} seconds later it is still {phase}: "
        f"in the last 3 of them {exposed} of {requests} checkouts were by enrolled users"
    )
    ok = phase == "RolledBack" and not raised and exposed == 0 and requests > 0
    scene.report.record(Check.REAPPLIED, ok=ok, detail=f"{phase}; then {exposed} of {requests} checkouts enrolled")


def a_higher_attempt_begins_again(scene: Play) -> None:
    """The only way back, and it begins at 0 %."""
    scene.timeline.act("A higher attempt begins again")
    first = begin_attempt(scene, 2)
    served = [rules.value["percent"] for rules in scene.audience.rules.since(first.at)]
    wait_for_percent(scene, 1, attempt=2)
    ok = first.value["percent"] == 0 and served[:2] in ([0], [0, 1])
    scene.report.record(Check.NEXT_ATTEMPT, ok=ok, detail=f"first rules of attempt 2: {first.value['percent']:g} %")


def a_person_kills_it(scene: Play) -> None:
    """One patch, measured from the start of kubectl."""
    scene.timeline.act("A person kills it")
    wait_for_percent(scene, 10, attempt=2)
    began = time.time()
    patch_experiment(scene, {"killed": True})
    last = scene.audience.all_obey("KILLED", since=began)[-1]
    scene.timeline.say("every process is back on control", at=last.at)
    scene.report.record(Check.KILL, seconds=last.at - began, limit=OBEY_LIMIT, detail="kubectl's own start included")


def a_person_breaks_the_glass(scene: Play) -> None:
    """The operator is down, and still one patch stops a gate; the operator comes back and respects it."""
    scene.timeline.act("The operator is down, and a person breaks the glass")
    first = begin_attempt(scene, 3)
    wait_for_percent(scene, 1, attempt=3)
    scene.audience.all_obey("OVERRIDE", since=first.at)
    scene.timeline.say(f"$ kill -9 {scene.stage.operator.kill()}    the operator is down")
    began = time.time()
    patch_rules(scene, GATE)
    last = scene.audience.all_obey("KILLED", since=began)[-1]
    scene.timeline.say("every process is back on control, without an operator", at=last.at)
    scene.report.record(Check.BREAK_GLASS, seconds=last.at - began, limit=OBEY_LIMIT, detail="kubectl's own start included")
    back = time.time()
    scene.stage.operator.start()
    scene.timeline.say("the operator is started again")
    held = scene.audience.status.wait(lambda status: status.get("waitingFor") == "BreakGlass", "waitingFor BreakGlass", since=back)
    still = scene.audience.reasons
    scene.report.record(Check.BREAK_GLASS_HELD, ok=still == {"KILLED"}, seconds=held.at - back, detail="from the operator's start")


# --- what a person does ---


def show_overview(scene: Play) -> None:
    """Look at all experiments of the namespace."""
    scene.timeline.say("$ kubectl get rexp")
    scene.timeline.show(scene.stage.kubectl("get", "rexp"))


def apply(scene: Play) -> None:
    """Apply the experiment, as its author."""
    scene.timeline.say("$ kubectl apply -f examples/experiments/new-checkout.yaml")
    scene.timeline.show(scene.stage.kubectl("apply", "-f", str(EXPERIMENTS / "new-checkout.yaml")))


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


def begin_attempt(scene: Play, attempt: int) -> "Seen[Any]":
    """Raise the attempt; returns the first rules of it."""
    began = time.time()
    patch_experiment(scene, {"attempt": attempt, "killed": None})
    return scene.audience.rules.wait(lambda rules: rules["attempt"] == attempt, f"attempt {attempt}", since=began)


# --- how it is judged ---


def wait_for_percent(scene: Play, percent: float, *, attempt: int) -> None:
    """Wait until the rules that applications read say so."""
    scene.audience.rules.wait(lambda rules: (rules["attempt"], rules["percent"]) == (attempt, percent), f"{percent:g} %", timeout=40)


def judge_share(scene: Play, check: Check, percent: float) -> None:
    """Compare the share of the users who were enrolled at a percentage with that percentage."""
    counted = scene.stage.tally()["steps"].get(f"1/{percent:g}", {"users": 0, "enrolled": 0})
    users, enrolled = counted["users"], counted["enrolled"]
    share = enrolled / max(users, 1)
    deviation = math.sqrt(percent / 100 * (1 - percent / 100) / max(users, 1))
    detail = f"{100 * share:.2f} % observed: {enrolled} of {users} users seen since the step began, of {USERS}"
    scene.timeline.say(f"users: {percent:g} % planned, {detail}")
    scene.report.record(check, ok=users >= LEAST_USERS and abs(share - percent / 100) <= SIGMAS * deviation, detail=detail)


def judge_stability(scene: Play) -> None:
    """Nobody who was enrolled may lose it or see the other arm while the percentage rises."""
    tally = scene.stage.tally()
    moved, dropped = tally["moved"], tally["dropped"]
    scene.report.record(
        Check.STABLE,
        ok=moved == dropped == tally["unanswered"] == 0,
        detail=f"{moved} changed arm, {dropped} dropped out, {tally['unanswered']} of {tally['requests']} requests unanswered",
    )


def judge_restart(scene: Play) -> None:
    """Both the status' history and the rules seen by the watch must have each step once, none before its hold was over."""
    stepped = [entry for entry in scene.audience.history if entry["reason"] == "Stepped"]
    served = [rules.value["percent"] for rules in scene.audience.rules.since(0)]
    risen = [percent for percent in served if percent > 0]
    held = [unix(after["at"]) - unix(before["at"]) for before, after in pairwise(stepped)]
    ok = [entry["percent"] for entry in stepped] == [1, 10, 50] == risen and all(
        seconds >= planned for seconds, planned in zip(held, (7, 10), strict=True)
    )
    path = " -> ".join(f"{percent:g}" for percent in served)
    scene.report.record(Check.RESTART, ok=ok, detail=f"{path} %; held {', '.join(f'{seconds:.1f}' for seconds in held)} s of 7, 10")


def judge_rollback(scene: Play, began: float, breach: float) -> None:
    """Split the way from the breach being visible to the last process into its parts."""
    audience, record = scene.audience, scene.report.record
    seen = audience.status.wait(lambda status: status["phase"] == "RolledBack", "RolledBack", since=began)
    rules = audience.rules.wait(lambda rules: rules.get("serve") is not None, "rules that serve control", since=began)
    last = audience.all_obey("ROLLED_BACK", since=began)[-1]
    decided = unix(seen.value["latch"]["at"])
    scene.timeline.say("every process is back on control; nobody was woken", at=last.at)
    by_itself = (seen.value["latch"]["cause"], seen.value["latch"].get("guardrail")) == ("Guardrail", "errors")
    record(Check.ROLLED_BACK, ok=by_itself, seconds=last.at - began, detail="from the first error to the last process")
    record(Check.DECISION, seconds=decided - breach, limit=DECISION_LIMIT, detail="status.latch.at; limit: one interval + 0.5 s")
    record(Check.STATUS_SEEN, seconds=seen.at - breach, limit=DECISION_LIMIT)
    record(Check.CONFIG_MAP, seconds=rules.at - breach)
    record(Check.OBEYED, seconds=last.at - decided, limit=OBEY_LIMIT, detail=f"{last.at - breach:.2f} s after the breach was visible")


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
