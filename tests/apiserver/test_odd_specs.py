"""What a person may well write, on real parts: it must be served, and above all it must be possible to stop it."""

from typing import Any

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import Team, wait_until

TEXTS: dict[str, dict[str, Any]] = {
    "a semver range": {"eligibility": [{"attribute": "appVersion", "semver": ">=2.4.0 <3.0.0"}]},
    "an ampersand": {"overrides": [{"variant": "treatment", "units": ["R&D", "<b>"]}]},
    "letters with accents": {"overrides": [{"variant": "treatment", "units": ["Zoë"]}]},
    "beyond the first plane": {"variants": [{"name": "control", "value": "🦊"}, {"name": "treatment", "value": "\u2028"}]},
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_gate_is_raised_killed_and_removed_whatever_its_entry_says(text: str, team: Team, shop: Exporter) -> None:
    team.apply(changes=TEXTS[text])
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    team.patch({"killed": True})
    wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "pods are told")
    team.patch({"killed": None, "attempt": 2})
    wait_until(lambda: team.exposure() == 50, "it is served again")
    team.delete()
    wait_until(lambda: team.entry() is None, "the key is gone")


@pytest.mark.parametrize("text", TEXTS)
def test_a_gate_is_rolled_back_whatever_its_entry_says(text: str, team: Team, shop: Exporter) -> None:
    team.apply(changes=TEXTS[text])
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    shop.set("shop_errors", 0.9)
    wait_until(lambda: (team.entry() or {}).get("serve") == "ROLLED_BACK", "pods are told")


def test_an_entry_that_a_person_wrote_with_any_characters_is_repaired(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    team.patch_rules({"new-checkout.json": "Zoë <b>&\u2028"})
    wait_until(lambda: "percent" in (team.rules() or {})["new-checkout.json"], "it is repaired")


def test_an_immutable_config_map_is_said_to_be_one_and_costs_no_storm_of_writes(team: Team, shop: Exporter) -> None:
    team.apply()
    team.wait_for(percent=50, waitingFor="Hold")
    wait_until(lambda: team.exposure() == 50, "it is served")
    team.make_rules_immutable()
    team.patch({"killed": True})
    status = team.wait_for(phase="Killed", waitingFor="Rules")
    rendered = next(condition for condition in status["conditions"] if condition["type"] == "RulesRendered")
    assert (rendered["status"], rendered["reason"]) == ("False", "ConfigMapImmutable")
    assert "pods still obey 50 %. Delete it" in rendered["message"]
    wait_until(lambda: "ConfigMapImmutable" in team.events(), "an Event says so")
    team.delete_rules()
    wait_until(lambda: (team.entry() or {}).get("serve") == "KILLED", "it comes back, and pods are told")


def test_the_largest_spec_keeps_nobody_elses_kill_waiting(team: Team, shop: Exporter) -> None:
    deep = "+".join(["abs(" * 24 + 'x{variant="$variant"}' + ")" * 24] * 10)
    treatments = [{"name": f"v{number}", "value": number} for number in range(15)]
    largest = {
        "variants": [{"name": "control", "value": -1}, *treatments],
        "guardrails": [{"name": f"g{number}", "query": deep, "max": 1} for number in range(16)],
    }
    team.apply("largest", changes=largest)
    team.apply("other", changes={"guardrails": None})
    team.wait_for("largest", attempt=1)
    team.wait_for("other", percent=50)
    team.patch({"killed": True}, "other")
    wait_until(lambda: (team.entry("other") or {}).get("serve") == "KILLED", "pods are told")
