"""Every variable and every query of both dashboards, asked of a real Prometheus of a real operator and a real shop, has data."""

import json
import time
from pathlib import Path

import pytest

from tests.alerts.test_alerts import RULES
from tests.apiserver.team import wait_until
from tests.chart.helm import Helm, the
from tests.dashboards.conftest import FREE, GATE, NAMESPACE, Played
from tests.dashboards.grafana import Json, Viewer, load, panels, questions, titles

DASHBOARDS = ("fleet", "experiment")
STILL_RAMPS = {"Waits for"}
"""Panels that say nothing of what has ended."""


def viewer(played: Played, *, experiment: str = GATE) -> Viewer:
    chosen = {"datasource": "real", "namespace": NAMESPACE, "experiment": experiment}
    return Viewer(played.prometheus, since=played.began, until=time.time(), chosen=chosen)


def silent(name: str, played: Played) -> list[str]:
    """The queries that give no number."""
    dashboard = load(name)
    who = {panel: viewer(played, experiment=FREE if panel in STILL_RAMPS else GATE) for panel in titles(dashboard)}
    return [str(question) for question in questions(dashboard) if not who[question.panel].ask(question, dashboard)]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_has_something_to_show(name: str, played: Played) -> None:
    wait_until(lambda: silent(name, played) == [], f"every panel of {name} shows something", lambda: silent(name, played))


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_can_be_asked_of_what_is_really_scraped(alert: str, played: Played) -> None:
    def firing() -> list[Json]:
        return viewer(played).instant(RULES[alert]["expr"])

    # a scrape that came to nothing is over soon, as the alerts' own patience has it
    wait_until(lambda: bool(firing()) is (alert == "RampgateRolledBack"), f"{alert} fires, or is silent, as it must", firing)
    assert all(series["metric"]["experiment"] == GATE for series in firing())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables_offer_what_there_is(name: str, played: Played) -> None:
    wanted = {"namespace": [NAMESPACE], "experiment": [GATE, FREE], "guardrail": ["errors", "share"]}
    found = viewer(played).values(load(name))
    assert found
    for variable, values in found.items():
        assert set(wanted[variable]) <= set(values), variable


def test_a_table_has_the_columns_that_it_names(played: Played) -> None:
    dashboard = load("fleet")
    tables = [panel for panel in panels(dashboard) if panel["type"] == "table"]
    assert len(tables) == 3
    for panel in tables:
        named = set(panel["transformations"][0]["options"]["renameByName"]) - {"Value"}

        def labels(panel: Json = panel) -> set[str]:
            return viewer(played).labels(panel["targets"][0]["expr"], dashboard)

        wait_until(lambda named=named, labels=labels: labels() == named, f"{panel['title']} has its columns", labels)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_chart_hands_it_on_as_it_is(name: str, tmp_path: Path) -> None:
    rendered = Helm("helm4", home=tmp_path).render({"metrics": {"dashboards": {"enabled": True}}})
    assert json.loads(the(rendered, "ConfigMap", f"rampgate-dashboard-{name}")["data"][f"{name}.json"]) == load(name)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_what_a_dashboard_refers_to_is_its_own(name: str) -> None:
    dashboard = load(name)
    assert next(variable["name"] for variable in dashboard["templating"]["list"]) == "datasource"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert {panel["datasource"]["uid"] for panel in panels(dashboard)} == {"${datasource}"}
    assert all(panel["title"] for panel in panels(dashboard))


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_lie_side_by_side_within_the_page(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in load(name)["panels"]:
        cells = _cells(panel["gridPos"])
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def _cells(place: Json) -> set[tuple[int, int]]:
    return {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
