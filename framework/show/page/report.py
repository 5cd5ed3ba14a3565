"""A plugin's report on the page: counts as bars, lists of rows as tables, all else as words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from .figure import Figures
from .table import records, table

# Bars beyond this are too thin to be told apart, and rows beyond the other too many to be read.
MOST_BARS: Final = 100
MOST_ROWS: Final = 200


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_counts(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 1 and all(map(_is_number, value.values()))


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(row, Mapping) for row in value)


def _member(figures: Figures, title: str, value: Any) -> Iterator[str]:
    if _are_counts(value):
        largest = dict(sorted(value.items(), key=lambda item: -item[1])[:MOST_BARS])
        shown = {name: number for name, number in value.items() if name in largest}
        more = f", the {len(shown)} largest of {len(value):,}" if len(shown) < len(value) else ""
        yield figures.bars(f"{title}{more}", list(shown), {"": list(shown.values())}, "")
    elif _are_rows(value):
        more = f", {MOST_ROWS} of {len(value):,}" if len(value) > MOST_ROWS else ""
        yield records(value[:MOST_ROWS], f"{title}{more}")
    elif isinstance(value, Mapping) and any(isinstance(item, Mapping | list) for item in value.values()):
        yield from report(figures, title, value)


def report(figures: Figures, title: str, found: Mapping[str, Any]) -> Iterator[str]:
    """The parts of the page for a report, or for a dict in it."""
    if _are_counts(found):
        yield from _member(figures, title, found)
        return
    parts = {name: list(_member(figures, f"{title}: {name}", value)) for name, value in found.items()}
    words = [(name, found[name]) for name, drawn in parts.items() if not drawn]
    if words:
        yield table(["", ""], words, title)
    for drawn in parts.values():
        yield from drawn


def section(figures: Figures, plugins: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """All plugins, a heading each."""
    for name, found in plugins.items():
        yield f'<section id="plugin-{escape(name)}"><h2>{escape(name)}</h2>\n'
        yield from report(figures, name, found)
        yield "</section>\n"
