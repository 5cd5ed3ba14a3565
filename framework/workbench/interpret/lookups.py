"""Lists to look things up in: the memory and the searches of a run, called one by one."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import types

from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.packet.plain import View, number_of, octets_of
from zcframe.framework.state.compiled import LookupType
from zcframe.framework.state.kinds import Octets
from zcframe.framework.state.layout import LookupLayout
from zcframe.framework.state.lookup.image import Piece
from zcframe.framework.state.lookup.methods import PATTERNS, check_find, found_place
from zcframe.framework.state.lookup.search import (
    find_number,
    find_pattern,
    find_prefix,
    pattern_length,
    shorter_pattern,
)

from .typed import refusing, type_of

HALF = (1 << 64) - 1


@functools.cache
def _compiled(function: Any, words: int) -> Any:
    """A part of compiled code, to be called from Python with so many whole numbers."""
    names = ", ".join(f"w{i}" for i in range(words))
    scope: dict[str, Any] = {"part": function}
    # A name of its own: machine code is found by it.
    name = f"call_{function.__name__}"
    exec(f"def {name}({names}):\n    return part({names})\n", scope)
    made: Any = fleeting(scope[name])
    precompile(made, *[types.int64] * words)
    return made


@dataclass(frozen=True)
class Hit:
    """A hit of Patterns, which is false where nothing was found."""

    index: int
    start: int
    end: int
    state: int

    def __bool__(self) -> bool:
        return self.index >= 0


class InterpretedLookup:
    """A lookup of a plugin. piece: the memory of all of them."""

    def __init__(self, layout: LookupLayout, piece: Piece) -> None:
        offset = ctypes.c_int64.from_address(piece.address + 8 * layout.index).value
        self._layout, self._piece, self._at = layout, piece, piece.address + offset

    def _check(self, *given: Any) -> None:
        with refusing():
            check_find(LookupType(self._layout, self._layout.name), [type_of(one) for one in given])

    def _halves(self, address: Any) -> list[int]:
        number = number_of(address)
        return [half - (1 << 64) if half >> 63 else half for half in (number >> 64, number & HALF)]


class InterpretedPatterns(InterpretedLookup):
    def _hit(self, index: int, end: int, state: int) -> Hit:
        length = _compiled(pattern_length, 2)(self._at, index) if index >= 0 else 0
        return Hit(index, end - length, end, state)

    def find(self, view: Any, start: int = 0, state: int = 0) -> Hit:
        self._check(view, start, state)
        octets = np.frombuffer(octets_of(view) or b"\0", np.uint8)
        words = (self._at, octets.ctypes.data, len(view), start, state)
        return self._hit(*_compiled(find_pattern, 5)(*words))

    def next(self, view: Any, hit: Hit) -> Hit:
        if not isinstance(hit, Hit):
            raise TypeError(f"{self._layout.name}.next() takes a view, or bytes, and the hit found last")
        index = _compiled(shorter_pattern, 2)(self._at, hit.index) if hit else -1
        return self._hit(index, hit.end, hit.state) if index >= 0 else self.find(view, hit.end, hit.state)


class InterpretedPrefixes(InterpretedLookup):
    def find(self, address: Any) -> Any:
        self._check(address)
        word = _compiled(find_prefix, 3)(self._at, *self._halves(address))
        if not isinstance(self._layout.value, Octets):
            return word
        place, length = _compiled(found_place, 2)(self._at, word)
        return View(ctypes.string_at(place, length))

    def __contains__(self, address: Any) -> bool:
        self._check(address)
        return bool(_compiled(find_number, 3)(self._at, *self._halves(address)))


def interpreted(layout: LookupLayout, piece: Piece) -> InterpretedLookup:
    return (InterpretedPatterns if layout.kind == PATTERNS else InterpretedPrefixes)(layout, piece)
