"""Sentences, paths and small parts that rows of the table share."""

NAME_RULE = "the name is the gate's key: at most 63 characters, a-z, 0-9 and -, and no - at either end"
LABEL = "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"
DURATION = "should match '^([0-9]{1,6}(ms|s|m|h)|[0-9]{1,4}d)$'"
INTERVAL = "should match '^[1-9][0-9]{0,4}(s|m|h)$'"
TIME_OF_DAY = "should match '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'"
TIME_RULE = "write a time such as 2026-12-01T09:00:00Z, in the years 2000 to 2999"
DECIMALS = "a percentage may have at most two decimals"
RISING = "steps must rise: each percent larger than the one before"
RESERVED = "baseline, ineligible, override and none are reserved for metrics; choose another name"
ONE_TEST = "give exactly one test, such as in, equals or semver"
ONE_TEST_OR_GROUP = "give an attribute exactly one test, such as in, equals or semver; a group has none"
ONE_OF_FOUR = "give exactly one of attribute, all, any and not; several of them are items of their own"
WINDOW_ORDER = "to must be later than from; write a window over midnight as two windows"
STEP = "spec.ramp.steps[0].percent"
HOLD = "spec.ramp.steps[0].hold"
WINDOW = "spec.schedule.windows[0]"
GUARDRAIL = "spec.guardrails[0]"
COUNTERS = "spec.guardrails[2]"
PODS = "write 1% to 100%, such as 95%"
INCREASE = "write 0% to 1000%, with at most two decimals, such as 5%"
FALSE_ROLLBACKS = "write 0.1% to 20%, with at most two decimals, such as 5%"
NO_TREATMENT = ("spec.variants", "at least one treatment needs a weight above 0")


def steps(*percents: float) -> list[dict[str, object]]:
    return [{"percent": percent, "hold": "10m"} for percent in percents]


def variants(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "value": name} for name in names]


def must_be(path: str, wanted: str, found: str) -> tuple[tuple[str, str]]:
    return ((path, f'must be of type {wanted}: "{found}"'),)
