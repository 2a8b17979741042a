"""Grafana's dashboard JSON (schema 39, Grafana 10.4 and later), as far as our dashboards need it.

Knows how panels, variables and annotations are written, and where panels go. Must not know what any of them asks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = dict[str, Any]
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of a dashboard."""


class Query(NamedTuple):
    """A PromQL expression, and how its series are called in the legend."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Something that shows queries, `width` of 24 columns wide. `instant`: as they are at the end, not over time."""

    title: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    about: str = ""
    unit: str = "short"
    instant: bool = False
    width: int = 8
    height: int = 8
    least: float | None = 0
    most: float | None = None
    custom: Json | None = None
    """How lines are drawn."""
    options: Json | None = None
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()
    mappings: tuple[Json, ...] = ()
    repeat: str | None = None
    """A variable, for each of whose values there is such a panel."""


class Row(NamedTuple):
    """A heading with its panels."""

    title: str
    panels: tuple[Panel, ...]


def table(title: str, query: str, *, width: int, about: str = "", names: Json, overrides: Sequence[Json] = ()) -> Panel:
    """Give a table of labels, and of the value where `names` has a name for `Value`; `names` are the columns' titles, in order."""
    hidden = {name: True for name in ("Time", "Value") if name not in names}
    order = {name: index for index, name in enumerate(names)}
    organize = {"id": "organize", "options": {"excludeByName": hidden, "indexByName": order, "renameByName": names}}
    return Panel(
        title=title,
        queries=(Query(query),),
        kind="table",
        about=about,
        instant=True,
        width=width,
        least=None,
        transformations=(organize,),
        overrides=tuple(overrides),
    )


def override(name: str, **properties: object) -> Json:
    """Show one field, by its name, otherwise: `unit="percent"`, `custom__fillBelowTo="low"`."""
    found = [{"id": each.replace("__", "."), "value": value} for each, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": found}


def variable(name: str, query: str, *, label: str, several: bool = False) -> Json:
    """Give a variable whose values are those of a label; of `several`, all at first."""
    found: Json = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2,  # when the time range changes too: Experiments come and go
        "sort": 1,
        "multi": several,
        "includeAll": several,
    }
    return found | ({"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if several else {})


def dashboard(
    uid: str, title: str, *, about: str, variables: Sequence[Json], rows: Iterable[Row], annotations: Sequence[Json] = ()
) -> Json:
    """Give a whole dashboard."""
    others = {
        "type": "dashboards",
        "title": "Rampgate",
        "tags": ["rampgate"],
        "icon": "dashboard",
        "tooltip": "",
        "asDropdown": False,
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["rampgate"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "links": [others],
        "annotations": {"list": list(annotations)},
        "templating": {"list": [source, *variables]},
        "panels": list(_placed(rows)),
    }


def _placed(rows: Iterable[Row]) -> Iterator[Json]:
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": _place(0, top, WIDTH, 1)}
        left, top, height = 0, top + 1, 0
        for panel in row.panels:
            number += 1
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            yield {"id": number, "gridPos": _place(left, top, panel.width, panel.height), **_written(panel)}
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _place(left: int, top: int, width: int, height: int) -> Json:
    return {"x": left, "y": top, "w": width, "h": height}


def _written(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit, "mappings": list(panel.mappings), "custom": panel.custom or {}}
    defaults |= {name: value for name, value in (("min", panel.least), ("max", panel.most)) if value is not None}
    found: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "targets": [_target(panel, query, chr(ord("A") + index)) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": panel.options or {},
        "transformations": list(panel.transformations),
    }
    return found | ({"repeat": panel.repeat, "repeatDirection": "h", "maxPerRow": WIDTH // panel.width} if panel.repeat else {})


def _target(panel: Panel, query: Query, letter: str) -> Json:
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": panel.instant,
        "range": not panel.instant,
        "format": "table" if panel.kind == "table" else "time_series",
    }
