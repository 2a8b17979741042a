"""Entries that the SDK's tests start from."""

from typing import Any

Fields = dict[str, Any]

ENTRY: Fields = {
    "attempt": 1,
    "control": {"name": "control", "value": False},
    "format": 1,
    "gate": "g",
    "generation": 1795600000,
    "hashInput": "UTF8",
    "percent": 50,
    "salt": "shop/g",
    "unit": "userId",
    "variants": [{"name": "control", "value": False, "weight": 1}, {"name": "treatment", "value": True, "weight": 1}],
}


def entry(**changes: Any) -> Fields:
    """The entry of gate `g` at 50 %, with some fields changed; a field that is changed to `...` is gone."""
    return {name: value for name, value in {**ENTRY, **changes}.items() if value is not ...}
