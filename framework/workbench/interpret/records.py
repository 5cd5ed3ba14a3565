"""What a filter emits: records of the packet in progress, and those of all packets that did not raise."""

from __future__ import annotations

from typing import Any

import numpy as np

from zcframe.framework.chain.records.emit import in_order
from zcframe.framework.packet.plain import octets_of
from zcframe.framework.state.kinds import Kind, Octets
from zcframe.framework.state.records import RecordsLayout

from .fields import encoded
from .typed import refusing, type_of

Row = dict[str, Any]


def _held(kind: Kind, value: Any) -> Any:
    """The Python value of what a record holds of a value."""
    raw = np.zeros(1, kind.dtype)
    octets = encoded(kind, value)
    raw.view(np.uint8)[: len(octets)] = memoryview(octets)
    return kind.value(raw[0])


def _is_cut(kind: Kind, value: Any) -> bool:
    return isinstance(kind, Octets) and len(octets_of(value)) > kind.limit


class InterpretedRecords:
    """state.NAME of Records. rows: by field, in types of Python; cut: how many of them had a field cut."""

    def __init__(self, layout: RecordsLayout) -> None:
        self._layout = layout
        self._new: list[tuple[Row, bool]] = []
        self.rows: list[Row] = []
        self.cut = 0

    def emit(self, *args: Any, **values: Any) -> None:
        with refusing():
            in_order(self._layout, [type_of(one) for one in args], {name: type_of(values[name]) for name in values})
        fields = self._layout.fields
        row = {name: _held(kind, values[name]) for name, kind in fields}
        self._new.append((row, any(_is_cut(kind, values[name]) for name, kind in fields)))

    def settle(self, *, void: bool) -> None:
        """The packet is done. void: it has raised, and emitted nothing."""
        if not void:
            self.rows += [row for row, _ in self._new]
            self.cut += sum(cut for _, cut in self._new)
        self._new.clear()
