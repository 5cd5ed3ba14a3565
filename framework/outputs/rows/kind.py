"""A kind of record of the run, and its fields' values in Python: int, float, str (addresses, too) and bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zcframe.framework.errors import OutputError
from zcframe.framework.state.addresses import address_of
from zcframe.framework.state.kinds import Addr, Kind, Octets, text
from zcframe.framework.state.records import HEAD, RecordsLayout

if TYPE_CHECKING:
    from zcframe.framework.chain.bound import BoundPlugin


@functools.lru_cache(1 << 16)
def address(octets: bytes) -> str:
    """The text of an address: they come again and again."""
    return str(address_of(octets))


@dataclass(frozen=True)
class RecordKind:
    """plugin: its name in the run. Its records are called `name`."""

    plugin: str
    layout: RecordsLayout

    @property
    def name(self) -> str:
        return f"{self.plugin}.{self.layout.name}"

    @property
    def fields(self) -> tuple[tuple[str, Kind], ...]:
        return self.layout.fields

    def reader(self, addresses: Callable[[bytes], Any] = address) -> Callable[[bytes, int, int], tuple[Any, ...]]:
        """Function (bytes, where a record begins, its size) -> the values of its fields.

        addresses: makes the value of an address of its 16 bytes. The function raises OutputError for what is no record.
        """
        form, fixed = self.layout.form, self.layout.fixed
        found = ((place, _maker(kind, addresses)) for place, (_, kind) in enumerate(self.fields))
        makers = [(place, maker) for place, maker in found if maker is not None]

        def read(data: bytes, at: int, size: int) -> tuple[Any, ...]:
            if size < fixed:
                raise OutputError("a worker left in its ring what is no record: nothing more is written")
            values: list[Any] = list(form.unpack_from(data, at + HEAD))
            end = at + fixed
            for place, maker in makers:
                values[place], end = maker(data, values[place], end)
            if end > at + size:
                raise OutputError("a worker left in its ring what is no record: nothing more is written")
            return tuple(values)

        return read


Maker = Callable[[bytes, Any, int], tuple[Any, int]]


def _maker(kind: Kind, addresses: Callable[[bytes], Any]) -> Maker | None:
    """Function (bytes, what stands among the fields, end of the octets before) -> (value, end of its own)."""
    if isinstance(kind, Addr):
        return lambda data, raw, end: (addresses(raw), end)
    if isinstance(kind, text):
        return _text
    if isinstance(kind, Octets):
        return lambda data, length, end: (data[end : end + length], end + length)
    return None


def _text(data: bytes, length: int, end: int) -> tuple[str, int]:
    return data[end : end + length].decode(errors="backslashreplace"), end + length


def record_kinds(plugins: Iterable[BoundPlugin]) -> tuple[RecordKind, ...]:
    """The kinds of record of a run, by their numbers."""
    return tuple(RecordKind(plugin.name, layout) for plugin in plugins for layout in plugin.layout.records)
