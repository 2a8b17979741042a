"""The table of manifests, part one: what is said when an Experiment is created."""

from tests.manifests.table import REMOVED, Row

NAME_RULE = "the name is the gate's key: at most 63 characters, a-z, 0-9 and -, and no - at either end"
LABEL = "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"
DURATION = "should match '^[0-9]{1,6}(ms|s|m|h|d)$'"
INTERVAL = "should match '^[1-9][0-9]{0,4}(s|m|h)$'"
TIME_OF_DAY = "should match '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'"
TIME_RULE = "write a time such as 2026-12-01T09:00:00Z, in the years 2000 to 2999"
DECIMALS = "a percentage may have at most two decimals"
RISING = "steps must rise: each percent larger than the one before"
RESERVED = "baseline, ineligible, override and none are reserved for metrics; choose another name"
ONE_TEST = "give exactly one of in, notIn and semver"
WINDOW_ORDER = "to must be later than from; write a window over midnight as two windows"
STEP = "spec.ramp.steps[0].percent"
HOLD = "spec.ramp.steps[0].hold"
WINDOW = "spec.schedule.windows[0]"
GUARDRAIL = "spec.guardrails[0]"
NO_TREATMENT = ("spec.variants", "at least one treatment needs a weight above 0")


def steps(*percents: float) -> list[dict[str, object]]:
    return [{"percent": percent, "hold": "10m"} for percent in percents]


def variants(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "value": name} for name in names]


def must_be(path: str, wanted: str, found: str) -> tuple[tuple[str, str]]:
    return ((path, f'must be of type {wanted}: "{found}"'),)


METADATA = (
    Row("every field at once is accepted", {}),
    Row("a name of 63 characters is accepted", {"metadata.name": "a" * 63}),
    Row("a name of one digit is accepted", {"metadata.name": "7"}),
    Row("a name of 64 characters is refused", {"metadata.name": "a" * 64}, (("metadata.name", NAME_RULE),)),
    Row("a name with a dot is refused", {"metadata.name": "shop.new-checkout"}, (("metadata.name", NAME_RULE),)),
    Row("a manifest without spec is refused", {"spec": REMOVED}, (("spec", "Required value"),)),
    Row("a spec that is null is as good as none", {"spec": None}, (("spec", "Required value"),)),
    Row("a spec that is a text is refused", {"spec": "later"}, must_be("spec", "object", "string")),
    Row("an unknown field beside spec is refused", {"spek": {}}, (("spek", 'unknown field "spek"'),)),
    Row("an unknown field of the spec is refused", {"spec.rampp": 1}, (("spec.rampp", 'unknown field "spec.rampp"'),)),
    Row(
        "an unknown field deep in a list is refused with its index",
        {"spec.ramp.steps[1].holdd": "1h"},
        (("spec.ramp.steps[1].holdd", 'unknown field "spec.ramp.steps[1].holdd"'),),
    ),
    Row(
        "a field in snake case is unknown",
        {"spec.config_map_name": "gates"},
        (("spec.config_map_name", 'unknown field "spec.config_map_name"'),),
    ),
)

