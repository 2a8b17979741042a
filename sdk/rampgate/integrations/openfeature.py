"""A provider for the OpenFeature SDK (extra `openfeature`).

Knows OpenFeature's types, error codes and events. Must not know how decisions are made, nor where rules come from.
"""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.hook import Hook
from openfeature.immutable_dict.mapping_proxy_type import MappingProxyType
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from rampgate.decision import Decision
from rampgate.decision import Reason as Why
from rampgate.gates import Gates
from rampgate.integrations.vocabulary import Translated, metadata_of, reason_of

OnTrack = Callable[[str, EvaluationContext | None, TrackingEventDetails | None], None]
"""Called with the name of what happened, the merged context and the details, on the thread that tracked it."""

TARGETING_KEY = "targetingKey"
NO_RULES = "no rules yet: see the log of `rampgate`"

_BOOLEAN, _STRING, _INTEGER, _OBJECT = frozenset({bool}), frozenset({str}), frozenset({int}), frozenset({dict, list})
_FLOAT = frozenset({float, int})
_Types = frozenset[type]
_Details = FlagResolutionDetails[Any]
_Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class RampgateProvider(AbstractProvider):
    """Answers an OpenFeature client from `gates`, which it owns from now on: `shutdown` closes them.

    `wait` is the seconds that its initialisation may wait for the first rules, for gates that were made without waiting themselves.
    `hooks` run with every evaluation, as the provider's. `on_track` hears what the application tracks; without it that goes nowhere.

    Evaluations are exposures, as `Gates.decide`'s are. The unit is the attribute that the experiment names: `targetingKey` is the
    context's targeting key, anything else one of its attributes.
    """

    def __init__(self, gates: Gates, *, wait: float = 0, hooks: Sequence[Hook] = (), on_track: OnTrack | None = None) -> None:
        super().__init__()
        self._gates = gates
        self._wait = wait
        self._hooks = list(hooks)
        self._on_track = on_track
        self._metadata = Metadata(name="rampgate")
        self._resolved = Translated(_resolve)
        self._starting = Lock()
        self._came_late = False
        gates.listen(on_change=self._tell_change, on_stale=self._tell_stale)

    def get_metadata(self) -> Metadata:
        """Name this provider."""
        return self._metadata

    def get_provider_hooks(self) -> list[Hook]:
        """Give the hooks that the constructor was given."""
        return self._hooks

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - a context belongs to an evaluation
        """Be ready when there are rules, or raise ProviderNotReadyError after the wait. READY follows when they come."""
        if self._gates.is_closed:
            raise ProviderFatalError("its gates are closed, as `shutdown` leaves them: make new ones and a provider for them")
        self._gates.wait_until_ready(self._wait)
        with self._starting:
            self._came_late = not self._gates.is_ready
        if self._came_late:
            raise ProviderNotReadyError(NO_RULES)

    def shutdown(self) -> None:
        """Close the gates. Clients that still ask are answered by the last rules."""
        self._gates.close()

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Pass on what the application tracks."""
        if self._on_track is not None:
            self._on_track(tracking_event_name, evaluation_context, tracking_event_details)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean."""
        return self._details(flag_key, default_value, evaluation_context, _BOOLEAN)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a string."""
        return self._details(flag_key, default_value, evaluation_context, _STRING)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer; a boolean is none."""
        return self._details(flag_key, default_value, evaluation_context, _INTEGER)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a number; an integer becomes a float."""
        details = self._details(flag_key, default_value, evaluation_context, _FLOAT)
        return details if type(details.value) is float else _as_float(details, default_value)

    def resolve_object_details(
        self, flag_key: str, default_value: _Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[_Object]:
        """Resolve an object or a list; it is shared by all evaluations: do not change it."""
        return self._details(flag_key, default_value, evaluation_context, _OBJECT)

    def _details(self, gate: str, default: object, context: EvaluationContext | None, types: _Types) -> _Details:
        attributes = _attributes(context)
        seen = self._gates.peek(gate, attributes, default=default)
        if seen.variant is not None and type(seen.value) not in types:
            return _mismatch(seen, default)  # whoever is served the caller's default was exposed to nothing, so nobody may count it
        decision = self._gates.decide(gate, attributes, default=default)
        return self._unresolved(decision) if decision.variant is None else self._resolved(decision)

    def _unresolved(self, decision: Decision) -> _Details:
        if decision.reason is Why.UNKNOWN_GATE:
            return _failure(decision.value, ErrorCode.FLAG_NOT_FOUND, f"the rules have no gate {decision.gate!r}")
        if not self._gates.is_ready:
            return _failure(decision.value, ErrorCode.PROVIDER_NOT_READY, NO_RULES)
        return _failure(decision.value, ErrorCode.PARSE_ERROR, "the gate's entry was never understood: see the log of `rampgate`")

    def _tell_change(self, gates: frozenset[str]) -> None:
        self._resolved.forget()
        with self._starting:
            came_late, self._came_late = self._came_late, False
        if came_late:
            self.emit_provider_ready(ProviderEventDetails())
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=sorted(gates)))

    def _tell_stale(self, is_stale: bool) -> None:
        if not self._gates.is_ready:
            return  # to have no rules yet is an error, and worse than stale ones
        if is_stale:
            self.emit_provider_stale(ProviderEventDetails(message="the source has not confirmed its rules for too long"))
        else:
            self.emit_provider_ready(ProviderEventDetails())


def _attributes(context: EvaluationContext | None) -> Mapping[str, object]:
    if context is None:
        return {}
    if context.targeting_key is None:
        return context.attributes
    return {**context.attributes, TARGETING_KEY: context.targeting_key}


def _resolve(decision: Decision) -> _Details:
    return FlagResolutionDetails(
        decision.value,
        reason=Reason(reason_of(decision)),
        variant=decision.variant,
        flag_metadata=MappingProxyType(metadata_of(decision)),  # one for all evaluations: a hook must not be able to change it
    )


def _mismatch(decision: Decision, default: object) -> _Details:
    found = f"gate {decision.gate} has values of type {type(decision.value).__name__}"
    return _failure(default, ErrorCode.TYPE_MISMATCH, found, MappingProxyType(metadata_of(decision)))


def _failure(default: object, code: ErrorCode, message: str, metadata: Mapping[str, bool | int | float | str] | None = None) -> _Details:
    return FlagResolutionDetails(default, error_code=code, error_message=message, reason=Reason.ERROR, flag_metadata=metadata or {})


def _as_float(details: _Details, default: float) -> _Details:
    if details.error_code is not None:
        return details
    try:
        value = float(details.value)
    except OverflowError:
        return _failure(default, ErrorCode.TYPE_MISMATCH, "the value is an integer beyond what a float holds", details.flag_metadata)
    return FlagResolutionDetails(value, reason=details.reason, variant=details.variant, flag_metadata=details.flag_metadata)
