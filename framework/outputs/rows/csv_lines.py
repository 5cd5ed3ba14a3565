"""`csv:FILE`: the names of the fields, then a line a record. A file has records of one kind."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from typing import Any, Final

from zcframe.framework.state.kinds import Kind, Octets, text
from zcframe.framework.terminal import clean

from .kind import RecordKind
from .output import Rows


class _Echo:
    """A file for Python's csv, whose writer returns what `write` does."""

    def write(self, line: str) -> str:
        return line


_row: Final[Callable[[Iterable[Any]], str]] = csv.writer(_Echo(), lineterminator="").writerow


def _plain(value: str) -> str:
    """The text without ends of line, so that a record stays one line."""
    return value if value.isprintable() else clean(value)


def _maker(kind: Kind) -> Callable[[Any], str] | None:
    """What makes a cell of a value; None: csv does."""
    if isinstance(kind, text):
        return _plain
    return bytes.hex if isinstance(kind, Octets) else None


class Csv(Rows):
    """Addresses as text, blobs as hex digits, control characters in text as escapes; UTF-8."""

    one_kind = True

    def head(self) -> bytes:
        (number,) = self.taken
        return (_row(name for name, _ in self.kinds[number].fields) + "\n").encode()

    def line(self, kind: RecordKind) -> Callable[[tuple[Any, ...]], str]:
        found = ((place, _maker(field)) for place, (_, field) in enumerate(kind.fields))
        makers = [(place, maker) for place, maker in found if maker is not None]

        def line(values: tuple[Any, ...]) -> str:
            cells = list(values)
            for place, maker in makers:
                cells[place] = maker(cells[place])
            return _row(cells)

        return line
