"""Each reason once: one word and one sentence, the same in condition, Event, history, metric and log.

`say()` fills the sentence in. Words follow the Kubernetes convention for reasons (CamelCase).
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why something is as it is."""

    # transitions
    KILLED = "Killed"
    ATTEMPT_STARTED = "AttemptStarted"
    SHIPPED = "Shipped"
    GUARDRAIL_BREACHED = "GuardrailBreached"
    READINGS_MISSING = "ReadingsMissing"
    DEADLINE_PASSED = "DeadlinePassed"
    STEPPED = "Stepped"
    STEPS_CHANGED = "StepsChanged"
    COMPLETED = "Completed"
    # what a ramp waits for: the words of status.waitingFor
    INVALID = "Invalid"
    BREAK_GLASS = "BreakGlass"
    RULES = "Rules"
    RULES_BEHIND = "RulesBehind"
    METRICS = "Metrics"
    LOOK_DUE = "LookDue"
    NO_DATA_YET = "NoDataYet"
    READING_TOO_EARLY = "ReadingTooEarly"
    MEASURING_DISPERSION = "MeasuringDispersion"
    GUARDRAIL = "Guardrail"
    NOT_SHOWN_SAFE = "NotShownSafe"
    SAMPLE_RATIO = "SampleRatio"
    PAUSED = "Paused"
    DEADLINE = "Deadline"
    NOT_BEFORE = "NotBefore"
    WINDOW = "Window"
    APPROVAL = "Approval"
    PODS = "Pods"
    PODS_BEHIND = "PodsBehind"
    SAMPLES = "Samples"
    HOLD = "Hold"
    # the rest of the conditions
    ACCEPTED = "Accepted"
    RENDERED = "Rendered"
    FOREIGN_CONFIG_MAP = "ForeignConfigMap"
    CONFIG_MAP_FULL = "ConfigMapFull"
    CONFIG_MAP_IMMUTABLE = "ConfigMapImmutable"
    PASSING = "Passing"
    INCONCLUSIVE = "Inconclusive"
    NO_COMPARISON = "NoComparison"
    NO_GUARDRAILS = "NoGuardrails"
    NOT_LOOKING = "NotLooking"
    LOOKS_ENDED = "LooksEnded"
    AS_DRAWN = "AsDrawn"
    NOT_COUNTED = "NotCounted"
    ROLLED_BACK = "RolledBack"
    ATTEMPT_TOO_LOW = "AttemptTooLow"
    STILL_KILLED = "StillKilled"
    PARTLY_VOID = "PartlyVoid"
    READY = "Ready"
    SHIP_REFUSED = "ShipRefused"
    STATUS_REBUILT = "StatusRebuilt"
    # what the flagd document says
    RENDERED_FOR_FLAGD = "RenderedForFlagd"
    NOT_RENDERABLE = "NotRenderable"
    FOREIGN_FLAGD_CONFIG_MAP = "ForeignFlagdConfigMap"
    FLAGD_BEHIND = "FlagdBehind"
    # whether pods are told of changes
    NUDGE_FORBIDDEN = "NudgeForbidden"


