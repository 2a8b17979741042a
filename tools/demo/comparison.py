"""The acts in which treatment is compared with control: a regression that no threshold would see, and an incident that hits both.

The incident's errors are above the regression's: whatever limit finds the one rolls back for the other. The statistics are the product's
own and so is the time they take; only the traffic is dense, so that one can watch.
"""

import json
import re
import time

from tools.demo.checks import Check
from tools.demo.deeds import Play, apply, begin_attempt, excerpt, first_rules, wait_for_percent
from tools.demo.sources import get, query_url, reading
from tools.demo.stage import GATE, NAMESPACE, Stage

USUAL, INCIDENT, REGRESSION = 0.01, 0.03, 0.02
"""Shares of checkouts that fail: always, of everybody in the incident, of the treatment after its regression."""
USUAL_SECONDS = 3
INCIDENT_SECONDS, RATE_SECONDS = 8, 6
FOUND_WITHIN = 60.0
"""Seconds of patience; of 300 simulated regressions with this traffic, half were found within 8 s, and all within 23 s."""
TREATED, OTHERS = "treatment", "control|baseline"


def the_next_attempt_compares_with_control(scene: Play) -> None:
    """The only way back, and it begins at 0 %."""
    scene.timeline.act("A higher attempt begins again, and compares with control")
    scene.stage.fault(treatment=USUAL, control=USUAL)
    scene.timeline.say(f"{USUAL:.0%} of all checkouts fail from now on, as in any shop")
    began = time.time()
    apply(scene, "new-checkout-compared.yaml")
    first = first_rules(scene, 2, since=began)
    wait_for_percent(scene, 50, attempt=2)
    time.sleep(USUAL_SECONDS)
    served = [rules.value["percent"] for rules in scene.audience.rules.since(first.at)]
    ok = first.value["percent"] == 0 and served[:2] == [0, 1]
    scene.report.record(Check.NEXT_ATTEMPT, ok=ok, detail=f"first rules of attempt 2: {first.value['percent']:g} %")


def the_treatment_gets_a_little_worse_and_is_rolled_back(scene: Play) -> None:
    """One checkout more in a hundred."""
    scene.timeline.act("The treatment gets a little worse")
    began = time.time()
    scene.stage.fault(treatment=REGRESSION)
    scene.timeline.say(f"{REGRESSION:.0%} of the treatment's checkouts fail from now on, {USUAL:.0%} of all others'")
    scene.audience.status.wait(lambda status: status["phase"] == "RolledBack", "RolledBack", since=began, timeout=FOUND_WITHIN)
    last = scene.audience.all_obey("ROLLED_BACK", since=began)[-1]
    scene.stage.fault(treatment=USUAL)
    scene.timeline.say("every process is back on control; nobody was woken", at=last.at)
    scene.timeline.say(f"$ kubectl describe rexp {GATE}    (of its status, the latch)")
    latch = excerpt(scene.stage.kubectl("describe", "rexp", GATE), "Latch")
    scene.timeline.show(latch)
    sentence = re.search(r"treatment [^;]*? look \d+", latch)
    scene.report.record(Check.SUBTLE, ok=sentence is not None, seconds=last.at - began, detail=sentence[0] if sentence else "no sentence")


def an_incident_hits_everybody_and_nothing_is_rolled_back(scene: Play) -> None:
    """The payment provider is in trouble: not the treatment's fault."""
    scene.timeline.act("Another attempt, and an incident that hits both arms")
    begin_attempt(scene, 3)
    wait_for_percent(scene, 50, attempt=3)
    began = time.time()
    scene.stage.fault(treatment=INCIDENT, control=INCIDENT)
    scene.timeline.say(f"{INCIDENT:.0%} of all checkouts fail from now on, whatever users see")
    time.sleep(INCIDENT_SECONDS)
    treated, others = share_failed(scene.stage, TREATED), share_failed(scene.stage, OTHERS)
    ratio = ratio_now(scene.stage)
    scene.stage.fault(treatment=0, control=0)
    scene.timeline.say(f"Prometheus: {treated} of the treatment's checkouts fail, {others} of all others'")
    scene.timeline.say(f"operator: the treatment's errors in this attempt are {ratio} times the others'; the incident is over")
    left = [rules.value["percent"] for rules in scene.audience.rules.since(began)]
    latest = scene.audience.status.latest
    phase = latest.value["phase"] if latest else "nothing"
    scene.report.record(Check.INCIDENT, ok=phase == "Ramping" and not left, detail=f"{treated} and {others} fail; {phase}, ratio {ratio}")


def share_failed(stage: Stage, variants: str) -> str:
    """Ask Prometheus which share of some variants' checkouts failed lately."""
    place = f'namespace="{NAMESPACE}",gate="{GATE}",variant=~"{variants}"'
    failed, total = (f"sum(rate(rampgate_requests_total{{{place}{more}}}[{RATE_SECONDS}s]))" for more in (',outcome="error"', ""))
    share = reading(json.loads(get(query_url(stage.prometheus.url, f"{failed} / {total}"))))
    return "?" if share is None else f"{share:.1%}"


def ratio_now(stage: Stage) -> str:
    """Take what the operator's own metrics say of the last look: looks that nothing acts on are not written to the status one by one."""
    found = re.search(r'rampgate_operator_guardrail_value\{[^}]*guardrail="errors"[^}]*\} (\S+)', get(f"{stage.operator.url}/metrics"))
    return f"{float(found[1]):.2f}" if found else "?"
