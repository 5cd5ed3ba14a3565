"""Plain text for people: numbers, tables, bars. What comes from the network is cleaned before it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zcframe.framework.terminal import clean

BAR_STEPS = " ▏▎▍▌▋▊▉█"
COLUMN_STEPS = "▁▂▃▄▅▆▇█"


def cut(text: str, width: int) -> str:
    """At most `width` characters, the last one an ellipsis where something is missing."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…" * (width > 0)


def number(value: Any) -> str:
    """A number as people read it; all else as cleaned text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    return clean(str(value))


def megabits(bytes_a_second: float) -> str:
    """Mb/s with one decimal."""
    return f"{bytes_a_second * 8 / 1e6:,.1f}"


def bar(fraction: float, width: int) -> str:
    """A bar of `width` characters, in eighths of a character; a fraction beyond 0..1 is taken as its nearest end."""
    eighths = round(min(max(fraction, 0.0), 1.0) * width * 8)
    return ("█" * (eighths // 8) + BAR_STEPS[eighths % 8]).rstrip().ljust(width)[:width]


def columns(values: Sequence[float]) -> str:
    """One upright bar a value, as high as its share of the largest."""
    top = max(values, default=0)
    last = len(COLUMN_STEPS) - 1
    return "".join(COLUMN_STEPS[round(value / top * last)] if top else COLUMN_STEPS[0] for value in values)


def fitting(widths: Mapping[str, int], dropped_first: Iterable[str], width: int, gap: int = 2) -> list[str]:
    """Names of the columns that fit into `width`; until they do, those of `dropped_first` are left out, one by one."""
    shown = list(widths)
    for name in dropped_first:
        if sum(widths[left] for left in shown) + gap * (len(shown) - 1) <= width:
            break
        if name in shown:
            shown.remove(name)
    return shown


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], width: int | None = None) -> list[str]:
    """Lines of a table: numbers to the right, texts to the left; with `width`, columns that do not fit are left out."""
    cells = [list(row) for row in rows]
    texts = [[clean(name) for name in header], *([number(cell) for cell in row] for row in cells)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    right = [any(_is_number(row[i]) for row in cells) for i in range(len(header))]
    shown = len(header)
    while width is not None and shown > 1 and sum(widths[:shown]) + 2 * (shown - 1) > width:
        shown -= 1
    lines = []
    for row in texts:
        placed = (row[i].rjust(widths[i]) if right[i] else row[i].ljust(widths[i]) for i in range(shown))
        lines.append("  ".join(placed).rstrip())
    return lines if width is None else [cut(line, width) for line in lines]


def wrapped(words: Iterable[str], width: int) -> list[str]:
    """`words` in lines of at most `width` characters, two blanks between them; a longer word is cut."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 2 + len(word) <= width:
            lines[-1] += "  " + word
        else:
            lines.append(cut(word, width))
    return lines
