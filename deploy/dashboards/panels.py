"""What a Grafana dashboard is made of, as the few kinds that Marquee's dashboards use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 41
"""Grafana 12; older ones read it too and newer ones bring it up to date."""
COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_STAT_HEIGHT = 4
_PLOT_HEIGHT = 8
_COLOURS = ("green", "orange", "red")


@dataclass(frozen=True)
class Query:
    """A PromQL expression.

    Attributes:
        expression: in which Grafana fills in the variables.
        legend: what a series is called, with labels in double braces.
    """

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture of a dashboard.

    Attributes:
        title: what it shows, in a few words.
        description: one sentence that a reader of the graph needs.
        queries: what is drawn.
        unit: Grafana's name of the unit: s, reqps, percentunit, bytes …
        width: columns, of 24.
        stacked: whether the series add up to something.
        number: draw the last value in large type rather than a graph.
        thresholds: values from which a number turns orange and red; descending when little is bad.
        maximum: upper end of the axis.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    width: int = 8
    stacked: bool = False
    number: bool = False
    thresholds: tuple[float, float] | None = None
    maximum: float | None = None

    def document(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return the panel as Grafana stores it, at a place of the grid."""
        defaults: dict[str, Any] = {"unit": self.unit, "min": 0} | ({"max": self.maximum} if self.maximum else {})
        if self.number:
            defaults |= {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": self._steps()}}
            options: dict[str, Any] = {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "value",
                "graphMode": "area",
                "textMode": "auto",
            }
        else:
            defaults["custom"] = {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 10,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            }
            options = {
                "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "max"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        return {
            "id": number,
            "type": "stat" if self.number else "timeseries",
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options,
            "targets": [
                {
                    "refId": chr(ord("A") + place),
                    "datasource": DATASOURCE,
                    "expr": query.expression,
                    "legendFormat": query.legend,
                    "instant": False,
                    "range": True,
                }
                for place, query in enumerate(self.queries)
            ],
        }

    @property
    def height(self) -> int:
        """Rows of the grid."""
        return _STAT_HEIGHT if self.number else _PLOT_HEIGHT

    def _steps(self) -> list[dict[str, Any]]:
        if self.thresholds is None:
            return [{"color": _COLOURS[0], "value": None}]
        first, second = self.thresholds
        colours = _COLOURS if first < second else tuple(reversed(_COLOURS))
        return [
            {"color": colour, "value": value}
            for colour, value in zip(colours, (None, *sorted(self.thresholds)), strict=True)
        ]


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard.

    Attributes:
        name: file name without its ending, and Grafana's uid.
        title: as people see it.
        description: what it is for.
        rows: from top to bottom.
        component: the service that it is about; empty for all of them.
    """

    name: str
    title: str
    description: str
    rows: Sequence[Row]
    component: str = ""

    def document(self) -> dict[str, Any]:
        """Return the dashboard as Grafana imports it."""
        return {
            "uid": self.name,
            "title": self.title,
            "description": self.description,
            "tags": ["marquee"],
            "timezone": "browser",
            "editable": True,
            "graphTooltip": 1,
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "links": [_links()],
            "annotations": {"list": []},
            "templating": {"list": self._variables()},
            "panels": self._panels(),
        }

    def _variables(self) -> list[dict[str, Any]]:
        chosen = 'namespace=~"$namespace",release=~"$release"'
        of_service = f',component="{self.component}"' if self.component else ',component=~"$component"'
        variables = [
            {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}},
            _variable("namespace", "label_values(marquee_build_info, namespace)"),
            _variable("release", 'label_values(marquee_build_info{namespace=~"$namespace"}, release)'),
        ]
        if not self.component:
            variables.append(_variable("component", f"label_values(marquee_build_info{{{chosen}}}, component)"))
        variables.append(_variable("pod", f"label_values(marquee_build_info{{{chosen}{of_service}}}, pod)"))
        return variables

    def _panels(self) -> list[dict[str, Any]]:
        documents: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
            heading = {"id": len(documents) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": []}
            documents.append(heading | {"gridPos": place})
            y += 1
            x = line_height = 0
            for panel in row.panels:
                if x + panel.width > COLUMNS:
                    x, y, line_height = 0, y + line_height, 0
                documents.append(panel.document(len(documents) + 1, x, y))
                x, line_height = x + panel.width, max(line_height, panel.height)
            y += line_height
        return documents


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        # A series without the label is shown too: outside Kubernetes nobody sets it.
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _links() -> dict[str, Any]:
    return {
        "title": "Marquee",
        "type": "dashboards",
        "tags": ["marquee"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
