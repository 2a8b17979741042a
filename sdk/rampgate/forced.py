"""Variants that a developer forces with environment variables: `RAMPGATE_OVERRIDE_NEW_CHECKOUT=treatment`.

Knows the variables' names and when they are refused. Must not know entries or decisions.
"""

from collections.abc import Collection, Mapping

from rampgate.trouble import Trouble

PREFIX = "RAMPGATE_OVERRIDE_"
STAGE = "RAMPGATE_ENV"
_PRODUCTION = "production"
_SUBJECT = "RAMPGATE_OVERRIDE_*"


class Forced:
    """What an environment forces. Empty, and loudly so, when `RAMPGATE_ENV` is `production`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        found = {name: variant for name, variant in environment.items() if name.startswith(PREFIX) and variant}
        trouble = Trouble(_SUBJECT)
        self._variants: Mapping[str, str] = found
        self._ignored: dict[str, Trouble] = {}
        if not found:
            return
        names = ", ".join(sorted(found))
        if environment.get(STAGE, "").strip().lower() == _PRODUCTION:
            self._variants = {}
            trouble.report(f"REFUSED, because {STAGE} is {_PRODUCTION}: {names}. Everybody is served by the rules alone")
        else:
            trouble.report(f"rules are not asked for what is forced here: {names}. Never set these where users are")

    def variant(self, gate: str) -> str:
        """The variant that is forced for a gate; empty when none is."""
        return self._variants.get(_name(gate), "") if self._variants else ""

    def check_names(self, gates: Collection[str]) -> None:
        """Say so if a variant is forced for a gate that the rules do not have: it may be misspelled."""
        known = {_name(gate) for gate in gates} if self._variants else set()
        for name in self._variants:
            problem = "" if name in known else f"{name} is for no gate of the rules, which have {', '.join(sorted(gates)) or 'none'}"
            self._ignored.setdefault(name, Trouble(_SUBJECT)).report(problem)

    def check(self, gate: str, known: Collection[str]) -> None:
        """Say so if the variant that is forced for a gate is none of those that its rules know: then they decide."""
        forced = self.variant(gate)
        if forced:
            problem = "" if forced in known else f"{gate} is served by its rules: they know no variant {forced!r}, only {', '.join(known)}"
            self._ignored.setdefault(gate, Trouble(_SUBJECT)).report(problem)


def _name(gate: str) -> str:
    return PREFIX + gate.upper().replace("-", "_").replace(".", "_")
