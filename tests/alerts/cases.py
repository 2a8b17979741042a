"""What each alert must say, and must not say: a sentence, the series, and after how many minutes which labels it fires with.

Series are in promtool's notation, a sample a minute: `1+2x10` rises from 1 by 2, ten times; at `stale` a series ends.
"""

from dataclasses import dataclass

OF_ONE = 'namespace="shop",experiment="new-checkout"'
GATE = 'namespace="shop",gate="new-checkout"'
OPERATOR = 'namespace="rampgate",job="rampgate-operator"'
ONE = {"namespace": "shop", "experiment": "new-checkout"}
INSTALLED = {"namespace": "rampgate", "job": "rampgate-operator"}
Labels = dict[str, str]


@dataclass(frozen=True)
class Case:
    """`fires` is what stands on the alert beside its severity; None when it must be silent. `value` is the expression's."""

    alert: str
    sentence: str
    series: dict[str, str]
    minutes: int
    fires: Labels | None = None
    value: float = 1


def _waiting(cause: str, samples: str = "1x60", *, reason: str | None = None) -> dict[str, str]:
    return {f'rampgate_operator_experiment_waiting{{{OF_ONE},waiting_for="{cause}",reason="{reason or cause}"}}': samples}


def _percent(phase: str, samples: str) -> dict[str, str]:
    return {f'rampgate_operator_experiment_percent{{{OF_ONE},phase="{phase}"}}': samples}


def _moved(reason: str, at: str) -> dict[str, str]:
    return {f'rampgate_operator_last_transition_timestamp_seconds{{{OF_ONE},reason="{reason}"}}': at}


def _breach(verdict: str = "Breach") -> dict[str, str]:
    return {f'rampgate_operator_guardrail_verdict{{{OF_ONE},guardrail="errors",verdict="{verdict}"}}': "1x60"}


def _generations(wanted: int, *run: int) -> dict[str, str]:
    pods = {f'rampgate_rules_generation{{{GATE},pod="shop-{number}"}}': f"{each}x60" for number, each in enumerate(run)}
    return {f"rampgate_operator_rules_generation{{{OF_ONE}}}": f"{wanted}x60", **pods}


def _flagd(reason: str) -> dict[str, str]:
    return {f'rampgate_operator_condition_false{{{OF_ONE},type="FlagdRendered",reason="{reason}"}}': "1x60"}


def _leads(**replicas: str) -> dict[str, str]:
    return {f'rampgate_operator_leader{{{OPERATOR},pod="{pod}"}}': samples for pod, samples in replicas.items()}


def _operator(metric: str, samples: str, **labels: str) -> dict[str, str]:
    more = "".join(f',{name}="{value}"' for name, value in labels.items())
    return {f"rampgate_operator_{metric}{{{OPERATOR}{more}}}": samples}


def _reconciles(**outcomes: str) -> dict[str, str]:
    found = (_operator("reconcile_seconds_count", samples, outcome=outcome) for outcome, samples in outcomes.items())
    return {series: samples for each in found for series, samples in each.items()}


def _answers(**outcomes: str) -> dict[str, str]:
    found = (_operator("answers_total", samples, source="default", outcome=outcome) for outcome, samples in outcomes.items())
    return {series: samples for each in found for series, samples in each.items()}


GLASS = 'rampgate_operator_break_glass{namespace="shop",config_map="feature-gates"}'
AGE = 'rampgate_rules_age_seconds{namespace="shop",pod="shop-0"}'
RESULTS = f"rampgate_operator_results_valid{{{OF_ONE}}}"
REASON = {"reason": "GuardrailBreached"}

