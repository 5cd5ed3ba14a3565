"""Figures, drawn by plotly's script. Each has its figures as a table, too, for who does not see or run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import ModuleType
from typing import Any, Final

from zcframe.framework.errors import ZcframeError

from .table import table

Numbers = Sequence[float]
# Taken frames are green, lost ones red, those that a plugin dropped on purpose blue.
COLOURS: Final = {
    "accepted": "#2a9d5c",
    "written": "#2a9d5c",
    "faulted": "#b3589a",
    "nic_drop": "#8f1d14",
    "ring_full": "#d7352a",
    "in_flight": "#9aa0a6",
}
HEIGHT: Final = 340


class Figures:
    """Draws with plotly. Raises ZcframeError where that is not installed."""

    def __init__(self) -> None:
        try:
            import plotly.graph_objects
            import plotly.offline
        except ImportError:
            raise ZcframeError("--html needs plotly: pip install 'zcframe[report]'") from None
        self._graphs: ModuleType = plotly.graph_objects
        self.script: str = plotly.offline.get_plotlyjs()

    def bars(self, title: str, labels: Sequence[str], rows: Mapping[str, Numbers], unit: str = "packets") -> str:
        """Bars for the labels; several rows are stacked."""
        stacks = [
            self._graphs.Bar(name=escape(name), x=_labels(labels), y=list(values), marker_color=COLOURS.get(name))
            for name, values in rows.items()
        ]
        return self._drawn(title, stacks, labels, rows, unit, barmode="stack")

    def lines(self, title: str, times: Sequence[str], rows: Mapping[str, Numbers], unit: str) -> str:
        """Lines over time."""
        curves = [self._graphs.Scatter(name=escape(name), x=list(times), y=list(row)) for name, row in rows.items()]
        return self._drawn(title, curves, times, rows, unit)

    def _drawn(
        self,
        title: str,
        traces: Sequence[Any],
        labels: Sequence[str],
        rows: Mapping[str, Numbers],
        unit: str,
        **layout: Any,
    ) -> str:
        figure = self._graphs.Figure(list(traces))
        figure.update_layout(
            height=HEIGHT, margin={"l": 60, "r": 20, "t": 20, "b": 40}, yaxis_title=escape(unit), **layout
        )
        drawn = figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
        text = table(["", *rows], zip(labels, *rows.values(), strict=True))
        return (
            f'<figure><div role="img" aria-label="{escape(title)}; its figures are in the table below">{drawn}</div>'
            f"<figcaption>{escape(title)}</figcaption><details><summary>as a table</summary>{text}</details></figure>\n"
        )


def _labels(labels: Sequence[str]) -> list[str]:
    """plotly takes labels for HTML of its own, and text that looks like a number for one."""
    return [f"{escape(label)}\u200b" for label in labels]
