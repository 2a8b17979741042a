"""Rampgate's decisions in OpenFeature's words: what the provider, the OFREP server and the sinks say alike.

Knows the reasons of the OpenFeature specification (types, "resolution reason"), and OpenTelemetry's names for the same things (semantic
conventions, "feature flags in events"). Must not know any package of either, nor HTTP.
A decision that names a variant is a resolution that went well, whatever its reason: its value is the rules' own, and an error code would
make clients drop it for the caller's default. That is why ERROR and NO_UNIT, which serve control, come without one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from rampgate.decision import Decision, Reason

if TYPE_CHECKING:
    from rampgate.sinks import Exposure

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
_REMEMBERED = 2_000


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


EVENT = "feature_flag.evaluation"
PROVIDER = "rampgate"


def attributes_of(exposure: "Exposure", *, set_id: str = "") -> dict[str, str | int | float]:
    """Attributes of OpenTelemetry's event. What it has no name for, an analyst needs all the same: it stands under `rampgate.`.

    The value is left out: it may be large, and the convention asks for it only where a variant has no name.
    """
    known = {
        "feature_flag.result.variant": exposure.variant,
        "feature_flag.context.id": exposure.unit,
        "feature_flag.set.id": set_id or None,
    }
    return {
        "feature_flag.key": exposure.gate,
        "feature_flag.provider.name": PROVIDER,
        "feature_flag.result.reason": REASONS[exposure.reason].lower(),
        "feature_flag.version": str(exposure.generation),
        **{name: value for name, value in known.items() if value is not None},
        "rampgate.label": exposure.label,
        "rampgate.reason": exposure.reason.value,
        "rampgate.attempt": exposure.attempt,
        "rampgate.percent": exposure.percent,
    }


class Translated(Generic[T]):
    """What was made of each decision, made once: the rules build their decisions beforehand and give out the same ones again.

    Remembers a bounded number by identity, together with the decision, so that no other can have its place. Stale decisions, and those that
    no rule gave, are made anew at every evaluation, and so are their translations.
    """

    def __init__(self, translate: Callable[[Decision], T]) -> None:
        self._translate = translate
        self._made: dict[int, tuple[Decision, T]] = {}

    def forget(self) -> None:
        """Begin anew, when rules have changed: what was made of the old ones need not be kept."""
        self._made = {}

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