TEXTS = (
    Row("an owner is required", {"spec.owner": REMOVED}, (("spec.owner", "Required value"),)),
    Row("an owner that is null is missing", {"spec.owner": None}, (("spec.owner", "Required value"),)),
    Row("an empty owner is refused", {"spec.owner": ""}, (("spec.owner", "should be at least 1 chars long"),)),
    Row("an owner of 253 characters is accepted, whatever they take in bytes", {"spec.owner": "\N{GRINNING FACE}" * 253}),
    Row("an owner of 254 characters is refused", {"spec.owner": "é" * 254}, (("spec.owner", "Too long: may not be more than 253 bytes"),)),
    Row("an owner that is a number is refused", {"spec.owner": 7}, must_be("spec.owner", "string", "integer")),
    Row("a hypothesis may be left out", {"spec.hypothesis": REMOVED}),
    Row("a hypothesis may be empty", {"spec.hypothesis": ""}),
    Row("a hypothesis in any script and with line ends is accepted", {"spec.hypothesis": "新しい決済\nΔ ≥ 2 %\t\N{ROCKET}"}),
    Row("a hypothesis of 2048 characters is accepted", {"spec.hypothesis": "x" * 2048}),
    Row(
        "a huge hypothesis is refused",
        {"spec.hypothesis": "x" * 300_000},
        (("spec.hypothesis", "Too long: may not be more than 2048 bytes"),),
    ),
    Row("a unit that is empty is refused", {"spec.unit": ""}, (("spec.unit", "should be at least 1 chars long"),)),
    Row("a unit that is null takes the default", {"spec.unit": None}),
    Row("a salt may be left out", {"spec.salt": REMOVED}),
    Row("a salt that is null is absent", {"spec.salt": None}),
    Row("a salt in Unicode is accepted", {"spec.salt": "магазин/касса"}),
    Row("an empty salt is refused", {"spec.salt": ""}, (("spec.salt", "should be at least 1 chars long"),)),
    Row("CBOR is a hash input", {"spec.hashInput": "CBOR"}),
    Row(
        "a hash input in lower case is refused with the words that exist",
        {"spec.hashInput": "utf8"},
        (("spec.hashInput", 'Unsupported value: "utf8": supported values: "UTF8", "CBOR"'),),
    ),
    Row(
        "a hash input that is a number is refused twice",
        {"spec.hashInput": 8},
        (*must_be("spec.hashInput", "string", "integer"), ("spec.hashInput", 'Unsupported value: 8: supported values: "UTF8", "CBOR"')),
    ),
    Row("a ConfigMap's name of 63 characters is accepted", {"spec.configMapName": "g" * 63}),
    Row(
        "a ConfigMap's name of 64 characters is refused",
        {"spec.configMapName": "g" * 64},
        (("spec.configMapName", "Too long: may not be more than 63 bytes"),),
    ),
    Row("a ConfigMap's name in capitals is refused", {"spec.configMapName": "Gates"}, (("spec.configMapName", LABEL),)),
    Row("a ConfigMap's name that ends in a line end is refused", {"spec.configMapName": "gates\n"}, (("spec.configMapName", LABEL),)),
    Row("an empty ConfigMap's name is refused", {"spec.configMapName": ""}, (("spec.configMapName", LABEL),)),
    Row("an interval of a second is accepted", {"spec.interval": "1s"}),
    Row("an interval of 0 is refused", {"spec.interval": "0s"}, (("spec.interval", INTERVAL),)),
    Row("an interval in milliseconds is refused", {"spec.interval": "500ms"}, (("spec.interval", INTERVAL),)),
)

NUMBERS = (
    Row("an attempt of a million is accepted", {"spec.attempt": 1_000_000}),
    Row("an attempt of 1.0 is the whole number 1", {"spec.attempt": 1.0}),
    Row("an attempt that is null takes the default", {"spec.attempt": None}),
    Row("an attempt of 0 is refused", {"spec.attempt": 0}, (("spec.attempt", "should be greater than or equal to 1"),)),
    Row(
        "an attempt above a million is refused", {"spec.attempt": 1_000_001}, (("spec.attempt", "should be less than or equal to 1000000"),)
    ),
    Row("an attempt as text is refused", {"spec.attempt": "2"}, must_be("spec.attempt", "integer", "string")),
    Row("an attempt of one and a half is refused", {"spec.attempt": 1.5}, must_be("spec.attempt", "integer", "number")),
    Row("an attempt that is true is refused", {"spec.attempt": True}, must_be("spec.attempt", "integer", "boolean")),
    Row("paused as the text yes is refused", {"spec.paused": "yes"}, must_be("spec.paused", "boolean", "string")),
    Row("killed as the number 1 is refused", {"spec.killed": 1}, must_be("spec.killed", "boolean", "integer")),
    Row("killed that is null is absent", {"spec.killed": None}),
    *(Row(f"a step of {percent} % is accepted", {"spec.ramp.steps": steps(percent)}) for percent in (0.01, 0.07, 0.29, 33.33, 99.99, 100)),
    *(
        Row(f"a step of {percent} % has too many decimals", {"spec.ramp.steps": steps(percent)}, ((STEP, DECIMALS),))
        for percent in (0.005, 1.234, 99.999, 1e-9, 0.1 + 0.2)
    ),
    Row("a step of 0 % is refused", {STEP: 0}, ((STEP, "should be greater than 0"),)),
    Row("a step below 0 % is refused", {STEP: -1}, ((STEP, "should be greater than 0"),)),
    Row("a step above 100 % is refused", {"spec.ramp.steps": steps(100.01)}, ((STEP, "should be less than or equal to 100"),)),
    Row("a percentage as text is refused", {STEP: "10"}, must_be(STEP, "number", "string")),
    Row("a percentage with its sign is refused", {STEP: "10%"}, must_be(STEP, "number", "string")),
    Row("approval up to 0 % is accepted", {"spec.approved.upTo": 0}),
    Row(
        "approval above 100 % is refused",
        {"spec.approved.upTo": 101},
        (("spec.approved.upTo", "should be less than or equal to 100"),),
    ),
    Row("approval with three decimals is refused", {"spec.approved.upTo": 0.125}, (("spec.approved.upTo", DECIMALS),)),
    Row("approval without attempt is refused", {"spec.approved": {"upTo": 10}}, (("spec.approved.attempt", "Required value"),)),
    Row("approval without percentage is refused", {"spec.approved": {"attempt": 1}}, (("spec.approved.upTo", "Required value"),)),
    Row("approval that is null is absent", {"spec.approved": None}),
)

