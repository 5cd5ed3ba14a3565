"""`csv:FILE`: the names of the fields, then a line a record. A file has records of one kind."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any

from zcframe.framework.terminal import clean

from .kind import RecordKind
from .output import Rows


def _cell(value: Any) -> Any:
    """A value without ends of line, so that a record stays one line."""
    if isinstance(value, str):
        return clean(value)
    return value.hex() if isinstance(value, bytes) else value


def _row(cells: Iterable[Any]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="").writerow(cells)
    return made.getvalue()


class Csv(Rows):
    """Addresses as text, blobs as hex digits, control characters in text as escapes; UTF-8."""

    one_kind = True

    def head(self) -> bytes:
        (number,) = self.taken
        return (_row(name for name, _ in self.kinds[number].fields) + "\n").encode()

    def line(self, kind: RecordKind) -> Callable[[tuple[Any, ...]], str]:
        return lambda values: _row(map(_cell, values))
