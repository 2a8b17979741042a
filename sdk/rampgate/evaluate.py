"""From an entry to a function that decides.

Knows the order in which an answer is looked for, and compiles it once: an evaluation then only compares, hashes, counts and returns a
decision that was built beforehand. Must not know sources, threads, metrics or a caller's default.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple, Protocol

from rampgate.bucketing import compile_draw
from rampgate.decision import Decision, Label, Reason
from rampgate.rules import Control, Entry, Rule, Variant, plain

Context = Mapping[str, object]
Decide = Callable[[Context], Decision]
_SERVED = {"KILLED": Reason.KILLED, "ROLLED_BACK": Reason.ROLLED_BACK}


class Memory:
    """Whom some rules have exposed: hash of a unit to its arm's index, in two halves of which the older one is forgotten first."""

    __slots__ = ("__weakref__", "failed_newer", "failed_older", "newer", "older")

    def __init__(self) -> None:
        self.newer: dict[int, int] = {}
        self.older: dict[int, int] = {}
        self.failed_newer: set[int] = set()
        self.failed_older: set[int] = set()


class Counting(Protocol):
    """Who counts what a gate decides."""

    def ticks(self, decision: Decision) -> Iterator[int]:
        """What to advance by one whenever this is decided."""

    def memory(self, draw: Hashable) -> Memory | None:
        """Whom a draw, told apart by all that it depends on, has exposed; None when nobody wants to know."""

    def exposed(self, memory: Memory, decision: Decision, unit: str, *, arm: int) -> None:
        """Hear of a unit that is not in the memory's newer half, and remember its arm."""


class Uncounted:
    """Counts nothing: for those who only want to know the answer."""

    def ticks(self, decision: Decision) -> Iterator[int]:
        """Advance a number that nobody reads."""
        del decision
        return count()

    def memory(self, draw: Hashable) -> None:
        """Remember nobody."""
        del draw

    def exposed(self, memory: Memory, decision: Decision, unit: str, *, arm: int) -> None:
        """Not asked, because nobody is remembered."""


class CompiledGate(NamedTuple):
    """A gate ready to be evaluated.

    `decide` may raise on a context that is no mapping; `error` is what to serve then. `unit` names the attribute that identifies the
    unit, empty when nothing is drawn. `memory` holds whom the draw has exposed, if anybody wants to know.
    """

    decide: Decide
    error: Decision
    unit: str = ""
    memory: Memory | None = None


Answer = tuple[Decision, Iterator[int]]
"""A decision that was built beforehand, and what counts it. Not a named tuple: plain ones are unpacked faster, which is their whole use."""


class _Answers:
    """Builds a gate's decisions, each with what counts it."""

    def __init__(self, entry: Entry, counting: Counting) -> None:
        self._entry = entry
        self._counting = counting

    def __call__(self, reason: Reason, label: str = Label.NONE, served: Control | Variant | None = None) -> Answer:
        entry, (name, value, *_) = self._entry, served or self._entry.control
        decision = Decision(entry.gate, name, value, reason, entry.generation, entry.attempt, entry.percent, label)
        return decision, self._counting.ticks(decision)


def compile_gate(entry: Entry, *, killed: bool = False, forced: str = "", counting: Counting | None = None) -> CompiledGate:
    """Compile an entry; `killed` says that the ConfigMap's `kill` key names it, `forced` names a variant that everybody gets.

    The order is: forced (for development alone), kill key, `serve`, override, eligibility, shipped, enrolled, arm.
    """
    counting = counting or Uncounted()
    build = _Answers(entry, counting)
    error, _ = build(Reason.ERROR)
    variants = {variant.name: variant for variant in entry.rule.variants} if entry.rule else {}
    if forced in variants:
        return CompiledGate(_constant(build(Reason.OVERRIDE, Label.OVERRIDE, variants[forced])), error)
    memory = counting.memory((entry.gate, entry.attempt, entry.basis_points, entry.rule.draw)) if entry.rule else None
    if killed:  # the draw comes back once the glass is mended, and is remembered until then
        return CompiledGate(_constant(build(Reason.KILLED)), error, memory=memory)
    if entry.serve is not None:
        return CompiledGate(_constant(build(_SERVED.get(entry.serve, Reason.ERROR))), error)
    if entry.rule is None:
        return CompiledGate(_constant(build(Reason.ERROR)), error)
    decide = _compile_rule(entry.rule, entry.basis_points, build=build, counting=counting, memory=memory)
    return CompiledGate(decide, error, entry.rule.unit, memory)


