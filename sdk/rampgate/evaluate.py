"""From an entry to a function that decides.

Knows the order in which an answer is looked for, and compiles it once when rules load: an evaluation then only compares, hashes and
returns a decision that was built beforehand. Must not know sources, threads, metrics or a caller's default.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from rampgate.bucketing import compile_draw
from rampgate.conditions import compile_condition, is_path, read_path
from rampgate.decision import Decision, Label, Reason
from rampgate.rules import Control, Entry, Rule, Variant

Context = Mapping[str, object]
_SERVED = {"KILLED": Reason.KILLED, "ROLLED_BACK": Reason.ROLLED_BACK}


class CompiledGate(NamedTuple):
    """A gate ready to be evaluated.

    `decide` may raise on a context that is no mapping; `error` is what to serve then. `unit` names the attribute that identifies the
    unit, empty when nothing is drawn. `labels` are the metric labels of everything that can be drawn: the arms and the baseline.
    """

    decide: Callable[[Context], Decision]
    error: Decision
    unit: str = ""
    labels: tuple[str, ...] = ()


class _Answer(Protocol):
    def __call__(self, reason: Reason, label: str = ..., served: Control | Variant = ...) -> Decision: ...


def compile_gate(entry: Entry, *, killed: bool = False) -> CompiledGate:
    """Compile an entry; `killed` says that the ConfigMap's `kill` key names it.

    The order is: kill key, `serve`, override, eligibility, shipped, enrolled, arm.
    """

    def answer(reason: Reason, label: str = Label.NONE, served: Control | Variant = entry.control) -> Decision:
        return Decision(entry.gate, served.name, served.value, reason, entry.generation, entry.attempt, entry.percent, label)

    error = answer(Reason.ERROR)
    if killed:
        return _constant(answer(Reason.KILLED), error)
    if entry.serve is not None:
        return _constant(answer(_SERVED.get(entry.serve, Reason.ERROR)), error)
    if entry.rule is None:
        return _constant(error, error)
    labels = (*(variant.name for variant in entry.rule.variants), Label.BASELINE)
    return CompiledGate(_compile_rule(entry.rule, entry.basis_points, answer=answer), error, entry.rule.unit, labels)


def _constant(decision: Decision, error: Decision) -> CompiledGate:
    return CompiledGate(lambda _context: decision, error)


def _compile_rule(rule: Rule, basis_points: int, *, answer: _Answer) -> Callable[[Context], Decision]:
    """Compile what follows `kill` and `serve`.

    Only overrides and the draw need a unit: a shipped gate serves everybody who is eligible, whether or not we know who it is.
    """
    variants = {variant.name: variant for variant in rule.variants}
    overrides = {
        unit: answer(Reason.OVERRIDE, Label.OVERRIDE, variants[name]) for name, units in reversed(rule.overrides) for unit in units
    }
    plain = tuple((each.attribute, compile_condition(each)) for each in rule.eligibility if not is_path(each.attribute))
    deep = tuple((read_path(each.attribute), compile_condition(each)) for each in rule.eligibility if is_path(each.attribute))
    shipped = None if rule.ship is None else answer(Reason.SHIPPED, served=variants[rule.ship])
    arms = tuple(answer(Reason.ENROLLED, variant.name, variant) for variant in rule.variants)
    draw = compile_draw(
        rule.salt, hash_input=rule.hash_input, basis_points=basis_points, weights=[variant.weight for variant in rule.variants]
    )
    unit_attribute, error, no_unit = rule.unit, answer(Reason.ERROR), answer(Reason.NO_UNIT)
    not_eligible, not_enrolled = answer(Reason.NOT_ELIGIBLE, Label.INELIGIBLE), answer(Reason.NOT_ENROLLED, Label.BASELINE)

    def decide(context: Context) -> Decision:
        """Give the first answer that applies."""
        unit = context.get(unit_attribute)
        text = unit if isinstance(unit, str) else ""
        if text in overrides:
            return overrides[text]
        for attribute, matches in plain:
            if not matches(context.get(attribute)):
                return not_eligible
        for read, matches in deep:
            if not matches(read(context)):
                return not_eligible
        if shipped is not None:
            return shipped
        if not text:
            return no_unit if unit is None or isinstance(unit, str) else error
        arm = draw(text)
        return not_enrolled if arm is None else arms[arm]

    return decide
