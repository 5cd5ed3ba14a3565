"""What a plugin raised, in words: the worker writes them, who alone may follow where numba keeps an exception."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Final

from numba import cloudpickle

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.build import Chain
from zcframe.framework.chain.fault import PLUGIN, RAISED, TEXT, TEXT_SIZE
from zcframe.framework.chain.workspace import FAULT_ENTRIES, FAULT_ENTRY, FAULTS
from zcframe.framework.ring import Mapping as Memory

# An entry without an exception: the worker was killed at the packet, and its successor did not ask the plugin again.
KILLED: Final = "the worker died there, or did not return"


class _Kept(ctypes.Structure):
    """numba's own record of an exception: excinfo_t in numba.core.callconv."""

    _fields_ = (
        ("pickled", ctypes.c_void_p),
        ("size", ctypes.c_int32),
        ("hashed", ctypes.c_void_p),
        ("unwrap", ctypes.c_void_p),
        ("dynamic", ctypes.c_int32),
    )


def _place(plugin: BoundPlugin, lines: Mapping[int, int], location: tuple[str, str, int] | None) -> str:
    """FILE:LINE of what raised, of the filter where no more is known."""
    if location:
        return f"{os.path.basename(location[1])}:{lines.get(location[2], location[2])}"
    code = plugin.declared.filter.__code__
    return f"in filter, {os.path.basename(code.co_filename)}:{code.co_firstlineno}"


def in_words(address: int, plugin: BoundPlugin, lines: Mapping[int, int]) -> str:
    """The exception that numba keeps at an address: its type, its message as far as it is fixed, and where.

    lines: of the plugin, as Chain has them.
    """
    kept = _Kept.from_address(address)
    kind, arguments, location = cloudpickle.loads(ctypes.string_at(kept.pickled, kept.size))
    message = "" if kept.dynamic else ", ".join(str(argument) for argument in arguments or ())
    return f"{kind.__name__}{': ' if message else ''}{message}, {_place(plugin, lines, location)}"


class Raised:
    """The entries of one worker's memory; `describe()` gives words to those that have none yet.

    Those that a predecessor described stay: it may have had another version of the plugin.
    """

    def __init__(self, progress: Memory, chain: Chain) -> None:
        self._chain = chain
        self._words = progress.view("u8", FAULTS, FAULT_ENTRIES * FAULT_ENTRY // 8).reshape(FAULT_ENTRIES, -1)
        self._text = progress.view("u1", FAULTS, FAULT_ENTRIES * FAULT_ENTRY).reshape(FAULT_ENTRIES, -1)
        self._next = 0

    def describe(self) -> None:
        """Called often: it looks at one word where nothing new has faulted."""
        while self._next < FAULT_ENTRIES and self._words[self._next, PLUGIN // 8]:
            if not self._text[self._next, TEXT]:
                self._write(self._next)
            self._next += 1

    def _write(self, i: int) -> None:
        row = self._words[i]
        k, address = int(row[PLUGIN // 8]) - 1, int(row[RAISED // 8])
        text = in_words(address, self._chain.plugins[k], self._chain.lines[k]) if address else KILLED
        data = text.encode(errors="replace")[: TEXT_SIZE - 1]
        # Its first byte says that the rest is there: a worker may be killed in between.
        self._text[i, TEXT + 1 : TEXT + len(data)] = memoryview(data)[1:]
        self._text[i, TEXT] = data[0]
