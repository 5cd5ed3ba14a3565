"""Records of link types that are not read: counted by link type in the progress page, each type told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.capture import CaptureReader
from zcframe.framework.sources.capture.linktype import link_type_label, passing_over

from .progress import ODD_TYPES

# Link types have 16 bits; the last row counts those that found no row of their own.
OTHERS: Final = 1 << 16


class OddRecords:
    """Counts of one replay. fields: the progress page; tell: called once for each link type."""

    def __init__(self, fields: np.ndarray[Any, Any], tell: Callable[[SourceEvent], None]) -> None:
        self._types, self._counts, self._tell = fields["odd_types"][0], fields["odd_counts"][0], tell
        self._rows: dict[int, int] = {}
        self._told: set[int] = set()
        self._before: Counter[int] = Counter()

    def begin_file(self) -> None:
        self._before = Counter()

    def note(self, reader: CaptureReader) -> None:
        """Bring the counts up to what `reader` has counted in its file."""
        found = Counter(reader.odd_records())
        if not found:
            return
        for link_type, count in (found - self._before).items():
            self._counts[self._row(link_type)] += count
            if link_type not in self._told:
                self._told.add(link_type)
                self._tell(SourceEvent("warning", passing_over(link_type, reader.window.label)))
        self._before = found

    def _row(self, link_type: int) -> int:
        if link_type not in self._rows:
            row = min(len(self._rows), ODD_TYPES - 1)
            self._types[row] = link_type if row < ODD_TYPES - 1 else OTHERS
            self._rows[link_type] = row
        return self._rows[link_type]


def odd_counts(fields: np.ndarray[Any, Any]) -> dict[str, int]:
    """Records by name and number of their link type, as the NIC has counted them so far."""
    rows = zip(fields["odd_types"][0].tolist(), fields["odd_counts"][0].tolist(), strict=True)
    return {"others" if number == OTHERS else link_type_label(number): count for number, count in rows if count}