VARIANTS = (
    Row("variants may hold objects", {"spec.variants[0].value": {"a": [1, None]}, "spec.variants[1].value": {}}),
    Row("a weight of 0 for control is accepted", {"spec.variants[0].weight": 0}),
    Row("weights may be left out", {"spec.variants[0].weight": REMOVED, "spec.variants[1].weight": REMOVED}),
    Row(
        "a name with dots, dashes and capitals is accepted",
        {"spec.variants[1].name": "V2.one-page_A", "spec.ship": REMOVED, "spec.overrides": REMOVED},
    ),
    Row(
        "no treatment with a weight is refused",
        {"spec.variants[1].weight": 0},
        (NO_TREATMENT,),
    ),
    Row(
        "a negative weight is refused",
        {"spec.variants[0].weight": -1},
        (("spec.variants[0].weight", "should be greater than or equal to 0"),),
    ),
    Row(
        "a variant without value is refused",
        {"spec.variants[1].value": REMOVED},
        (("spec.variants[1].value", "Required value"),),
    ),
    Row("a value that is null is missing", {"spec.variants[0].value": None}, (("spec.variants[0].value", "Required value"),)),
    Row(
        "a variant's name that YAML reads as a boolean is refused",
        {"spec.variants[1].name": True},
        must_be("spec.variants[1].name", "string", "boolean"),
    ),
    Row(
        "a variant's name with a blank is refused",
        {"spec.variants[1].name": "one page", "spec.ship": REMOVED, "spec.overrides": REMOVED},
        (("spec.variants[1].name", "should match '^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$'"),),
    ),
    *(
        Row(
            f"a variant named {name} is refused",
            {"spec.variants[1].name": name, "spec.ship": REMOVED, "spec.overrides": REMOVED},
            (("spec.variants[1].name", RESERVED),),
        )
        for name in ("baseline", "ineligible", "override", "none")
    ),
    Row(
        "one variant alone is refused",
        {"spec.variants": variants("control"), "spec.ship": REMOVED, "spec.overrides": REMOVED},
        (("spec.variants", "should have at least 2 items"),),
        also=(NO_TREATMENT,),
    ),
    Row("sixteen variants are accepted", {"spec.variants": variants("control", "treatment", *(f"v{n}" for n in range(14)))}),
    Row(
        "seventeen variants are refused",
        {"spec.variants": variants("control", "treatment", *(f"v{n}" for n in range(15)))},
        (("spec.variants", "Too many: 17: must have at most 16 items"),),
    ),
    Row(
        "two variants of one name are refused",
        {"spec.variants": variants("control", "treatment", "treatment")},
        (("spec.variants[2]", 'Duplicate value: {"name":"treatment"}'),),
    ),
    Row(
        "a control that is no variant is refused",
        {"spec.control": "controll"},
        (("spec.control", "control must be the name of one of the variants"),),
    ),
    Row("control is required", {"spec.control": REMOVED}, (("spec.control", "Required value"),)),
    Row(
        "to ship what is no variant is refused",
        {"spec.ship.variant": "winner"},
        (("spec.ship.variant", "ship.variant must be the name of one of the variants"),),
    ),
    Row("to ship control is accepted", {"spec.ship.variant": "control"}),
    Row("to ship without a variant is refused", {"spec.ship": {"attempt": 1}}, (("spec.ship.variant", "Required value"),)),
    Row("to ship without an attempt is refused", {"spec.ship": {"variant": "control"}}, (("spec.ship.attempt", "Required value"),)),
    Row(
        "an override for what is no variant is refused",
        {"spec.overrides[0].variant": "winner"},
        (("spec.overrides", "an override must name one of the variants"),),
    ),
    Row(
        "two overrides for one variant are refused",
        {"spec.overrides": [{"variant": "control", "units": ["a"]}, {"variant": "control", "units": ["b"]}]},
        (("spec.overrides[1]", 'Duplicate value: {"variant":"control"}'),),
    ),
    Row(
        "an override without units is refused",
        {"spec.overrides[0].units": []},
        (("spec.overrides[0].units", "should have at least 1 items"),),
    ),
    Row(
        "a unit that is a number is refused", {"spec.overrides[0].units[0]": 42}, must_be("spec.overrides[0].units[0]", "string", "integer")
    ),
    Row(
        "more units than an override can hold are refused",
        {"spec.overrides[0].units": [f"qa-{n}" for n in range(101)]},
        (("spec.overrides[0].units", "Too many: 101: must have at most 100 items"),),
    ),
)