def stale(decide: Decide) -> Decide:
    """Decide likewise, and say that the rules have not been confirmed for too long."""
    return lambda context: decide(context)._replace(stale=True)


def _constant(answer: Answer) -> Decide:
    decision, ticks = answer

    def decide(_context: Context) -> Decision:
        next(ticks)
        return decision

    return decide


def _eligibility(rule: Rule) -> tuple[Any, Any]:
    from rampgate.eligibility import compile_eligibility  # noqa: PLC0415 - as in rules.py, by which it has been loaded by now

    return compile_eligibility(rule.eligibility)


def _is_member(value: object, texts: frozenset[str]) -> bool:
    return isinstance(value, str) and value in texts


def _arms(rule: Rule, build: _Answers) -> tuple[Answer, ...]:
    """What each draw answers, by its index; NOT_ENROLLED is the index -1."""
    drawn = (build(Reason.ENROLLED, variant.name, variant) for variant in rule.variants)
    return (*drawn, build(Reason.NOT_ENROLLED, Label.BASELINE))


def _compile_rule(  # noqa: C901 - it would read better in pieces, but each would be a call in every evaluation
    rule: Rule, basis_points: int, *, build: _Answers, counting: Counting, memory: Memory | None
) -> Decide:
    """Compile what follows `kill` and `serve`.

    Only overrides and the draw need a unit: a shipped gate serves everybody who is eligible, whether or not we know who it is.
    """
    variants = {variant.name: variant for variant in rule.variants}
    overridden = {name: build(Reason.OVERRIDE, Label.OVERRIDE, variants[name]) for name, _ in rule.overrides}
    overrides = {unit: overridden[name] for name, units in reversed(rule.overrides) for unit in units}
    memberships, tests = _eligibility(rule)
    shipped = None if rule.ship is None else build(Reason.SHIPPED, served=variants[rule.ship])
    weights = [variant.weight for variant in rule.variants]
    draw = compile_draw(rule.salt, hash_input=rule.hash_input, basis_points=basis_points, weights=weights)
    arms = _arms(rule, build)
    unit_attribute, error, no_unit = rule.unit, build(Reason.ERROR), build(Reason.NO_UNIT)
    not_eligible, ineligible_ticks = build(Reason.NOT_ELIGIBLE, Label.INELIGIBLE)
    exposed = counting.exposed

    def decide(context: Context) -> Decision:
        """Give the first answer that applies, and count it."""
        unit = context.get(unit_attribute)
        text = unit if unit.__class__ is str else plain(unit)
        if overrides and text in overrides:
            decision, ticks = overrides[text]
            next(ticks)
            return decision
        for attribute, texts in memberships:
            value = context.get(attribute)
            if value not in texts if value.__class__ is str else not _is_member(value, texts):
                next(ineligible_ticks)
                return not_eligible
        for matches in tests:
            if not matches(context):
                next(ineligible_ticks)
                return not_eligible
        if shipped is not None:
            decision, ticks = shipped
        elif not text:
            decision, ticks = no_unit if unit is None or isinstance(unit, str) else error
        else:
            # Whoever is remembered need not be drawn again, which is faster than two hashes.
            arm = None if memory is None else memory.newer.get(hash(text))
            if arm is None:
                arm = draw(text)
                if memory is not None:
                    exposed(memory, arms[arm][0], text, arm=arm)
            decision, ticks = arms[arm]
        next(ticks)
        return decision

    return decide
