"""examples/gitops/argocd-cm.yaml, run by a Lua: over statuses that the core made, with the actions' outcome judged by the schema."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from rampgate_operator.core.problems import problems
from rampgate_operator.core.status import Phase, WaitingFor
from tests.core.story import Story
from tests.docs.pages import ROOT
from tests.recipes.lua import run
from tests.recipes.states import STATES, Json, awaiting, edited, manifest_of, ramping

SETTINGS = yaml.safe_load((ROOT / "examples" / "gitops" / "argocd-cm.yaml").read_text())["data"]
PREFIX, KIND = "resource.customizations", "rampgate.dev_Experiment"
HEALTH = SETTINGS[f"{PREFIX}.health.{KIND}"]
ACTIONS = yaml.safe_load(SETTINGS[f"{PREFIX}.actions.{KIND}"])


def enabled(manifest: Json) -> set[str]:
    return {name for name, action in run(ACTIONS["discovery.lua"], manifest).items() if not action["disabled"]}


def after(name: str, manifest: Json) -> Json:
    [script] = [action["action.lua"] for action in ACTIONS["definitions"] if action["name"] == name]
    return dict(run(script, manifest))


@pytest.mark.parametrize(("story", "health", "message"), [state[1:] for state in STATES], ids=[state[0] for state in STATES])
def test_health_where(story: Callable[[], Story], health: str, message: str) -> None:
    told = run(HEALTH, manifest_of(story()))
    assert told["status"] == health
    assert message in told["message"]


@pytest.mark.parametrize("word", WaitingFor)
def test_whatever_a_ramp_waits_for_it_has_a_health_and_says_why(word: WaitingFor) -> None:
    manifest = manifest_of(ramping())
    conditions = [{"type": "Progressing", "status": "False", "reason": word, "message": "Why."}]
    manifest["status"] |= {"waitingFor": word, "conditions": conditions}
    told = run(HEALTH, manifest)
    assert told["status"] in {"Progressing", "Suspended", "Degraded"}
    assert told["message"] == "10 %: Why."


def test_a_kill_that_does_not_reach_pods_says_what_they_still_obey() -> None:
    [unheard] = [story() for name, story, _, _ in STATES if name == "a kill does not reach pods"]
    assert "Pods still obey 10 %" in run(HEALTH, manifest_of(unheard))["message"]


def test_the_states_are_of_every_phase() -> None:
    stories = [story() for _, story, _, _ in STATES]
    assert {story.status.phase for story in stories if story.status} == set(Phase)


OFFERED: list[tuple[str, Callable[[], Story], set[str]]] = [
    ("nobody has looked at it", Story, {"kill"}),
    ("it ramps", ramping, {"kill", "pause", "new-attempt"}),
    ("it is paused", lambda: edited(paused=True), {"kill", "resume", "new-attempt"}),
    ("it waits for approval", lambda: awaiting(50, approval=True), {"kill", "pause", "approve", "new-attempt"}),
    ("it is killed", lambda: edited(killed=True), {"new-attempt"}),
    ("it is shipped", lambda: edited(ship={"attempt": 1, "variant": "on"}), {"kill", "new-attempt"}),
]


@pytest.mark.parametrize(("story", "actions"), [case[1:] for case in OFFERED], ids=[case[0] for case in OFFERED])
def test_actions_offered_where(story: Callable[[], Story], actions: set[str]) -> None:
    assert enabled(manifest_of(story())) == actions


CHANGES: list[tuple[str, Callable[[], Story], Json]] = [
    ("kill", ramping, {"killed": True}),
    ("pause", ramping, {"paused": True}),
    ("resume", lambda: edited(paused=True), {"paused": False}),
    ("approve", lambda: awaiting(50, approval=True), {"approved": {"attempt": 1, "upTo": 50}}),
    ("new-attempt", lambda: edited(killed=True), {"killed": False, "attempt": 2}),
]


@pytest.mark.parametrize(("name", "story", "fields"), CHANGES, ids=[case[0] for case in CHANGES])
def test_an_action_changes_these_fields_and_leaves_a_spec_that_is_accepted(name: str, story: Callable[[], Story], fields: Json) -> None:
    manifest = manifest_of(story())
    changed = after(name, manifest)
    assert problems(changed) == []
    assert changed["spec"] == {**manifest["spec"], **fields}


def test_a_killed_ramp_does_as_the_actions_say() -> None:
    story = ramping()
    story.edit(**after("kill", manifest_of(story))["spec"]).settle()
    assert story.known.phase is Phase.KILLED
    story.edit(**after("new-attempt", manifest_of(story))["spec"]).settle()
    assert (story.known.phase, story.known.attempt) == (Phase.RAMPING, 2)


def test_an_approval_takes_the_one_step_that_waits() -> None:
    def with_approvals() -> Story:
        rows: list[dict[str, Any]] = [{"percent": percent, "hold": "1m", "approval": percent > 10} for percent in (10, 50, 100)]
        return Story(ramp={"steps": rows}).settle()

    story = with_approvals().wait("1h").settle()
    assert story.waiting is WaitingFor.APPROVAL
    story.edit(**after("approve", manifest_of(story))["spec"]).wait("1s").settle().wait("1h").settle()
    assert (story.known.percent, story.waiting) == (50, WaitingFor.APPROVAL)


def test_what_a_person_sets_by_hand_is_no_difference() -> None:
    ignored = yaml.safe_load(SETTINGS[f"{PREFIX}.ignoreDifferences.{KIND}"])
    assert ignored == {"jsonPointers": ["/spec/killed", "/spec/paused"]}
