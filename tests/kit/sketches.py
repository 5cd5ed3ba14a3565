"""Embedded objects in plain memory, without packets: their compiled methods over rows of numbers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from zcframe.framework.jit.compiler import fleeting
from zcframe.framework.state.compiled import ObjectType, maker
from zcframe.framework.state.layout import StateLayout, object_layout
from zcframe.framework.state.sketch.methods import allow_methods

Rows = Sequence[Sequence[int]]


@functools.cache
def _method(kind: Any, name: str, words: int) -> Any:
    """Compiled function (object address, int64[n, words], int64[n]): the method for each row, and what it returned."""
    layout = object_layout("one", 0, kind)
    allow_methods(StateLayout((layout,), layout.size, 1, True))
    scope = {"make": maker(ObjectType(layout, "one", direct=True))}
    given = ", ".join(f"rows[i, {word}]" for word in range(words))
    line = f"make(address, 0).{name}({given})"
    line = line if kind.METHODS[name].function.__annotations__["return"] == "None" else f"out[i] = {line}"
    exec(f"def run(address, rows, out):\n    for i in range(len(rows)):\n        {line}\n", scope)
    return fleeting(scope["run"])


def call(value: Any, name: str, rows: Rows) -> list[int]:
    """What a method of an object returned for each row of arguments; the object changes."""
    table = np.array(rows, np.int64).reshape(len(rows), -1)
    out = np.zeros(len(table), np.int64)
    _method(value.kind, name, table.shape[1])(value.base.ctypes.data, table, out)
    return out.tolist()


def empty(kind: Any) -> Any:
    """An object that nothing was added to, as `report` has it."""
    return np.zeros(1, object_layout("one", 0, kind).dtype)[0]


def filled(kind: Any, rows: Rows) -> Any:
    """The object that each row was added to."""
    value = empty(kind)
    if len(rows):
        call(value, "add", rows)
    return value


def merged(values: Sequence[Any]) -> Any:
    """One object made of several, as states merge."""
    objects = np.empty(len(values), values[0].dtype)
    for at, value in enumerate(values):
        objects[at] = value
    return values[0].kind.merge(objects, np.zeros(1, np.intp))[0]
