"""Experiments in every state that there is, as the core makes them, and how they are doing by the words of a delivery tool."""

from collections.abc import Callable
from typing import Any

from tests.core.story import BAD, ERRORS, FAILED, NO_DATA, Story, steps

GUARDED = {"guardrails": [ERRORS]}
MONDAYS = {"windows": [{"days": ["Mon"], "from": "09:00", "to": "10:00", "timeZone": "UTC"}]}
Json = dict[str, Any]


def manifest_of(story: Story) -> Json:
    """What the API server has of a story's Experiment."""
    metadata = {"name": "new-checkout", "namespace": "shop", "generation": story.generation}
    written = {"apiVersion": "rampgate.dev/v1alpha1", "kind": "Experiment", "metadata": metadata, "spec": story.fields}
    return written | ({"status": story.status.to_wire()} if story.status else {})


def ramping(**fields: Any) -> Story:  # any field of a spec
    return Story(**fields).ramp_to(10)


def written_over(key: str, text: str) -> Story:
    """Somebody has edited the ConfigMap."""
    story = ramping()
    assert story.data is not None
    story.data[key] = text
    story.decide(serve=False)
    return story


def looked(answer: Any, **fields: Any) -> Story:
    story = ramping(**(fields or GUARDED))
    story.wait("5m").decide_with(answer)
    return story


def unseen() -> Story:
    story = ramping()
    story.generation += 1
    return story


def edited(**fields: Any) -> Story:
    return ramping().edit(**fields).wait("1s").settle()


def unheard() -> Story:
    """A kill that cannot be written where pods read it."""
    story = ramping().edit(killed=True)
    for time in ("1s", "1s", "10s"):
        story.wait(time).decide(serve=False)
    return story


def confirmed(after: str) -> Story:
    """On a step whose clock waits for pods, of which none tells what it runs."""
    return Story(ramp={**steps(10, 50), "confirm": {"pods": "80%", "timeout": "2m"}}).settle().wait(after).settle()


def awaiting(*percents: float, **last: Any) -> Story:
    """At 10 %, with the hold long over."""
    return ramping(ramp=steps(10, *percents, **last)).wait("1h").settle()


STATES: list[tuple[str, Callable[[], Story], str, str]] = [
    ("nobody has looked at it", Story, "Progressing", "The operator has not looked"),
    ("its newest spec has not been seen", unseen, "Progressing", "The operator has not looked"),
    ("its time has not come", lambda: Story(schedule={"notBefore": "2026-12-02T00:00:00Z"}).settle(), "Progressing", "0 %: No step before"),
    ("a step is held", ramping, "Progressing", "10 %: On 10 % until"),
    (
        "it is outside its windows",
        lambda: ramping().edit(schedule=MONDAYS).wait("1h").settle(),
        "Progressing",
        "10 %: Outside the schedule's windows",
    ),
    (
        "samples are missing",
        lambda: (
            Story(ramp={"steps": [{"percent": 10, "hold": "1m", "minExposures": 5}, {"percent": 50, "hold": "1m"}]})
            .settle()
            .wait("2m")
            .settle()
        ),
        "Progressing",
        "10 %: on has had 0 of 5",
    ),
    ("its entry is being written", lambda: written_over("new-checkout.json", "{}"), "Progressing", "being written"),
    ("pods take up a step's rules", lambda: confirmed("1m"), "Progressing", "10 %: The step's clock starts when 80%"),
    ("there is no data", lambda: looked(NO_DATA), "Progressing", "10 %: Guardrail errors: no data: no series"),
    ("it waits for approval", lambda: awaiting(50, approval=True), "Suspended", "10 %: The step to 50 % needs approval"),
    ("it is paused", lambda: edited(paused=True), "Suspended", "10 %: spec.paused is set"),
    ("its deadline has passed", lambda: edited(schedule={"deadline": "2026-12-01T00:00:00Z"}), "Suspended", "10 %: The deadline"),
    ("its source fails", lambda: looked(FAILED), "Degraded", "no answer in 5 s"),
    ("a breach holds it", lambda: looked(BAD, guardrails=[{**ERRORS, "onBreach": "Hold"}]), "Degraded", "10 %: Guardrail errors"),
    ("a breach has ended it", lambda: looked(BAD), "Degraded", "Rolled back from 10 %: guardrail errors"),
    ("a person has killed it", lambda: edited(killed=True), "Degraded", "Killed at 10 %"),
    ("a kill does not reach pods", unheard, "Degraded", "10 %: everybody goes back to control. To begin again"),
    ("pods do not run a step's rules", lambda: confirmed("3m"), "Degraded", "10 %: For longer than 2m fewer than 80%"),
    ("its spec cannot be run", lambda: edited(invalid="no such zone"), "Degraded", "no such zone"),
    ("the glass is broken", lambda: written_over("kill", "*"), "Degraded", "names this gate"),
    ("its ConfigMap is foreign", lambda: written_over("format", "x"), "Degraded", "it is left alone"),
    ("its ramp is over", lambda: Story().ramp_to(100).wait("2m").settle(), "Healthy", "complete at 100 %"),
    ("it is shipped", lambda: edited(ship={"attempt": 1, "variant": "on"}), "Healthy", "every eligible unit gets on"),
]
"""What is so, and how Argo CD shows it: its health, and a part of the message."""
