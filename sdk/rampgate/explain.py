"""Why a unit sees what it sees: the evaluation of one gate, step by step, in words and figures.

Knows the order of an evaluation (docs/rules-format.md, "Evaluation") and says every step of it; slow, and for people. Applications decide
by `evaluate.py`, which is compiled: tests hold that both give the same decision for every entry and context. Must not know sources,
command lines or how an explanation is printed.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import accumulate
from typing import Any, NamedTuple

from rampgate.bucketing import compile_hash
from rampgate.decision import Decision, Label, Reason
from rampgate.explain_eligibility import Context, Tested, ask_test, shown
from rampgate.rules import Control, Entry, Rule, Variant, parse_entry, plain
from rampgate.snapshot import Loaded


class StepName(StrEnum):
    """The steps of an evaluation, in order."""

    GATE = "gate"
    KILL = "kill"
    SERVE = "serve"
    ENTRY = "entry"
    OVERRIDE = "override"
    ELIGIBILITY = "eligibility"
    SHIP = "ship"
    UNIT = "unit"
    ENROLL = "enroll"
    ARM = "arm"


class Step(NamedTuple):
    """One step: what was found in a sentence, the decision if it gave one, the tests of eligibility, and the figures of a draw."""

    name: StepName
    why: str
    decision: Decision | None = None
    tests: tuple[Tested, ...] = ()
    figures: Mapping[str, Any] = {}


class Explanation(NamedTuple):
    """A decision and the steps that led to it; the last one gave it, and what would come after it was never asked."""

    decision: Decision
    steps: tuple[Step, ...]


class _Case(NamedTuple):
    entry: Entry
    killed: bool
    context: Context

    @property
    def rule(self) -> Rule:
        """What is asked after the step `entry`."""
        assert self.entry.rule is not None
        return self.entry.rule

    @property
    def unit(self) -> object:
        """Whatever the context has for the unit."""
        return self.context.get(self.rule.unit)

    @property
    def text(self) -> str:
        """The unit if it is a text, else an empty one."""
        return plain(self.unit)

    def answer(self, reason: Reason, label: str = Label.NONE, served: Control | Variant | None = None) -> Decision:
        """Decide; control is served unless a variant is."""
        entry, given = self.entry, served or self.entry.control
        return Decision(entry.gate, given.name, given.value, reason, entry.generation, entry.attempt, entry.percent, label)

    def variant(self, name: str) -> Variant:
        """Give a variant by its name."""
        return next(variant for variant in self.rule.variants if variant.name == name)


def explain(gates: Mapping[str, Loaded], gate: str, context: Context, *, default: object = None) -> Explanation:
    """Explain what a snapshot's `gates` decide; `default` is what the caller gets when no rule answers, as for `Gates.decide`."""
    loaded = gates.get(gate)
    if loaded is None:
        why = f"the rules have no gate {gate!r}; they have: {', '.join(sorted(gates)) or 'none'}"
        return _only(Step(StepName.GATE, why, Decision(gate, None, default, Reason.UNKNOWN_GATE)))
    if loaded.good is None:
        return _only(Step(StepName.GATE, f"its entry cannot be read: {loaded.problem}", Decision(gate, None, default, Reason.ERROR)))
    entry = parse_entry(loaded.good)
    case = _Case(entry, loaded.killed, context)
    steps = [Step(StepName.GATE, f"the rules have it, in generation {entry.generation}")]
    for ask in _STEPS:
        step = ask(case)
        steps.append(step)
        if step.decision is not None:
            return Explanation(step.decision, tuple(steps))
    raise AssertionError("the last step always decides")


def _only(step: Step) -> Explanation:
    assert step.decision is not None
    return Explanation(step.decision, (step,))


def _ask_kill(case: _Case) -> Step:
    if case.killed:
        return Step(StepName.KILL, "the ConfigMap's key `kill` names this gate, or is *", case.answer(Reason.KILLED))
    return Step(StepName.KILL, "no key `kill` names this gate")


def _ask_serve(case: _Case) -> Step:
    latch, serve = case.entry.latch, case.entry.serve
    match serve:
        case None:
            return Step(StepName.SERVE, f"attempt {case.entry.attempt} has neither been killed nor rolled back")
        case "KILLED" | "ROLLED_BACK":
            ended = "was killed" if serve == "KILLED" else "was rolled back"
            why = f"attempt {case.entry.attempt} {ended}{f', latched by {latch}' if latch else ''}: everybody gets control"
            return Step(StepName.SERVE, why, case.answer(Reason(serve)))
    return Step(StepName.SERVE, f"`serve` says {shown(serve)}, which this version does not know", case.answer(Reason.ERROR))


