"""rampgate.integrations.openfeature, asked through the real client of openfeature-sdk."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions, Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails
from prometheus_client import CollectorRegistry

from rampgate import Gates, in_force
from rampgate import Reason as Why
from rampgate.integrations.openfeature import RampgateProvider
from rampgate.integrations.prometheus import PrometheusMetrics
from rampgate.integrations.vocabulary import REASONS
from rampgate.snapshot import FORMAT_KEY, FORMAT_VALUE, Keys
from rampgate.sources import Receiver
from rampgate.sources.memory import MemorySource
from tests.sdk.entries import Fields, entry
from tests.sdk.waiting import eventually

USER = EvaluationContext(attributes={"userId": "u-1"})
SHOP = "shop"


class Silent:
    """A source that says nothing until it is told to."""

    receiver: Receiver

    def start(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def start_in_child(self) -> None:
        pass

    def close(self) -> None:
        pass

    def deliver(self, keys: Keys | None = None) -> None:
        self.receiver.deliver(keys if keys is not None else {FORMAT_KEY: FORMAT_VALUE.encode()})


@pytest.fixture(autouse=True)
def no_providers() -> Iterator[None]:
    yield
    api.clear_providers()
    api.clear_hooks()


def client_of(gates: Gates, **options: Any) -> OpenFeatureClient:
    api.set_provider_and_wait(RampgateProvider(gates, **options), SHOP)
    return api.get_client(SHOP)


def serving(value: object, **changes: Any) -> Fields:
    """Everybody gets `value`."""
    return entry(
        percent=100,
        control={"name": "control", "value": None},
        variants=[{"name": "control", "value": None, "weight": 0}, {"name": "treatment", "value": value, "weight": 1}],
        **changes,
    )


def details_of(client: OpenFeatureClient, kind: str, default: Any, context: EvaluationContext = USER) -> FlagEvaluationDetails[Any]:
    found: FlagEvaluationDetails[Any] = getattr(client, f"get_{kind}_details")("g", default, context)
    return found


TYPES = [
    ("boolean", True, False),
    ("string", "new", "old"),
    ("string", "", "old"),
    ("integer", 7, 0),
    ("integer", 0, 7),
    ("integer", 10**400, 7),
    ("float", 0.5, 0.0),
    ("object", {"a": [1, {"b": None}]}, {}),
    ("object", ["a", 1], []),
]


@pytest.mark.parametrize(("kind", "value", "default"), TYPES)
def test_a_value_of_the_type_that_was_asked_for_is_resolved(kind: str, value: object, default: object) -> None:
    details = details_of(client_of(Gates.from_rules({"g": serving(value)})), kind, default)
    assert (details.value, type(details.value), details.error_code) == (value, type(value), None)


@pytest.mark.parametrize(("kind", "value", "default"), TYPES)
async def test_the_asynchronous_client_gets_the_same(kind: str, value: object, default: object) -> None:
    client = client_of(Gates.from_rules({"g": serving(value)}))
    assert await getattr(client, f"get_{kind}_details_async")("g", default, USER) == details_of(client, kind, default)


def test_an_integer_is_a_float_to_those_who_ask_for_one() -> None:
    details = details_of(client_of(Gates.from_rules({"g": serving(3)})), "float", 0.5)
    assert (details.value, type(details.value), details.variant, details.error_code) == (3.0, float, "treatment", None)


@pytest.mark.parametrize(
    ("kind", "value", "default"),
    [
        ("boolean", "true", False),
        ("boolean", 1, False),
        ("boolean", None, False),
        ("string", 1, "old"),
        ("string", None, "old"),
        ("integer", True, 7),
        ("integer", 1.0, 7),
        ("integer", "1", 7),
        ("float", True, 0.5),
        ("float", "0.5", 0.5),
        ("float", 10**400, 0.5),
        ("object", "{}", {"kept": True}),
        ("object", None, ["kept"]),
    ],
)
def test_a_value_of_another_type_is_type_mismatch_and_the_callers_default(kind: str, value: object, default: object) -> None:
    details = details_of(client_of(Gates.from_rules({"g": serving(value)})), kind, default)
    assert (details.value, details.reason, details.error_code) == (default, Reason.ERROR, ErrorCode.TYPE_MISMATCH)
    assert details.flag_metadata["reason"] == "ENROLLED"


def test_who_gets_the_default_for_a_mismatch_was_exposed_to_nothing_and_is_not_counted() -> None:
    registry = CollectorRegistry()
    gates = Gates.from_rules({"g": serving("text")}, metrics=PrometheusMetrics(registry))
    details_of(client_of(gates), "boolean", False)
    assert registry.get_sample_value("rampgate_exposures_total", {"gate": "g", "variant": "treatment", "reason": "ENROLLED"}) == 0
    details_of(client_of(gates), "string", "")
    assert registry.get_sample_value("rampgate_exposures_total", {"gate": "g", "variant": "treatment", "reason": "ENROLLED"}) == 1


ON = {"overrides": [{"variant": "treatment", "units": ["u-1"]}]}
NOBODY = {"eligibility": [{"attribute": "country", "in": ["US"]}]}
RESOLVED = [
    ("a kill", {"serve": "KILLED"}, USER, Why.KILLED, Reason.DISABLED, "control"),
    ("a rollback", {"serve": "ROLLED_BACK"}, USER, Why.ROLLED_BACK, Reason.DISABLED, "control"),
    ("an override", ON, USER, Why.OVERRIDE, Reason.TARGETING_MATCH, "treatment"),
    ("not eligible", NOBODY, USER, Why.NOT_ELIGIBLE, Reason.DEFAULT, "control"),
    ("shipped", {"ship": "treatment"}, EvaluationContext(), Why.SHIPPED, Reason.TARGETING_MATCH, "treatment"),
    ("not enrolled", {"percent": 0}, USER, Why.NOT_ENROLLED, Reason.SPLIT, "control"),
    ("an arm", {"percent": 100, "salt": "x"}, USER, Why.ENROLLED, Reason.SPLIT, None),
    ("no unit", {}, EvaluationContext(), Why.NO_UNIT, Reason.DEFAULT, "control"),
    ("an empty unit", {}, EvaluationContext(attributes={"userId": ""}), Why.NO_UNIT, Reason.DEFAULT, "control"),
    ("a unit that is no string", {}, EvaluationContext(attributes={"userId": 5}), Why.ERROR, Reason.ERROR, "control"),
    ("newer rules", {"format": 2}, USER, Why.ERROR, Reason.ERROR, "control"),
]


@pytest.mark.parametrize(("sentence", "changes", "context", "why", "reason", "variant"), RESOLVED, ids=[row[0] for row in RESOLVED])
def test_a_decision_with_a_variant_is_resolved_with_openfeatures_reason_and_ours(
    sentence: str, changes: Fields, context: EvaluationContext, why: Why, reason: Reason, variant: str | None
) -> None:
    gates = Gates.from_rules({"g": entry(**changes)})
    decision = gates.decide("g", {**context.attributes})
    details = details_of(client_of(gates), "boolean", True, context)
    assert (details.reason, details.error_code, details.flag_metadata["reason"]) == (reason, None, why), sentence
    assert (details.value, details.variant) == (decision.value, decision.variant)
    assert variant in (None, details.variant)


def test_every_reason_but_unknown_gate_is_in_that_table() -> None:
    assert {why for _, _, _, why, _, _ in RESOLVED} | {Why.UNKNOWN_GATE} == set(Why) == set(REASONS)


def test_metadata_says_by_which_rules_it_was_decided() -> None:
    details = details_of(client_of(Gates.from_rules({"g": entry(percent=12.5, **ON)})), "boolean", False)
    assert details.flag_metadata == {"reason": "OVERRIDE", "generation": 1795600000, "attempt": 1, "percent": 12.5, "label": "override"}
    assert {type(value) for value in details.flag_metadata.values()} == {str, int, float}


def test_a_hook_cannot_change_what_others_are_told() -> None:
    details = details_of(client_of(Gates.from_rules({"g": entry()})), "boolean", False)
    with pytest.raises(TypeError):
        details.flag_metadata["reason"] = "mine"  # type: ignore[index]  # the point of the test


@pytest.mark.parametrize(
    ("sentence", "gates", "code"),
    [
        ("an unknown gate", lambda: Gates.from_rules({}), ErrorCode.FLAG_NOT_FOUND),
        ("bytes that never were an entry", lambda: Gates.from_rules({"g": "{"}), ErrorCode.PARSE_ERROR),
    ],
)
def test_a_decision_without_a_variant_is_an_error_and_the_callers_default(
    sentence: str, gates: Callable[[], Gates], code: ErrorCode
) -> None:
    details = details_of(client_of(gates()), "string", "mine")
    assert (details.value, details.variant, details.reason, details.error_code) == ("mine", None, Reason.ERROR, code), sentence
    assert details.error_message


def test_the_targeting_key_is_the_default_unit_and_other_units_are_attributes() -> None:
    overrides = [{"variant": "treatment", "units": ["u-1"]}]
    rules = {"g": entry(unit="targetingKey", overrides=overrides), "h": entry(gate="h", overrides=overrides)}
    client = client_of(Gates.from_rules(rules))
    assert client.get_boolean_value("g", False, EvaluationContext("u-1", {"userId": "u-2"})) is True
    assert client.get_boolean_value("h", False, EvaluationContext("u-2", {"userId": "u-1"})) is True
    assert client.get_boolean_value("h", False, EvaluationContext("u-1")) is False


def test_an_instant_in_the_context_is_compared_as_one() -> None:
    since = [{"attribute": "registered", "after": "2026-01-01T00:00:00Z"}]
    client = client_of(Gates.from_rules({"g": entry(eligibility=since, **ON)}))
    later = EvaluationContext(attributes={"userId": "u-2", "registered": datetime(2026, 6, 1, tzinfo=UTC)})
    assert client.get_boolean_details("g", False, later).reason is Reason.SPLIT


def test_an_evaluation_without_a_context_is_one_without_a_unit() -> None:
    assert RampgateProvider(Gates.from_rules({"g": entry()})).resolve_boolean_details("g", True).flag_metadata["reason"] == "NO_UNIT"


def test_stale_rules_are_served_with_the_reason_stale_and_ours_beside() -> None:
    gates = Gates(MemorySource({"g": entry(**ON)}), stale_after=-inf)
    details = details_of(client_of(gates), "boolean", False)
    assert (details.value, details.reason, details.flag_metadata["reason"]) == (True, Reason.STALE, "OVERRIDE")


def heard(client: OpenFeatureClient) -> list[tuple[ProviderEvent, EventDetails]]:
    """Every event from now on, beginning with the state of this moment."""
    events: list[tuple[ProviderEvent, EventDetails]] = []
    for event in ProviderEvent:
        client.add_handler(event, lambda details, event=event: events.append((event, details)))
    return events


def of_kind(events: list[tuple[ProviderEvent, EventDetails]], *wanted: ProviderEvent) -> list[EventDetails]:
    return [details for event, details in list(events) if event in wanted]


def test_a_provider_with_rules_is_ready() -> None:
    client = client_of(Gates.from_rules({}))
    assert client.get_provider_status() is ProviderStatus.READY
    events = heard(client)
    assert eventually(lambda: len(of_kind(events, ProviderEvent.PROVIDER_READY)) == 1)


def test_no_rules_are_an_error_until_they_come_and_then_it_is_ready() -> None:
    source = Silent()
    with pytest.raises(ProviderNotReadyError):
        client_of(Gates(source))
    client = api.get_client(SHOP)
    details = details_of(client, "string", "mine")
    assert (client.get_provider_status(), details.value, details.error_code) == (
        ProviderStatus.ERROR,
        "mine",
        ErrorCode.PROVIDER_NOT_READY,
    )
    events = heard(client)
    source.deliver()
    assert client.get_provider_status() is ProviderStatus.READY
    assert eventually(lambda: len(of_kind(events, ProviderEvent.PROVIDER_READY)) == 1)
    assert details_of(client, "string", "mine").error_code is ErrorCode.FLAG_NOT_FOUND


def test_initialisation_waits_for_rules_as_long_as_it_was_told_to() -> None:
    source = Silent()
    api.set_provider(RampgateProvider(Gates(source), wait=60), SHOP)
    client = api.get_client(SHOP)
    assert client.get_provider_status() is ProviderStatus.NOT_READY
    assert details_of(client, "string", "mine").error_code is ErrorCode.PROVIDER_NOT_READY
    source.deliver()
    assert eventually(lambda: client.get_provider_status() is ProviderStatus.READY)


def test_changed_rules_are_told_with_the_gates_that_changed() -> None:
    source = MemorySource({"g": entry(), "h": entry(gate="h")})
    client = client_of(Gates(source))
    events = heard(client)
    source.replace({"g": entry(percent=60), "h": entry(gate="h"), "i": entry(gate="i")})
    assert eventually(lambda: bool(of_kind(events, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)))
    (told,) = of_kind(events, ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert (told.flags_changed, told.provider_name) == (["g", "i"], "rampgate")


def test_new_rules_are_served_although_answers_are_remembered() -> None:
    source = MemorySource({"g": serving("old")})
    client = client_of(Gates(source))
    before = client.get_string_value("g", "", USER)
    source.replace({"g": serving("new", generation=1795600001)})
    assert (before, client.get_string_value("g", "", USER)) == ("old", "new")


def test_stale_and_well_again_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]  # it goes on when the provider is there to hear of it, however long a busy machine stands still
    monkeypatch.setattr(in_force, "monotonic", lambda: now[0])
    source = Silent()
    gates = Gates(source, stale_after=0.2)
    source.deliver()
    client = client_of(gates)
    events = heard(client)
    now[0] += 1
    assert eventually(lambda: client.get_provider_status() is ProviderStatus.STALE)
    assert eventually(lambda: bool(of_kind(events, ProviderEvent.PROVIDER_STALE)))

    def is_told() -> bool:
        source.receiver.confirm()
        return client.get_provider_status() is ProviderStatus.READY

    assert eventually(is_told)


class Recorder(Hook):
    """Writes down the stages that it goes through."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext:
        self.stages.append("before")
        return EvaluationContext(attributes={"userId": "u-1"})

    def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        self.stages.append(f"after {details.variant}")

    def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
        self.stages.append(f"error {type(exception).__name__}")

    def finally_after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        self.stages.append("finally")