ELIGIBILITY = (
    Row("no eligibility is everybody", {"spec.eligibility": REMOVED}),
    Row("an empty eligibility is refused", {"spec.eligibility": []}, (("spec.eligibility", "should have at least 1 items"),)),
    Row("a condition without a test is refused", {"spec.eligibility[0]": {"attribute": "country"}}, (("spec.eligibility[0]", ONE_TEST),)),
    Row("a condition with two tests is refused", {"spec.eligibility[0].notIn": ["FR"]}, (("spec.eligibility[0]", ONE_TEST),)),
    Row("a test that is null does not count", {"spec.eligibility[0].semver": None}),
    Row("a condition that is null is refused", {"spec.eligibility[1]": None}, must_be("spec.eligibility[1]", "object", "null")),
    Row(
        "Norway, which YAML reads as false, is refused",
        {"spec.eligibility[0].in": ["US", False]},
        must_be("spec.eligibility[0].in[1]", "string", "boolean"),
    ),
    Row("an empty text is a value", {"spec.eligibility[0].in": [""]}),
    Row("no value at all is refused", {"spec.eligibility[0].in": []}, (("spec.eligibility[0].in", "should have at least 1 items"),)),
    Row("a thousand values are accepted", {"spec.eligibility[0].in": [f"{n:0256}" for n in range(1000)]}),
    Row(
        "a thousand and one values are refused",
        {"spec.eligibility[0].in": ["US"] * 1001},
        (("spec.eligibility[0].in", "Too many: 1001: must have at most 1000 items"),),
    ),
)

RAMP = (
    Row("one step is a ramp", {"spec.ramp.steps": steps(100)}),
    Row("no steps are refused", {"spec.ramp.steps": []}, (("spec.ramp.steps", "should have at least 1 items"),)),
    Row("a ramp without steps is refused", {"spec.ramp": {}}, (("spec.ramp.steps", "Required value"),)),
    Row("steps that are an object are refused", {"spec.ramp.steps": {}}, must_be("spec.ramp.steps", "array", "object")),
    Row("twenty steps are accepted", {"spec.ramp.steps": steps(*range(1, 21))}),
    Row(
        "twenty-one steps are refused",
        {"spec.ramp.steps": steps(*range(1, 22))},
        (("spec.ramp.steps", "Too many: 21: must have at most 20 items"),),
    ),
    Row("steps that fall are refused", {"spec.ramp.steps": steps(10, 5, 50)}, (("spec.ramp.steps", RISING),)),
    Row("two equal steps are refused", {"spec.ramp.steps": steps(5, 10, 10)}, (("spec.ramp.steps", RISING),)),
    Row("whole numbers and fractions may be mixed in a ramp", {"spec.ramp.steps": steps(0.5, 1, 2.5, 10)}),
    Row("a hold is required", {HOLD: REMOVED}, ((HOLD, "Required value"),)),
    *(Row(f"a hold of {hold} is accepted", {HOLD: hold}) for hold in ("0s", "300ms", "90s", "10m", "4h", "7d")),
    *(
        Row(f"a hold of {hold!r} is refused", {HOLD: hold}, ((HOLD, DURATION),))
        for hold in ("", "10", "1.5h", "-1h", "1h30m", "1 h", "10min", "1h\n", "\N{FULLWIDTH DIGIT ONE}h")
    ),
    Row("a hold as a bare number is refused", {HOLD: 600}, must_be(HOLD, "string", "integer")),
    Row("a hold of nine characters is refused", {HOLD: "1234567ms"}, ((HOLD, "Too long: may not be more than 8 bytes"),)),
    Row(
        "no exposures at all are no minimum",
        {"spec.ramp.steps[0].minExposures": 0},
        (("spec.ramp.steps[0].minExposures", "should be greater than or equal to 1"),),
    ),
    Row(
        "approval as text is refused",
        {"spec.ramp.steps[0].approval": "true"},
        must_be("spec.ramp.steps[0].approval", "boolean", "string"),
    ),
)

