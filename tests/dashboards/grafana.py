"""A dashboard's variables and queries, resolved and asked as Grafana does it.

Knows Grafana's JSON and its rules for variables (its documentation, "Global variables" and "Prometheus template variables").
"""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import requests

ROOT = Path(__file__).parents[2]
STEP = 1
"""Seconds between two points of a graph."""
SCRAPE = 0.25
LABEL_VALUES = re.compile(r"label_values\((?P<selector>.*), (?P<label>\w+)\)")
Json = dict[str, Any]


class Question(NamedTuple):
    """A query of a panel, or of an annotation."""

    panel: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.panel}: {self.expr}"


def load(name: str) -> Json:
    return dict(json.loads((ROOT / "dashboards" / f"{name}.json").read_text()))


def panels(dashboard: Json) -> list[Json]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def questions(dashboard: Json) -> Iterator[Question]:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield Question(panel["title"], target["expr"], target["instant"])
    for annotation in dashboard["annotations"]["list"]:
        yield Question(annotation["name"], annotation["target"]["expr"], instant=False)


def titles(dashboard: Json) -> set[str]:
    return {question.panel for question in questions(dashboard)}


class Viewer:
    """Who looks at a dashboard, from `since` until now."""

    def __init__(self, url: str, *, since: float, until: float, chosen: dict[str, str]) -> None:
        self._url, self._since, self._until, self._chosen = url, since, until, chosen

    def values(self, dashboard: Json) -> dict[str, list[str]]:
        """What the variables can be, each by those that were chosen before it."""
        found: dict[str, list[str]] = {}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                asked = LABEL_VALUES.fullmatch(variable["query"]["query"])
                assert asked is not None, variable
                match = {"match[]": self.resolve(asked["selector"], dashboard), "start": self._since, "end": self._until}
                found[variable["name"]] = self._get(f"label/{asked['label']}/values", match)
        return found

    def resolve(self, expr: str, dashboard: Json) -> str:
        """Put in what was chosen, of the others all, and the intervals by Grafana's rules."""
        least = max(STEP + SCRAPE, 4 * SCRAPE)
        values = {"__rate_interval": f"{round(least * 1000)}ms", "__range": f"{math.ceil(self._until - self._since)}s"}
        for variable in dashboard["templating"]["list"]:
            values[variable["name"]] = self._chosen.get(variable["name"], variable.get("allValue", ""))
        return re.sub(r"\$(\w+)", lambda found: values[found[1]], expr)

    def ask(self, question: Question, dashboard: Json) -> list[float]:
        """Every number that the panel would show."""
        query = self.resolve(question.expr, dashboard)
        if question.instant:
            texts = [series["value"][1] for series in self.instant(query)]
        else:
            result = self._get("query_range", {"query": query, "start": self._since, "end": self._until, "step": STEP})["result"]
            texts = [text for series in result for _, text in series["values"]]
        return [number for number in map(float, texts) if math.isfinite(number)]

    def labels(self, expr: str, dashboard: Json) -> set[str]:
        """The names of the labels of a table's rows."""
        return {name for series in self.instant(self.resolve(expr, dashboard)) for name in series["metric"]}

    def instant(self, query: str) -> list[Json]:
        """The series of a query at the end."""
        return list(self._get("query", {"query": query, "time": self._until})["result"])

    def _get(self, path: str, params: Json) -> Any:
        answer = requests.get(f"{self._url}/api/v1/{path}", params=params, timeout=20)
        body = answer.json()
        assert body["status"] == "success", body
        assert not body.get("warnings"), body
        return body["data"]