CASES = (
    Case("RampgateRolledBack", "a rollback is told at once", _moved("GuardrailBreached", "540x60"), 10, ONE | REASON, value=60),
    Case("RampgateRolledBack", "and no longer after a quarter of an hour", _moved("GuardrailBreached", "540x60"), 25),
    Case(
        "RampgateRolledBack",
        "one for its deadline is one too",
        _moved("DeadlinePassed", "540x60"),
        9,
        ONE | {"reason": "DeadlinePassed"},
        0,
    ),
    Case("RampgateRolledBack", "a step is none", _moved("Stepped", "540x60"), 10),
    Case("RampgateRolledBack", "a kill is a person's, who knows", _moved("Killed", "540x60"), 10),
    Case(
        "RampgateBreachStands",
        "a breach that rolls nothing back is told",
        _breach() | _percent("Ramping", "10x60"),
        5,
        ONE | {"guardrail": "errors"},
    ),
    Case("RampgateBreachStands", "the last breach of what was rolled back is none", _breach() | _percent("RolledBack", "0x60"), 5),
    Case("RampgateBreachStands", "nor is what cannot be told yet", _breach("Inconclusive") | _percent("Ramping", "10x60"), 5),
    Case("RampgateUnguarded", "without readings for ten minutes", _waiting("Metrics") | _percent("Ramping", "10x60"), 11, ONE),
    Case(
        "RampgateUnguarded",
        "also where it waits because its spec cannot be run, as with a source that is configured no more",
        _waiting("Invalid") | _breach("Error") | _percent("Ramping", "10x60"),
        11,
        ONE,
    ),
    Case(
        "RampgateUnguarded", "what was last read of a ramp that is over is nothing", _breach("NoData") | _percent("Completed", "100x60"), 30
    ),
    Case(
        "RampgateUnguarded",
        "a guardrail that stops nothing may stay without",
        _breach("NoData") | _waiting("Hold") | _percent("Ramping", "10x60"),
        30,
    ),
    Case(
        "RampgateUnguarded",
        "a query that reads further back than the step has lasted guards it all the same",
        _waiting("Metrics", reason="ReadingTooEarly") | _percent("Ramping", "10x60"),
        30,
    ),
    Case("RampgateUnguarded", "a few missed looks are nothing", _waiting("Metrics", "1x5 stale") | _percent("Ramping", "10x60"), 12),
    Case("RampgateUnguarded", "while nobody is exposed there is nothing to guard", _waiting("Metrics") | _percent("Pending", "0x60"), 30),
    Case("RampgateRulesBehind", "an entry that cannot be written", _waiting("Rules"), 3, ONE),
    Case("RampgateRulesBehind", "one that is being written", _waiting("Rules", "1 stale"), 3),
    Case("RampgateRulesBehind", "a hold is a ramp that goes well", _waiting("Hold"), 30),
    Case(
        "RampgateEndNotObeyed",
        "two of three processes do not obey a kill",
        _generations(8, 7, 7, 8) | _percent("Killed", "0x60"),
        4,
        ONE,
        value=2,
    ),
    Case("RampgateEndNotObeyed", "a kubelet's refresh takes its time", _generations(8, 7) | _percent("Killed", "0x60"), 2),
    Case("RampgateEndNotObeyed", "all of them obey a rollback", _generations(8, 8, 9) | _percent("RolledBack", "0x60"), 10),
    Case("RampgateEndNotObeyed", "a step that is not known yet harms nobody", _generations(8, 7) | _percent("Ramping", "10x60"), 10),
    Case("RampgatePodsBehind", "pods that do not take up a step", _waiting("Pods"), 16, ONE),
    Case("RampgatePodsBehind", "pods that take some minutes", _waiting("Pods", "1x8 stale"), 16),
    Case("RampgateSampleRatioMismatch", "while it ramps", {RESULTS: "0x60"} | _percent("Ramping", "10x60"), 2, ONE, value=0),
    Case("RampgateSampleRatioMismatch", "once it was ended it is known", {RESULTS: "0x60"} | _percent("Killed", "0x60"), 2),
    Case("RampgateSampleRatioMismatch", "as they are drawn", {RESULTS: "1x60"} | _percent("Ramping", "10x60"), 2),
    Case("RampgateBreakGlassLeft", "after an hour", {GLASS: "2x90"}, 61, {"namespace": "shop", "config_map": "feature-gates"}, value=2),
    Case("RampgateBreakGlassLeft", "not while it is being used", {GLASS: "2x90"}, 59),
    Case("RampgateBreakGlassLeft", "a key that names nobody", {GLASS: "0x90"}, 80),
    Case("RampgateFlagdBehind", "a document that cannot be written", _flagd("FlagdBehind"), 6, ONE | {"reason": "FlagdBehind"}),
    Case("RampgateFlagdBehind", "a gate that flagd cannot evaluate is its author's to know", _flagd("NotRenderable"), 30),
    Case("RampgateRulesStale", "a process that hears nothing", {AGE: "240+60x60"}, 5, {"namespace": "shop"}),
    Case("RampgateRulesStale", "a process that hears", {AGE: "0.1x60"}, 30),
    Case("RampgateOperatorAbsent", "nothing is scraped", {"up": "1x60"}, 6, {"namespace": "rampgate"}),
    Case(
        "RampgateOperatorAbsent",
        "another team's operator is none of ours",
        {'rampgate_operator_leader{namespace="team-b",job="rampgate-operator"}': "1x60"},
        6,
        {"namespace": "rampgate"},
    ),
    Case("RampgateOperatorAbsent", "it stands by", _leads(one="0x60"), 6),
    Case("RampgateNoLeader", "two that stand by", _leads(one="0x60", two="0x60"), 2, INSTALLED, value=0),
    Case("RampgateNoLeader", "another team's has one of its own", {'rampgate_operator_leader{namespace="team-b",job="b"}': "0x60"}, 10),
    Case("RampgateNoLeader", "one leads", _leads(one="0x60", two="1x60"), 10),
    Case("RampgateNoLeader", "a lease changes hands", _leads(one="1 0x60", two="0 0 1x60"), 10),
    Case("RampgateOperatorLate", "keys wait", _operator("queue_oldest_seconds", "45x60"), 2, INSTALLED, value=45),
    Case("RampgateOperatorLate", "the watch is silent", _operator("watch_behind_seconds", "70x60"), 2, INSTALLED, value=70),
    Case(
        "RampgateOperatorLate",
        "some seconds are none",
        _operator("queue_oldest_seconds", "9x60") | _operator("watch_behind_seconds", "9x60"),
        9,
    ),
    Case("RampgateApiErrors", "one in ten fails", _reconciles(ok="0+90x60", error="0+10x60"), 20, INSTALLED, value=50),
    Case("RampgateApiErrors", "one in a hundred fails", _reconciles(ok="0+99x60", error="0+1x60"), 20),
    Case("RampgateApiErrors", "nothing is asked", _reconciles(ok="0x60", error="0x60"), 20),
    Case("RampgateOperatorBug", "a single one", _reconciles(bug="0x5 1x60"), 7, INSTALLED, value=10 / 7),
    Case("RampgateOperatorBug", "none", _reconciles(bug="0x60"), 7),
    Case("RampgateSourceDown", "no answer at all", _answers(Ok="5x60", Unreachable="0+2x60"), 10, INSTALLED | {"source": "default"}, 10),
    Case("RampgateSourceDown", "some answers time out", _answers(Ok="0+5x60", Timeout="0+2x60"), 10),
    Case("RampgateSourceDown", "a query is wrong", _answers(Ok="0x60", Refused="0+2x60"), 10),
    Case("RampgateNudgesFailing", "a right is missing", _operator("nudges_total", "0+1x60", outcome="forbidden"), 20, INSTALLED, value=5),
    Case("RampgateNudgesFailing", "two bad minutes", _operator("nudges_total", "0x4 3 6 8x60", outcome="error"), 20),
    Case("RampgateNudgesFailing", "all are told", _operator("nudges_total", "0+1x60", outcome="ok"), 20),
)
