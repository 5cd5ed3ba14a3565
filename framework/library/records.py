"""Records that plugins emitted: a file without a name, to which the run writes them, and the values in it."""

from __future__ import annotations

import functools
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zcframe.framework.nearest import nearest, offer
from zcframe.framework.outputs.rows.decode import BEGINNING
from zcframe.framework.outputs.rows.kind import RecordKind
from zcframe.framework.state.addresses import address_of
from zcframe.framework.state.kinds import Kind, Scalar
from zcframe.framework.state.records import LARGEST, RecordsLayout

if TYPE_CHECKING:
    import pandas

Fields = Sequence[tuple[str, Kind]]
# Bytes that are read at once, and addresses that come again and again.
PIECE: Final = 32 * LARGEST
ADDRESSES: Final = 1 << 16


def _unnamed() -> int:
    """Descriptor of a file that has no name: in the folder for temporary files, or in memory where there is none."""
    try:
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    except OSError:
        return os.memfd_create("zcframe-records", os.MFD_CLOEXEC)


class RecordsFile:
    """It goes with its last holder. Raises OSError where none can be made."""

    def __init__(self, content: bytes = b"") -> None:
        self._fd = _unnamed()
        weakref.finalize(self, os.close, self._fd).atexit = False
        with open(self._fd, "wb", closefd=False) as file:
            file.write(content)

    def fileno(self) -> int:
        return self._fd

    def read(self, at: int, end: int) -> bytes:
        """Bytes from `at` on, up to a PIECE of them."""
        return os.pread(self._fd, min(PIECE, end - at), at)

    def __reduce__(self) -> tuple[Any, ...]:
        size = os.fstat(self._fd).st_size
        return RecordsFile, (b"".join(self.read(at, size) for at in range(0, size, PIECE)),)


@dataclass(frozen=True)
class Emitted:
    """What plugins have emitted up to one moment. kinds: fields by "PLUGIN.RECORDS", in the order of their numbers.

    file: None where records were not asked for. end: bytes of it that hold.
    """

    kinds: Mapping[str, Fields] = field(default_factory=dict)
    file: RecordsFile | None = None
    end: int = 0

    def number(self, name: str) -> int:
        """The number of a kind. Raises LookupError for a name that no plugin has, or that several have."""
        names = list(self.kinds)
        found = [whole for whole in names if name in (whole, whole.partition(".")[2])]
        if len(found) > 1:
            raise LookupError(f"records {name!r} are of several plugins: name one of {', '.join(found)}")
        if not found:
            text = offer(nearest(name, names), names) if names else ""
            raise LookupError(f"no plugin of this run has Records {name!r}{text}")
        if self.file is None:
            raise LookupError(f"records {found[0]} were left out: records=False")
        return names.index(found[0])

    def rows(self, number: int, at: int = 0) -> Iterator[dict[str, Any]]:
        """The records of a kind as dicts by field. at: the byte from which on they are read."""
        names = [name for name, _ in list(self.kinds.values())[number]]
        for values in self._values(number, at):
            yield dict(zip(names, values, strict=True))

    def _values(self, number: int, at: int) -> Iterator[tuple[Any, ...]]:
        read = self._reader(number)
        data, begin = b"", 0
        while at < self.end:
            if len(data) - begin < LARGEST:
                assert self.file is not None
                data, begin = self.file.read(at, self.end), 0
            kind, size = BEGINNING.unpack_from(data, begin)
            if kind == number:
                yield read(data, begin, size)
            begin, at = begin + size, at + size

    def _reader(self, number: int) -> Callable[[bytes, int, int], tuple[Any, ...]]:
        name, fields = list(self.kinds.items())[number]
        plugin, _, records = name.partition(".")
        addresses = functools.lru_cache(ADDRESSES)(address_of)
        return RecordKind(plugin, RecordsLayout(records, 0, tuple(fields))).reader(addresses)

    def frame(self, name: str) -> pandas.DataFrame:
        """The records of a kind, a column for each field. Raises ImportError without pandas, LookupError."""
        number = self.number(name)
        make = _pandas()
        columns = list(zip(*self._values(number, 0), strict=True)) or [()] * len(self.kinds[name])
        return make(
            {
                field: values if not isinstance(kind, Scalar) else _array(values, kind)
                for (field, kind), values in zip(self.kinds[name], columns, strict=True)
            }
        )


def _array(values: Sequence[Any], kind: Scalar) -> Any:
    import numpy as np

    return np.array(values, kind.dtype)


def _pandas() -> Any:
    try:
        from pandas import DataFrame
    except ImportError:
        raise ImportError("frame() needs pandas: pip install pandas") from None
    return DataFrame


def data_frame(values: Any, name: str) -> pandas.DataFrame:
    """A DataFrame of a numpy array; fields are columns, and those that hold arrays have lists. Raises ImportError."""
    make = _pandas()
    if values.dtype.names is None:
        return make({name: values})
    columns = {field: values[field] for field in values.dtype.names}
    return make({field: list(column) if column.ndim > 1 else column.copy() for field, column in columns.items()})
