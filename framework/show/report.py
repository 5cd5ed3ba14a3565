"""A plugin's report as lines of text, for plugins that do not write lines of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from zcframe.framework.terminal import clean

from .text import bar, cut, number, table, wrapped

BAR_WIDTH = 20
EPOCH = datetime(1970, 1, 1)
LAST_NS = 1 << 62
NAMES = ("port", "proto", "vlan", "_id", "pid")


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _is_counters(value: Any) -> bool:
    """A dict of plain numbers: a histogram, or counts by name."""
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value.values())
    )


def _is_records(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) > 0 and all(isinstance(row, Mapping) for row in value)


def _counter_lines(name: str, counters: Mapping[str, float], width: int, rows: int) -> Iterator[str]:
    whole, top = sum(counters.values()) or 1, max(counters.values()) or 1
    yield cut(clean(name), width)
    shown = list(counters.items())[:rows]
    lines = table(
        ["", "", "", ""], [(k, v, f"{v / whole:6.1%}", bar(v / top, BAR_WIDTH).rstrip()) for k, v in shown], width - 2
    )
    yield from (f"  {line}" for line in lines[1:])
    if len(counters) > rows:
        yield f"  and {len(counters) - rows} more"


def named_cell(key: str, value: Any) -> Any:
    """A value of a table: names that happen to be numbers as such, times as UTC."""
    if isinstance(value, int) and key.endswith(NAMES):
        return str(value)
    if isinstance(value, int) and key.endswith("_ns") and 0 <= value < LAST_NS:
        return (EPOCH + timedelta(microseconds=value // 1000)).isoformat(" ", "microseconds")
    return value if _is_scalar(value) else json.dumps(value, default=str)


def _record_lines(name: str, records: Sequence[Mapping[str, Any]], width: int, rows: int) -> Iterator[str]:
    header = list(records[0])
    cells = [[named_cell(key, record.get(key)) for key in header] for record in records[:rows]]
    yield cut(clean(name), width)
    yield from (f"  {line}" for line in table(header, cells, width - 2))
    if len(records) > rows:
        yield f"  and {len(records) - rows} more"


def report_lines(report: Mapping[str, Any], width: int = 80, rows: int = 10) -> list[str]:
    """Lines of at most `width` characters: plain values, then histograms and tables of at most `rows` rows."""
    scalars = [f"{clean(key)} {number(value)}" for key, value in report.items() if _is_scalar(value)]
    lines = wrapped(scalars, width)
    for key, value in report.items():
        if _is_scalar(value) or (isinstance(value, Mapping | list | tuple) and not value):
            continue
        if _is_counters(value):
            lines += _counter_lines(key, value, width, rows)
        elif _is_records(value):
            lines += _record_lines(key, value, width, rows)
        else:
            lines.append(cut(f"{clean(key)} {clean(json.dumps(value, default=str))}", width))
    return lines


def plugin_lines(
    name: str, report: Mapping[str, Any], own: Sequence[str] | None, width: int = 80, rows: int = 10
) -> list[str]:
    """The lines of plugin `name`: its `own` lines where it writes some, else its report; the first line names it."""
    lines = [cut(clean(line), width - 2) for line in own] if own else report_lines(report, width - 2, rows)
    return [cut(clean(name), width), *(f"  {line}" for line in lines)]
