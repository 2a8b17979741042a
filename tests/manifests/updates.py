"""The table of manifests, part two: what is said when an Experiment with a status is edited."""

from tests.manifests.table import REMOVED, UpdateRow

STARTED = ("Ramping", "Completed", "Shipped", "RolledBack", "Killed")
CONFIG_MAP = (("spec.configMapName", "configMapName is immutable; delete the Experiment and create it again"),)
CHANGES: dict[str, dict[str, object]] = {
    "unit": {"spec.unit": "accountId"},
    "salt": {"spec.salt": "shop/new-checkout-2"},
    "hashInput": {"spec.hashInput": "CBOR"},
    "variants": {"spec.variants[1].weight": 3},
    "control": {"spec.control": "treatment"},
}
ELIGIBILITY = {"spec.eligibility[0].in": ["US"]}
GROUPED = {"spec.eligibility[0]": {"any": [{"attribute": "country", "in": ["US", "CA"]}]}}


def fixed(field: str) -> tuple[tuple[str, str]]:
    sentence = f"{field} cannot change once the ramp has started; raise attempt above status.attempt to begin again from 0 % with another"
    return ((f"spec.{field}", sentence),)


ELIGIBILITY_FIXED = (
    (
        "spec.eligibility",
        "eligibility cannot change while Ramping; raise attempt above status.attempt to begin again from 0 % with another",
    ),
)

UPDATES = (
    *(UpdateRow(f"{field} may change before the operator has seen it", None, change) for field, change in CHANGES.items()),
    *(UpdateRow(f"{field} may change while Pending", "Pending", change) for field, change in CHANGES.items()),
    *(UpdateRow(f"{field} may not change when {phase}", phase, CHANGES[field], fixed(field)) for field in CHANGES for phase in STARTED),
    *(
        UpdateRow(f"{field} may change with a higher attempt when {phase}", phase, change | {"spec.attempt": 2})
        for field, change in CHANGES.items()
        for phase in ("Ramping", "RolledBack")
    ),
    *(
        UpdateRow(f"{field} may not change when edited steps brought the ramp back to Pending", "Pending", change, fixed(field), "f00d")
        for field, change in CHANGES.items()
    ),
    UpdateRow("a salt may not be taken away", "Ramping", {"spec.salt": REMOVED}, fixed("salt")),
    UpdateRow(
        "a variant may not be added",
        "Ramping",
        {"spec.variants": [{"name": n, "value": True} for n in ("control", "treatment", "third")]},
        fixed("variants"),
    ),
    UpdateRow("a value may not change", "Ramping", {"spec.variants[1].value": "true"}, fixed("variants")),
    UpdateRow("false may not become 0", "Ramping", {"spec.variants[0].value": 0}, fixed("variants")),
    UpdateRow(
        "two variants may not change places",
        "Ramping",
        {"spec.variants": [{"name": "treatment", "value": True, "weight": 1}, {"name": "control", "value": False, "weight": 1}]},
        fixed("variants"),
    ),
    UpdateRow("variants written with their default weights are the same", "Ramping", {"spec.variants[0].weight": REMOVED}),
    UpdateRow(
        "every fixed field that changes is named",
        "Killed",
        {"spec.unit": "accountId", "spec.hashInput": "CBOR"},
        (*fixed("unit"), *fixed("hashInput")),
    ),
    UpdateRow("eligibility may change while Pending", "Pending", ELIGIBILITY),
    UpdateRow("eligibility may not change while Ramping", "Ramping", ELIGIBILITY, ELIGIBILITY_FIXED),
    UpdateRow("a condition may not become a group while Ramping", "Ramping", GROUPED, ELIGIBILITY_FIXED),
    UpdateRow("eligibility may not be taken away while Ramping", "Ramping", {"spec.eligibility": REMOVED}, ELIGIBILITY_FIXED),
    UpdateRow("eligibility may change with a higher attempt", "Ramping", ELIGIBILITY | {"spec.attempt": 2}),
    *(UpdateRow(f"eligibility may change when {phase}", phase, ELIGIBILITY) for phase in STARTED if phase != "Ramping"),
    UpdateRow("the ConfigMap may not change before the operator has seen it", None, {"spec.configMapName": "other"}, CONFIG_MAP),
    UpdateRow(
        "the ConfigMap may not change with a higher attempt", "Ramping", {"spec.configMapName": "other", "spec.attempt": 2}, CONFIG_MAP
    ),
    UpdateRow("killed may be set at any time", "Ramping", {"spec.killed": True}),
    UpdateRow(
        "steps, guardrails and owner may change while Ramping",
        "Ramping",
        {"spec.ramp.steps[0].hold": "1m", "spec.guardrails": REMOVED, "spec.owner": "x"},
    ),
    UpdateRow("an attempt may be raised alone", "RolledBack", {"spec.attempt": 7}),
    UpdateRow(
        "what creation refuses an update refuses too",
        "Ramping",
        {"spec.attempt": 0},
        (("spec.attempt", "should be greater than or equal to 1"),),
    ),
)
