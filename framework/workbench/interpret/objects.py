"""An object with methods, by itself or in a row: its methods are plain functions, which are called as they are."""

from __future__ import annotations

import itertools
from typing import Any

from zcframe.framework.packet.plain import View, number_of, octets_of
from zcframe.framework.state.compiled import ObjectType
from zcframe.framework.state.kinds import Addr, Kind, Octets
from zcframe.framework.state.layout import ObjectLayout
from zcframe.framework.state.sketch.kind import WORD, Method, words_in
from zcframe.framework.state.sketch.methods import check_call
from zcframe.framework.state.sketch.words import signed

from .fields import InterpretedArray
from .memory import Memory
from .typed import refusing, type_of


def _words(kind: Kind | None, value: Any) -> list[int]:
    """The words of a value in a key. kind: None for a value that is a word."""
    if isinstance(kind, Addr):
        return [signed(half) for half in divmod(number_of(value), 1 << 64)]
    if isinstance(kind, Octets):
        octets = View(octets_of(value)[: kind.limit])
        return [octets.u64le(WORD * i) for i in range(words_in(kind))]
    return [signed(int(value))]


class InterpretedObject:
    """label: what it is called; base: offset of the row that it is in; kept: the journal has it, as part of the row."""

    def __init__(self, layout: ObjectLayout, label: str, memory: Memory, base: int = 0, *, kept: bool = False) -> None:
        at = base + layout.offset
        arrays = {array.name: InterpretedArray(array, memory, at, kept=kept) for array in layout.arrays}
        self.__dict__.update(_layout=layout, _label=label, **layout.kind.settings(), **arrays)

    def __getattr__(self, name: str) -> Any:
        method = self._layout.kind.METHODS.get(name)
        if method is None:
            raise AttributeError(f"{self._label} has no method {name}")
        return lambda *given: self._call(name, method, given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name} of {self._label} cannot be assigned: call its methods")

    def _call(self, name: str, method: Method, given: tuple[Any, ...]) -> Any:
        with refusing():
            check_call(ObjectType(self._layout, self._label), name, method, [type_of(one) for one in given])
        if not method.keyed:
            return method.function(self, *(signed(int(one)) for one in given))
        plain = method.function.__code__.co_argcount - 2
        key = itertools.zip_longest(self._layout.kind.kinds.values(), given[plain:])
        words = (word for kind, value in key for word in _words(kind, value))
        return method.function(self, *(signed(int(one)) for one in given[:plain]), tuple(words))

    def __repr__(self) -> str:
        arrays = [f"{array.name}={vars(self)[array.name]!r}" for array in self._layout.arrays]
        return f"{self._layout.kind}: {', '.join(arrays)}"
