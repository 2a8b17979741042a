"""Everybody who watches the experiment from outside: its status, its rules, what each process obeys, what Prometheus reads.

Knows which witness looks where. Must not know the story, nor trust the operator's word: each of them asks for itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from rampgate_operator.core.promql import compile_query
from rampgate_operator.core.status import WaitingFor
from tools.demo.sources import Json, Sources, query_url, reading
from tools.demo.stage import CONFIG_MAP, EXPERIMENTS, GATE, NAMESPACE, TESTER, Stage
from tools.demo.timeline import Timeline
from tools.demo.witness import Seen, Witness

PROCESS_POLL_SECONDS, PROMETHEUS_POLL_SECONDS = 0.02, 0.1

Status = Mapping[str, Any]
Transition = Mapping[str, Any]
Rules = Mapping[str, Any]
Obeyed = tuple[str, int]
"""The reason that a process gives its tester, and the generation of the rules behind it."""

WAITS = {
    WaitingFor.INVALID: "the spec cannot be run",
    WaitingFor.BREAK_GLASS: "the ConfigMap's key kill names the gate",
    WaitingFor.RULES: "the ConfigMap does not say yet what it must",
    WaitingFor.METRICS: "fresh readings of its guardrails",
    WaitingFor.GUARDRAIL: "one breaches",
    WaitingFor.SAMPLE_RATIO: "the arms do not get the users that are drawn",
    WaitingFor.PAUSED: "spec.paused is set",
    WaitingFor.DEADLINE: "it has passed",
    WaitingFor.NOT_BEFORE: "the schedule begins later",
    WaitingFor.WINDOW: "the schedule allows no step now",
    WaitingFor.APPROVAL: "a person must set spec.approved",
    WaitingFor.PODS: "pods have yet to take up the step's rules",
    WaitingFor.SAMPLES: "too few users have seen the treatment",
    WaitingFor.HOLD: "the step's time is not over",
}
"""A few words for each, for who reads the story and not the documents."""


@dataclass
class Audience:
    """The witnesses of one experiment."""

    timeline: Timeline
    status: Witness[Status]
    rules: Witness[Rules]
    kill_key: Witness[str]
    processes: tuple[Witness[Obeyed], ...]
    breach: Witness[bool] = field(default_factory=lambda: Witness("the guardrail's query at Prometheus"))
    """Whether the guardrail's own query reads more than its limit."""

    @property
    def history(self) -> list[Mapping[str, Any]]:
        """The transitions that the status remembers."""
        latest = self.status.latest
        return list(latest.value.get("history", ())) if latest else []

    @property
    def reasons(self) -> set[str]:
        """The reasons that the processes give their tester now."""
        return {each.latest.value[0] for each in self.processes if each.latest}

    def all_obey(self, reason: str, *, since: float, timeout: float = 10.0) -> list[Seen[Obeyed]]:
        """Wait until each process has given its tester this reason; returns the moments, the last one at the end."""
        seen = [each.wait(lambda obeyed: obeyed[0] == reason, f"reason {reason}", since=since, timeout=timeout) for each in self.processes]
        return sorted(seen, key=lambda one: one.at)


def seat(stage: Stage, timeline: Timeline, sources: Sources) -> Audience:
    """Let everybody begin to look."""
    audience = Audience(
        timeline=timeline,
        status=Witness("status of the Experiment", on_change=Narrator(timeline).tell),
        rules=Witness(f"key {GATE}.json of the ConfigMap"),
        kill_key=Witness("key kill of the ConfigMap"),
        processes=tuple(Witness(f"process {number}") for number, _ in enumerate(stage.shops, 1)),
    )
    _watch_cluster(stage, audience, sources)
    for witness, shop in zip(audience.processes, stage.shops, strict=True):
        sources.poll(f"{shop}/rules?user={TESTER}", _obeyed(witness), every=PROCESS_POLL_SECONDS)
    query, limit = guardrail_query()
    url = query_url(stage.prometheus.url, query)
    sources.poll(url, _reads_more_than(limit, audience.breach), every=PROMETHEUS_POLL_SECONDS)
    return audience


def guardrail_query() -> tuple[str, float]:
    """Give the guardrail's query exactly as the operator sends it for the treatment, and its limit."""
    manifest = yaml.safe_load((EXPERIMENTS / "new-checkout.yaml").read_text())
    guardrail = manifest["spec"]["guardrails"][0]
    names = {"gate": GATE, "experiment": GATE, "variant": "treatment"}
    return compile_query(guardrail["query"], namespace=NAMESPACE, substitutions=names).text, guardrail["max"]


def _watch_cluster(stage: Stage, audience: Audience, sources: Sources) -> None:
    def take_experiment(body: Json, at: float) -> None:
        if body["metadata"]["name"] == GATE and body.get("status"):
            audience.status.record(body["status"], at=at)

    def take_config_map(body: Json, at: float) -> None:
        data = body.get("data") or {}
        if body["metadata"]["name"] == CONFIG_MAP and f"{GATE}.json" in data:
            audience.rules.record(yaml.safe_load(data[f"{GATE}.json"]), at=at)
            audience.kill_key.record(data.get("kill", ""), at=at)

    sources.watch(stage.cluster, f"/apis/rampgate.dev/v1alpha1/namespaces/{NAMESPACE}/experiments", take_experiment)
    sources.watch(stage.cluster, f"/api/v1/namespaces/{NAMESPACE}/configmaps", take_config_map)


def _obeyed(witness: Witness[Obeyed]) -> Callable[[Json, float, float], None]:
    """Note when a process had answered: of the two times the later, so that no delay is hidden."""
    return lambda answer, _asked_at, answered_at: witness.record((answer["reason"], answer["generation"]), at=answered_at)


def _reads_more_than(limit: float, witness: Witness[bool]) -> Callable[[Json, float, float], None]:
    """Note when Prometheus was asked: of the two times the earlier, for the same reason."""
    return lambda answer, asked_at, _answered_at: witness.record((reading(answer) or 0.0) > limit, at=asked_at)


class Narrator:
    """Tells each new transition, and what the ramp waits for when that changes."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._told: Transition | None = None
        self._waiting_for: str | None = None

    def tell(self, seen: Seen[Status]) -> None:
        """Tell what is new in a status."""
        history = seen.value.get("history", [])
        for transition in _after(self._told, history):
            self._timeline.say(f"operator: {transition['from']} -> {transition['to']}: {transition['message']}", at=seen.at)
        self._told = history[-1] if history else None
        waiting_for = seen.value.get("waitingFor")
        if waiting_for not in (None, self._waiting_for):
            self._timeline.say(f"operator: waits for {waiting_for}: {WAITS[WaitingFor(waiting_for)]}", at=seen.at)
        self._waiting_for = waiting_for


def _after(told: Transition | None, history: Sequence[Transition]) -> Sequence[Transition]:
    """Give what follows the transition told last; all when it is not there. The history has an end: its length says nothing."""
    return history[history.index(told) + 1 :] if told in history else history