def _ask_entry(case: _Case) -> Step:
    if case.entry.rule is None:
        return Step(StepName.ENTRY, f"not understood: {case.entry.problem}", case.answer(Reason.ERROR))
    return Step(StepName.ENTRY, "understood")


def _ask_override(case: _Case) -> Step:
    if not case.rule.overrides:
        return Step(StepName.OVERRIDE, "there is none")
    for override in case.rule.overrides:
        if case.text in override.units:
            decision = case.answer(Reason.OVERRIDE, Label.OVERRIDE, case.variant(override.variant))
            return Step(StepName.OVERRIDE, f"one gives {shown(case.text)} {override.variant}, whatever else holds", decision)
    return Step(StepName.OVERRIDE, f"none lists {shown(case.unit)}" if case.text else "none, since the context names no unit")


def _ask_eligibility(case: _Case) -> Step:
    tests = tuple(ask_test(test, case.context) for test in case.rule.eligibility)
    failed = sum(not test.holds for test in tests)
    if failed:
        why = f"not eligible: {failed} of {len(tests)} do not hold" if len(tests) > 1 else "not eligible: the only test does not hold"
        return Step(StepName.ELIGIBILITY, why, case.answer(Reason.NOT_ELIGIBLE, Label.INELIGIBLE), tests)
    return Step(StepName.ELIGIBILITY, "eligible: all tests hold" if tests else "everybody is eligible", None, tests)


def _ask_ship(case: _Case) -> Step:
    if case.rule.ship is None:
        return Step(StepName.SHIP, "not shipped")
    why = f"shipped: everybody eligible gets {case.rule.ship}, without a draw"
    return Step(StepName.SHIP, why, case.answer(Reason.SHIPPED, served=case.variant(case.rule.ship)))


def _ask_unit(case: _Case) -> Step:
    name, unit = case.rule.unit, case.unit
    if unit is None or (isinstance(unit, str) and not case.text):
        found = f"has no {name}" if unit is None else f"has an empty {name}"
        return Step(StepName.UNIT, f"the context {found}: give it a non-empty string", case.answer(Reason.NO_UNIT))
    if not isinstance(unit, str):
        why = f"{name} is {shown(unit)}, and a unit is a string: write {shown(shown(unit))}"
        return Step(StepName.UNIT, why, case.answer(Reason.ERROR))
    return Step(StepName.UNIT, f"{name} is {shown(unit)}", figures={"attribute": name, "unit": unit})


def _ask_enroll(case: _Case) -> Step:
    text, hashed = _hash(case, "enroll")
    bucket = hashed * 10_000 >> 32
    figures = {"text": text, "hashInput": case.rule.hash_input.value, "hash": hashed, "bucket": bucket / 100, "percent": case.entry.percent}
    drawn, needed = f"bucket {bucket / 100:.2f} %", f"below {case.entry.percent:.2f} %"
    if bucket < case.entry.basis_points:
        return Step(StepName.ENROLL, f"enrolled: {drawn} is {needed}", figures=figures)
    decision = case.answer(Reason.NOT_ENROLLED, Label.BASELINE)
    return Step(StepName.ENROLL, f"not enrolled: {drawn} is not {needed}", decision, figures=figures)


def _ask_arm(case: _Case) -> Step:
    text, hashed = _hash(case, "arm")
    running = tuple(accumulate(variant.weight for variant in case.rule.variants))
    point = hashed * running[-1] >> 32
    arm = case.rule.variants[bisect_right(running, point)]
    shares = [
        {"variant": variant.name, "weight": variant.weight, "below": end} for variant, end in zip(case.rule.variants, running, strict=True)
    ]
    figures = {
        "text": text,
        "hashInput": case.rule.hash_input.value,
        "hash": hashed,
        "point": point,
        "total": running[-1],
        "shares": shares,
    }
    ranges = ", ".join(f"{share['variant']} has {_range(share)}" for share in shares)
    decision = case.answer(Reason.ENROLLED, arm.name, arm)
    return Step(StepName.ARM, f"{arm.name}: drew {point} of 0 to {running[-1] - 1}; {ranges}", decision, figures=figures)


def _range(share: Mapping[str, Any]) -> str:
    first, last = share["below"] - share["weight"], share["below"] - 1
    return "none" if last < first else f"{first}" if first == last else f"{first} to {last}"


def _hash(case: _Case, purpose: str) -> tuple[str, int]:
    hashed = compile_hash(case.rule.salt, purpose, hash_input=case.rule.hash_input)(case.text)
    return f"{case.rule.salt}:{purpose}:{case.text}", hashed


_STEPS: tuple[Callable[[_Case], Step], ...] = (
    _ask_kill,
    _ask_serve,
    _ask_entry,
    _ask_override,
    _ask_eligibility,
    _ask_ship,
    _ask_unit,
    _ask_enroll,
    _ask_arm,
)
