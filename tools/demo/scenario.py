"""The story: an experiment is applied, ramps, survives a crash, breaks a guardrail, is compared, and is stopped by hand in two ways.

Each act does what a person would do (deeds.py), and judges what came of it by what the witnesses saw. How they look is audience.py's, what
plays is stage.py's, and the acts in which treatment is compared with control are comparison.py's. Unix time throughout: the operator's
timestamps and ours are compared, on one machine.
"""

import math
import time
from itertools import pairwise

from tools.demo.checks import Check
from tools.demo.comparison import (
    an_incident_hits_everybody_and_nothing_is_rolled_back,
    the_next_attempt_compares_with_control,
    the_treatment_gets_a_little_worse_and_is_rolled_back,
)
from tools.demo.deeds import (
    Play,
    apply,
    begin_attempt,
    excerpt,
    patch_experiment,
    patch_rules,
    show_overview,
    unix,
    wait_for_percent,
)
from tools.demo.stage import EXPERIMENTS, GATE, PROCESSES, USERS

INTERVAL_SECONDS = 1.0
DECISION_LIMIT = INTERVAL_SECONDS + 0.5
OBEY_LIMIT = 1.0
LEAST_USERS = 500
MISTAKES = ("baseline, ineligible", "control must be", "steps must rise")
"""What the answer to refused.yaml must say."""
SIGMAS = 4.0
"""How far the observed share of users may lie from the planned one, in standard deviations of the draw."""


def play(scene: Play) -> None:
    """Tell the whole story. Raises NotSeenError when something it waits for does not come."""
    a_bad_manifest_is_refused(scene)
    an_experiment_is_applied(scene)
    it_ramps_while_the_operator_is_killed(scene)
    the_treatment_breaks_and_everybody_is_back_on_control(scene)
    the_same_file_does_not_undo_it(scene)
    the_next_attempt_compares_with_control(scene)
    the_treatment_gets_a_little_worse_and_is_rolled_back(scene)
    an_incident_hits_everybody_and_nothing_is_rolled_back(scene)
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
    scene.stage.fault(treatment=0.3)
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
    scene.stage.fault(treatment=0)
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


def a_person_kills_it(scene: Play) -> None:
    """One patch, measured from the start of kubectl."""
    scene.timeline.act("A person kills it")
    began = time.time()
    patch_experiment(scene, {"killed": True})
    last = scene.audience.all_obey("KILLED", since=began)[-1]
    scene.timeline.say("every process is back on control", at=last.at)
    scene.report.record(Check.KILL, seconds=last.at - began, limit=OBEY_LIMIT, detail="kubectl's own start included")


def a_person_breaks_the_glass(scene: Play) -> None:
    """The operator is down, and still one patch stops a gate; the operator comes back and respects it."""
    scene.timeline.act("The operator is down, and a person breaks the glass")
    first = begin_attempt(scene, 4)
    wait_for_percent(scene, 1, attempt=4)
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


# --- how it is judged ---


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
