"""Tables of HTML: the text of every figure, and what has no figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from zcframe.framework.show.report import named_cell

Row = Sequence[Any]


def cell_text(value: Any) -> str:
    """A value in words: numbers in groups of three digits."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {cell_text(item)}" for name, item in value.items())
    return ", ".join(map(cell_text, value)) if isinstance(value, list | tuple) else str(value)


def _cell(value: Any, tag: str = "td") -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"<{tag}{' class=n' if number else ''}>{escape(cell_text(value))}</{tag}>"


def table(heads: Row, rows: Iterable[Row], caption: str = "") -> str:
    """A table; the first cell of each row is its head."""
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in heads)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table>\n"


def records(rows: Sequence[Mapping[str, Any]], caption: str = "") -> str:
    """A table of dicts: a column for each name that occurs."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return table(names, ([_named(name, row.get(name)) for name in names] for row in rows), caption)


def _named(name: str, value: Any) -> Any:
    """A port or a time is no number to be grouped."""
    return named_cell(name, value) if isinstance(value, int) else value