SCHEDULE = (
    Row("an empty schedule is accepted", {"spec.schedule": {}}),
    Row("a time with an offset is accepted", {"spec.schedule.notBefore": "2026-12-01T09:00:00+05:30"}),
    Row("a time with nanoseconds is accepted", {"spec.schedule.notBefore": "2026-12-01T09:00:00.123456789Z"}),
    *(
        Row(
            f"the time {text!r} is refused",
            {"spec.schedule.deadline": text},
            must_be("spec.schedule.deadline", "date-time", text),
        )
        for text in (
            "",
            "tomorrow",
            "2026-12-20",
            "2026-12-20T00:00:00",
            "2026-12-20 00:00:00Z",
            "2026-12-20T00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-12-20T24:00:00Z",
            "2026-12-20T23:59:60Z",
        )
    ),
    *(
        Row(
            f"the time {text!r} is refused by a rule",
            {"spec.schedule.deadline": text, "spec.schedule.notBefore": REMOVED},
            (("spec.schedule.deadline", TIME_RULE),),
        )
        for text in ("1999-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "2026-12-20t00:00:00z", "2026-12-20T00:00:00+25:00")
    ),
    Row(
        "a time as seconds since 1970 is refused",
        {"spec.schedule.deadline": 1766188800},
        must_be("spec.schedule.deadline", "date-time", "int64"),
    ),
    Row(
        "a time with too many decimals is refused",
        {"spec.schedule.deadline": f"2026-12-20T00:00:00.{'0' * 30}Z"},
        (("spec.schedule.deadline", "Too long: may not be more than 40 bytes"),),
    ),
    Row("a deadline that is null is absent", {"spec.schedule.deadline": None}),
    Row(
        "a deadline at notBefore is refused",
        {"spec.schedule.deadline": "2026-12-01T10:00:00+01:00"},
        (("spec.schedule.deadline", "deadline must be later than notBefore"),),
    ),
    Row("a deadline one second after notBefore is accepted", {"spec.schedule.deadline": "2026-12-01T10:00:01+01:00"}),
    Row(
        "a deadline may not ship",
        {"spec.schedule.onDeadline": "Ship"},
        (("spec.schedule.onDeadline", 'Unsupported value: "Ship": supported values: "Hold", "Rollback"'),),
    ),
    Row("a window to the end of the day is accepted", {f"{WINDOW}.to": "24:00"}),
    Row("a window from its end is refused", {f"{WINDOW}.from": "16:00"}, ((f"{WINDOW}.to", WINDOW_ORDER),)),
    Row("a window over midnight is refused", {f"{WINDOW}.from": "22:00", f"{WINDOW}.to": "04:00"}, ((f"{WINDOW}.to", WINDOW_ORDER),)),
    Row("an hour without its 0 is refused", {f"{WINDOW}.from": "0:00"}, ((f"{WINDOW}.from", TIME_OF_DAY),)),
    Row("24:30 is refused", {f"{WINDOW}.to": "24:30"}, ((f"{WINDOW}.to", TIME_OF_DAY),)),
    Row(
        "an hour that YAML reads as a number of seconds is refused", {f"{WINDOW}.from": 540}, must_be(f"{WINDOW}.from", "string", "integer")
    ),
    Row("a day named twice is refused", {f"{WINDOW}.days": ["Mon", "Tue", "Mon"]}, ((f"{WINDOW}.days", "each day may be named once"),)),
    Row("all seven days are accepted", {f"{WINDOW}.days": ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]}),
    Row(
        "a day in full is refused",
        {f"{WINDOW}.days": ["Monday"]},
        ((f"{WINDOW}.days[0]", 'Unsupported value: "Monday": supported values: "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"'),),
    ),
    Row("a window without days is refused", {f"{WINDOW}.days": REMOVED}, ((f"{WINDOW}.days", "Required value"),)),
    Row("a window's time zone may be left out", {f"{WINDOW}.timeZone": REMOVED}),
)

