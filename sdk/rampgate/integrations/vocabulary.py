"""Rampgate's decisions in OpenFeature's words: what the provider and the OFREP server say alike.

Knows the reasons of the OpenFeature specification (types, "resolution reason"). Must not know any OpenFeature package, nor HTTP.
A decision that names a variant is a resolution that went well, whatever its reason: its value is the rules' own, and an error code would
make clients drop it for the caller's default. That is why ERROR and NO_UNIT, which serve control, come without one.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from rampgate.decision import Decision, Reason

T = TypeVar("T")

REASONS = {
    Reason.KILLED: "DISABLED",
    Reason.ROLLED_BACK: "DISABLED",
    Reason.OVERRIDE: "TARGETING_MATCH",
    Reason.NOT_ELIGIBLE: "DEFAULT",
    Reason.SHIPPED: "TARGETING_MATCH",  # eligibility was asked, so it may differ for the next context: STATIC would invite caches
    Reason.NOT_ENROLLED: "SPLIT",
    Reason.ENROLLED: "SPLIT",
    Reason.NO_UNIT: "DEFAULT",
    Reason.ERROR: "ERROR",
    Reason.UNKNOWN_GATE: "ERROR",
}
STALE = "STALE"
_REMEMBERED = 10_000


def reason_of(decision: Decision) -> str:
    """OpenFeature's reason. What is possibly out of date says that before anything else; `metadata_of` has the rest."""
    return STALE if decision.stale and decision.variant is not None else REASONS[decision.reason]


def metadata_of(decision: Decision) -> dict[str, bool | int | float | str]:
    """Flag metadata: what of a decision OpenFeature has no field for."""
    return {
        "reason": decision.reason.value,
        "generation": decision.generation,
        "attempt": decision.attempt,
        "percent": decision.percent,
        "label": str(decision.label),
    }


class Translated(Generic[T]):
    """What was made of each decision, made once: the rules build their decisions beforehand and give out the same ones again.

    Remembers a bounded number by identity, together with the decision, so that no other can have its place. Stale decisions, and those that
    no rule gave, are made anew at every evaluation, and so are their translations.
    """

    def __init__(self, translate: Callable[[Decision], T]) -> None:
        self._translate = translate
        self._made: dict[int, tuple[Decision, T]] = {}

    def __call__(self, decision: Decision) -> T:
        """Give the translation of `decision`."""
        made = self._made.get(id(decision))
        if made is not None:
            return made[1]
        translated = self._translate(decision)
        if not decision.stale and decision.generation:
            if len(self._made) >= _REMEMBERED:
                self._made = {}
            self._made[id(decision)] = (decision, translated)
        return translated
