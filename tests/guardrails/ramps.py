"""The ramp that the guardrails are measured on: 1 % x 10, 5 % x 10, 25 % x 15, 50 % x 15 looks; all other traffic is the comparison."""

from typing import Any

from rampgate_operator.core.spec import Spec

RAMP = ((1, 10), (5, 10), (25, 15), (50, 15))
LOOKS = sum(looks for _, looks in RAMP)


def counters(name: str, **fields: Any) -> dict[str, Any]:
    of = '{gate="$gate",variant="$variant"}'
    return {"name": name, "counters": {"events": f"{name}_failed_total{of}", "total": f"{name}_total{of}"}, "maxIncrease": "0%", **fields}


def ramp_of(*guardrails: dict[str, Any], **fields: Any) -> Spec:
    """The spec of that ramp; any field of it may be another."""
    return Spec.from_wire(
        {
            "owner": "payments",
            "control": "off",
            "variants": [{"name": "off", "value": False, "weight": 0}, {"name": "on", "value": True}],
            "ramp": {"steps": [{"percent": percent, "hold": f"{looks}m"} for percent, looks in RAMP]},
            "interval": "1m",
            "guardrails": list(guardrails or [counters("orders")]),
            **fields,
        }
    )