SENTENCES = {
    Reason.KILLED: (
        "Killed at {percent} %: everybody goes back to control. "
        "To begin again, remove spec.killed and set spec.attempt to {needed} or higher."
    ),
    Reason.ATTEMPT_STARTED: "Attempt {attempt} begins at 0 %.",
    Reason.SHIPPED: "Shipped: every eligible unit gets {variant}.",
    Reason.GUARDRAIL_BREACHED: (
        "Rolled back from {percent} %: guardrail {guardrail}: {message}. To begin again, set spec.attempt to {needed} or higher."
    ),
    Reason.READINGS_MISSING: (
        "Rolled back from {percent} %: guardrail {guardrail} has had no reading since {since}: {message}. "
        "To begin again, set spec.attempt to {needed} or higher."
    ),
    Reason.DEADLINE_PASSED: (
        "Rolled back from {percent} %: the deadline {deadline} has passed. To begin again, set spec.attempt to {needed} or higher."
    ),
    Reason.STEPPED: "Exposure rises from {before} % to {percent} %.",
    Reason.STEPS_CHANGED: "The steps were edited: {percent} % is served, and its clock starts again.",
    Reason.COMPLETED: "The last step's hold is over: the ramp is complete at {percent} %. Decide with spec.ship.",
    Reason.INVALID: "The spec cannot be run, {instead}: {problem}",
    Reason.BREAK_GLASS: "The key kill in ConfigMap {config_map} names this gate: everybody is on control until a person removes it.",
    Reason.RULES: "The gate's entry in ConfigMap {config_map} is being written: until then pods obey {obeyed}.",
    Reason.RULES_BEHIND: (
        "The gate's entry in ConfigMap {config_map} has not been written since {since}: {why}. Pods still obey {obeyed}. "
        "To put everybody on control all the same, name the gate in the ConfigMap's key kill."
    ),
    Reason.METRICS: "Guardrail {guardrail}: {message}. There is no step without a reading, and no rollback by it.",
    Reason.LOOK_DUE: "Guardrail {guardrail} has not been looked at {since}.",
    Reason.NO_DATA_YET: "Guardrail {guardrail}: {message}. The step has just begun.",
    Reason.READING_TOO_EARLY: "Guardrail {guardrail} reads back to before this step began; from {ripe} on its readings count.",
    Reason.MEASURING_DISPERSION: "Guardrail {guardrail}: {message}. There is no step before.",
    Reason.GUARDRAIL: "Guardrail {guardrail}: {message}.",
    Reason.NOT_SHOWN_SAFE: (
        "Guardrail {guardrail}: {message}. The step to {next} % waits until it is shown to stay within its limits; "
        "to step without that, set its onInconclusive to Advance."
    ),
    Reason.SAMPLE_RATIO: (
        "{ratio}: the results of this attempt are invalid. Usual causes: one arm fails, redirects or is cached before it is counted; "
        "some callers ask for one arm alone; the unit changes between requests. "
        "To begin again, mend it and set spec.attempt to {needed} or higher."
    ),
    Reason.PAUSED: "spec.paused is set: it stays at {percent} %; guardrails still act.",
    Reason.DEADLINE: "The deadline {deadline} has passed: it stays at {percent} %. Move schedule.deadline, ship, or kill.",
    Reason.NOT_BEFORE: "No step before {not_before}.",
    Reason.WINDOW: "Outside the schedule's windows; the next one opens at {opens}.",
    Reason.APPROVAL: ("The step to {next} % needs approval: set spec.approved to {{attempt: {attempt}, upTo: {next}}}."),
    Reason.PODS: "The step's clock starts when {wanted} of the pods run its rules, generation {generation}: {found}.",
    Reason.PODS_BEHIND: (
        "For longer than {timeout} fewer than {wanted} of the pods have run the step's rules, generation {generation}: {found}. "
        "Its clock has not started. See that they have the label rampgate.dev/gates and are scraped, or remove ramp.confirm: "
        "then its hold begins."
    ),
    Reason.SAMPLES: "{variant} has had {count} of {needed} first exposures on this step{problem}.",
    Reason.HOLD: "On {percent} % until {until}.",
    Reason.ACCEPTED: "The spec is accepted.",
    Reason.RENDERED: "The gate's entry in ConfigMap {config_map} is what it must be.",
    Reason.FOREIGN_CONFIG_MAP: (
        "ConfigMap {config_map} exists and is not Rampgate's (its key format does not say rampgate.dev/1): it is left alone, "
        "and pods heed nothing in it, not even kill. If it is Rampgate's, put the key format back; if not, delete it, or make the "
        "Experiment anew with another configMapName."
    ),
    Reason.CONFIG_MAP_FULL: (
        "ConfigMap {config_map} would pass {limit} bytes: the entry stays as it was. Use another configMapName for new experiments."
    ),
    Reason.CONFIG_MAP_IMMUTABLE: (
        "ConfigMap {config_map} is immutable: pods still obey {obeyed}. Delete it, and it comes back with all its gates; "
        "pods that mount it keep what they have until no pod of their node mounts it any more: scale them to 0 and back."
    ),
    Reason.PASSING: "All guardrails pass.",
    Reason.INCONCLUSIVE: "No guardrail breaches; guardrail {guardrail} is not yet shown to stay within its limits: {message}.",
    Reason.NO_COMPARISON: "No guardrail breaches; guardrail {guardrail} compares nothing: {message}.",
    Reason.NO_GUARDRAILS: "There are no guardrails.",
    Reason.NOT_LOOKING: "Nothing is exposed to guard: no readings are taken.",
    Reason.LOOKS_ENDED: (
        "The ramp is over: guardrails are not looked at any more, and a breach rolls nothing back. To stop it, set spec.killed."
    ),
    Reason.AS_DRAWN: "First exposures fall to the arms as they are drawn: {ratio}.",
    Reason.NOT_COUNTED: "First exposures of this attempt are not counted{problem}: whether they fall to the arms as drawn is not known.",
    Reason.ROLLED_BACK: "Attempt {attempt} was ended: everybody is on control. To begin again, set spec.attempt to {needed} or higher.",
    Reason.ATTEMPT_TOO_LOW: (
        "The spec is accepted, but spec.attempt is {asked}, and attempt {attempt} was begun since. Set it to {needed} to begin again."
    ),
    Reason.STILL_KILLED: "The spec is accepted, but spec.killed is set, by whomever: attempt {asked} begins once it is removed.",
    Reason.PARTLY_VOID: "The spec is accepted, but spec.{field} is for attempt {asked}, and this is attempt {attempt}: it is void.",
    Reason.READY: "Nothing holds the next step.",
    Reason.SHIP_REFUSED: "ship is refused: attempt {attempt} was ended. Set spec.attempt to {needed} or higher to begin again.",
    Reason.STATUS_REBUILT: "The status was lost and is rebuilt from the gate's entry: {phase} at {percent} %.",
    Reason.RENDERED_FOR_FLAGD: "ConfigMap {config_map} tells flagd what the gate's entry says.",
    Reason.NOT_RENDERABLE: "ConfigMap {config_map} does not tell flagd what the gate's entry says: {problem}. There it is {instead}.",
    Reason.FOREIGN_FLAGD_CONFIG_MAP: (
        "ConfigMap {config_map} exists and is no flagd document of Rampgate's (its key format does not say rampgate.dev/flagd/1): "
        "it is left alone. Delete it, or make the Experiment anew with another configMapName."
    ),
    Reason.FLAGD_BEHIND: (
        "ConfigMap {config_map} cannot be written: {why}. Who evaluates with flagd still goes by what it said before, also after a kill."
    ),
    Reason.NUDGE_FORBIDDEN: (
        "Pods that mount ConfigMap {config_map} see a change, also a kill, when their kubelet next refreshes it, within a minute and "
        "a half: the operator may not {verb} pods in this namespace ({why}). Grant it list and patch of pods, exempt it from what "
        "refuses or alters its patches, or set nudgePods to false."
    ),
}


def say(reason: Reason, **facts: object) -> str:
    """Give the sentence of a reason, with its facts filled in; KeyError when one is missing (a bug)."""
    return SENTENCES[reason].format(**facts)


def percent_text(percent: float) -> str:
    """Write a percentage without a needless fraction: 10, 0.5."""
    return f"{percent:g}"