GUARDRAILS = (
    Row("no guardrails are accepted", {"spec.guardrails": REMOVED}),
    Row("a guardrail with a lower bound alone is accepted", {f"{GUARDRAIL}.min": 1, f"{GUARDRAIL}.max": REMOVED}),
    Row("bounds may be negative", {f"{GUARDRAIL}.min": -2.5, f"{GUARDRAIL}.max": -1}),
    Row("a guardrail without bounds is refused", {f"{GUARDRAIL}.max": REMOVED}, ((GUARDRAIL, "give max, min or both"),)),
    Row("a bound that is null is absent", {f"{GUARDRAIL}.max": None}, ((GUARDRAIL, "give max, min or both"),)),
    Row("a minimum at the maximum is refused", {f"{GUARDRAIL}.min": 0.8}, ((f"{GUARDRAIL}.min", "min must be smaller than max"),)),
    Row("a bound as text is refused", {f"{GUARDRAIL}.max": "0.8"}, must_be(f"{GUARDRAIL}.max", "number", "string")),
    Row("a query is required", {f"{GUARDRAIL}.query": REMOVED}, ((f"{GUARDRAIL}.query", "Required value"),)),
    Row("an empty query is refused", {f"{GUARDRAIL}.query": ""}, ((f"{GUARDRAIL}.query", "should be at least 1 chars long"),)),
    Row(
        "a query of 4097 characters is refused",
        {f"{GUARDRAIL}.query": "x" * 4097},
        ((f"{GUARDRAIL}.query", "Too long: may not be more than 4096 bytes"),),
    ),
    Row("a guardrail's name in capitals is refused", {f"{GUARDRAIL}.name": "P99"}, ((f"{GUARDRAIL}.name", LABEL),)),
    Row(
        "two guardrails of one name are refused",
        {"spec.guardrails[1].name": "p99"},
        (("spec.guardrails[1]", 'Duplicate value: {"name":"p99"}'),),
    ),
    Row(
        "a breach may not ship",
        {f"{GUARDRAIL}.onBreach": "rollback"},
        ((f"{GUARDRAIL}.onBreach", 'Unsupported value: "rollback": supported values: "Rollback", "Hold", "Notify"'),),
    ),
    Row(
        "missing data may not notify alone",
        {f"{GUARDRAIL}.onNoData": "Notify"},
        ((f"{GUARDRAIL}.onNoData", 'Unsupported value: "Notify": supported values: "Hold", "Rollback"'),),
    ),
    Row("breaches take their defaults", {f"{GUARDRAIL}.breaches": {}}),
    Row("as many breaches as looks are accepted", {f"{GUARDRAIL}.breaches": {"count": 3, "of": 3}}),
    Row(
        "more breaches than looks are refused",
        {f"{GUARDRAIL}.breaches": {"count": 2}},
        ((f"{GUARDRAIL}.breaches.count", "count must not be larger than of"),),
    ),
    Row(
        "no breach at all is refused",
        {f"{GUARDRAIL}.breaches.count": 0},
        ((f"{GUARDRAIL}.breaches.count", "should be greater than or equal to 1"),),
    ),
    Row("a source that is no name is refused", {f"{GUARDRAIL}.source": "http://prometheus:9090"}, ((f"{GUARDRAIL}.source", LABEL),)),
)

CREATIONS = (*METADATA, *TEXTS, *NUMBERS, *VARIANTS, *ELIGIBILITY, *RAMP, *SCHEDULE, *GUARDRAILS)