@pytest.mark.parametrize("place", ["provider", "client", "evaluation", "API"])
def test_hooks_run_and_what_they_add_to_the_context_counts(place: str) -> None:
    hook = Recorder()
    client = client_of(Gates.from_rules({"g": entry(**ON)}), hooks=[hook] if place == "provider" else [])
    if place == "client":
        client.add_hooks([hook])
    if place == "API":
        api.add_hooks([hook])
    options = FlagEvaluationOptions(hooks=[hook] if place == "evaluation" else [])
    assert client.get_boolean_value("g", False, EvaluationContext(), options) is True
    assert hook.stages == ["before", "after treatment", "finally"]


def test_an_error_is_the_hooks_error_stage() -> None:
    hook = Recorder()
    client_of(Gates.from_rules({}), hooks=[hook]).get_boolean_value("g", False)
    assert hook.stages == ["before", "error FlagNotFoundError", "finally"]


def test_what_the_application_tracks_reaches_the_callback_with_the_merged_context() -> None:
    tracked: list[Any] = []
    client = client_of(Gates.from_rules({}), on_track=lambda *event: tracked.append(event))
    client.context = EvaluationContext(attributes={"country": "US"})
    details = TrackingEventDetails(9.5, {"currency": "EUR"})
    client.track("order", EvaluationContext("u-1"), details)
    assert tracked == [("order", EvaluationContext("u-1", {"country": "US"}), details)]


def test_tracking_without_a_callback_goes_nowhere() -> None:
    client_of(Gates.from_rules({})).track("order")


class Closed:
    """A source that says whether it was closed."""

    is_closed = False

    def start(self, receiver: Receiver) -> None:
        receiver.deliver({FORMAT_KEY: FORMAT_VALUE.encode()})

    def start_in_child(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


def test_shutting_down_closes_the_gates() -> None:
    source = Closed()
    client_of(Gates(source))
    api.shutdown()
    assert source.is_closed


def test_a_provider_whose_gates_are_closed_cannot_be_made_ready_again() -> None:
    provider = RampgateProvider(Gates.from_rules({"g": serving("x")}))
    api.set_provider_and_wait(provider, SHOP)
    api.shutdown()
    with pytest.raises(ProviderFatalError, match="make new ones"):
        api.set_provider_and_wait(provider, SHOP)
