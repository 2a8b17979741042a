"""The table of manifests: what is said when an Experiment is created; first what stands directly in the spec."""

from tests.manifests.parts import PARTS
from tests.manifests.table import REMOVED, Row
from tests.manifests.words import DECIMALS, INTERVAL, LABEL, NAME_RULE, NO_TREATMENT, RESERVED, STEP, must_be, steps, variants

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

CREATIONS = (*METADATA, *TEXTS, *NUMBERS, *VARIANTS, *PARTS)
