"""For tests of applications: force variants, and see what was asked and measured. Needs no rules.

Knows the inside of `Gates`, and pytest where it is installed. Must not be imported by anything but tests.
Plain: `with forced(gates, {"new-checkout": "treatment"}) as seen:`. With pytest: `pytest_plugins = ["rampgate.testing"]` in the top
conftest.py, then the fixture `rampgate_gates`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import inf
from typing import Any, NamedTuple
from unittest.mock import patch

from rampgate.decision import Decision, Reason
from rampgate.exposure import Observer
from rampgate.forced import Forced
from rampgate.gates import Context, Gates
from rampgate.rules import parse_entry
from rampgate.sources.memory import MemorySource

_NO_VALUE = object()


class Request(NamedTuple):
    """A measured request that ended."""

    gate: str
    variant: str | None
    failed: bool
    seconds: float


class Outcome(NamedTuple):
    """Something that a measured request recorded."""

    gate: str
    variant: str | None
    outcome: str
    value: float


class Seen(Observer):
    """What was asked of `gates` and measured by them, in order; and what they are forced to.

    `exposures` are the decisions that were given out, each time; `peek` is none. All three are lists: clear them if you like.
    """

    def __init__(self, gates: Gates) -> None:
        self.gates = gates
        self.exposures: list[Decision] = []
        self.requests: list[Request] = []
        self.outcomes: list[Outcome] = []
        self._in_force = gates._in_force
        self._before = gates._in_force.forced
        self._decide, self._peek = gates.decide, gates.peek
        self._variants: dict[str, str] = {}
        self._values: dict[str, object] = {}

    def force(self, gate: str, variant: str | None, *, value: object = _NO_VALUE) -> None:
        """Serve `variant` of `gate` to everybody from now on; None: whatever it would be otherwise.

        Its value is `value`, else the one in the rules, else the caller's default. Raises ValueError if there are rules and they do not
        know the gate or the variant.
        """
        names = self.gates.names()
        if variant is not None and names and gate not in names:
            raise ValueError(f"the rules have no gate {gate!r}, only {', '.join(sorted(names))}")
        loaded = self._in_force.state.snapshot.gates.get(gate)
        known = parse_entry(loaded.good).names if loaded is not None and loaded.good is not None else ()
        if variant is not None and known and variant not in known:
            raise ValueError(f"{gate} has no variant {variant!r}, only {', '.join(known)}")
        self._variants.pop(gate, None)
        self._values.pop(gate, None)
        if variant is not None:
            self._variants[gate] = variant
            if value is not _NO_VALUE:
                self._values[gate] = value
        self._in_force.force(_Chosen(self._variants, otherwise=self._before))

    def served(self, gate: str) -> list[str | None]:
        """Names of the variants that were given out for `gate`, in order; None where the caller's default was."""
        return [decision.variant for decision in self.exposures if decision.gate == gate]

    def finished(self, decision: Decision, *, seconds: float, failed: bool, is_first_failure: bool) -> None:  # noqa: ARG002
        """Remember a request."""
        self.requests.append(Request(decision.gate, decision.variant, failed, seconds))

    def recorded(self, decision: Decision, *, outcome: str, value: float) -> None:
        """Remember an outcome."""
        self.outcomes.append(Outcome(decision.gate, decision.variant, outcome, value))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See all, until the block ends; then nothing is forced any more."""
        self._in_force.audience.add(self)
        try:
            with patch.multiple(self.gates, decide=self._decided, value=self._valued, peek=self._peeked):
                yield
        finally:
            self._in_force.audience.remove(self)
            self._in_force.force(self._before)

    def _decided(self, gate: str, context: Context = None, *, default: object = None) -> Decision:
        decision = self._with_value(self._decide(gate, context, default=default))
        self.exposures.append(decision)
        return decision

    def _valued(self, gate: str, context: Context = None, *, default: object) -> Any:  # noqa: ANN401 - any JSON
        return self._decided(gate, context, default=default).value

    def _peeked(self, gate: str, context: Context = None, *, default: object = None) -> Decision:
        return self._with_value(self._peek(gate, context, default=default))

    def _with_value(self, decision: Decision) -> Decision:
        if decision.reason is not Reason.OVERRIDE or decision.gate not in self._values:
            return decision
        return decision._replace(value=self._values[decision.gate])


class _Chosen(Forced):
    """What a test forces, by the gates' own names; then what is forced otherwise."""

    def __init__(self, variants: Mapping[str, str], *, otherwise: Forced) -> None:
        super().__init__({})
        self._chosen = dict(variants)
        self._otherwise = otherwise

    def variant(self, gate: str) -> str:
        """The variant that is forced for a gate; empty when none is."""
        return self._chosen.get(gate) or self._otherwise.variant(gate)


class ForcedGates(Gates):
    """Gates without rules: what is not forced is the caller's default. `seen` is what was asked of them, and forces."""

    def __init__(self) -> None:
        super().__init__(MemorySource({}), stale_after=inf)
        self.seen = Seen(self)

    def force(self, gate: str, variant: str | None, *, value: object = _NO_VALUE) -> None:
        """Serve `variant` of `gate` to everybody from now on, with `value` (else the caller's default); None: no longer."""
        self.seen.force(gate, variant, value=value)


@contextmanager
def forced(gates: Gates | None = None, variants: Mapping[str, str] | None = None) -> Iterator[Seen]:
    """Force variants of an application's gates, or of new ones without rules, and give what is seen; both end with the block.

    Raises ValueError if there are rules for a gate and they do not know its variant.
    """
    seen = ForcedGates().seen if gates is None else Seen(gates)
    with seen.watching():
        for gate, variant in (variants or {}).items():
            seen.force(gate, variant)
        yield seen


def _rampgate_gates() -> Iterator[ForcedGates]:
    """Gates that serve what the test forces: `rampgate_gates.force(gate, variant)`; `rampgate_gates.seen` is what was asked of them."""
    with ForcedGates() as gates, gates.seen.watching():
        yield gates


with suppress(ImportError):  # other test runners have `forced`
    import pytest

    rampgate_gates = pytest.fixture(name="rampgate_gates")(_rampgate_gates)
