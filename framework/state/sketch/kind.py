"""What a kind of embedded object is made of.

A kind is a frozen dataclass of its parameters. Its object is a few arrays side by side, zero at the start. Its methods
are plain functions that are compiled, whose first argument is the object: `one.counts[i] += 1` writes through the undo
journal, and `one.bits`, a parameter, is a constant. States merge array by array, as the scalars of the arrays say,
where the kind has no merge of its own. A result is the record of those arrays, of a class that knows what they mean.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from zcframe.framework.errors import DeclarationError
from zcframe.framework.state.declare import Array, Embedded, Param
from zcframe.framework.state.kinds import BITS, MAX, SUM, Kind, Octets
from zcframe.framework.state.layout import Void

Values = np.ndarray[Any, Any]
Starts = np.ndarray[Any, np.dtype[np.intp]]

REDUCE: dict[str, np.ufunc] = {SUM: np.add, MAX: np.maximum, BITS: np.bitwise_or}


class Method(NamedTuple):
    """A method for compiled code. function(object, whole numbers...); keyed: the last one is a tuple of one or more.

    writes: it is no method for `ahead` and `prefetch`. called: it is too large to be inlined.
    """

    function: Callable[..., Any]
    keyed: bool = False
    writes: bool = True
    called: bool = False


class Value(Void):
    """An object in `merge` and `report`: a record of its arrays, with results as attributes. kind: its declaration."""

    kind: ClassVar[Any]

    def summary(self) -> dict[str, Any]:
        """What a report without words of its own says: JSON."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self.kind}: {self.summary()}"

    __str__ = __repr__


class Sketch(Embedded):
    """Base of all kinds."""

    METHODS: ClassVar[Mapping[str, Method]]
    VALUE: ClassVar[type[Value]]

    def arrays(self) -> Mapping[str, Array]:
        """What an object is made of, by name, in the order of memory: wide scalars first."""
        raise NotImplementedError

    @property
    def words(self) -> tuple[str, ...]:
        """Names of the words that keyed methods are given; none for one word or more."""
        return ()

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Of the values that make up the key of keyed methods, by name; none where they are words."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The parameters by name, and what follows from them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]

    def settled(self, settings: Callable[[Any], Any]) -> Sketch:
        values = {name: settings(value) for name, value in Sketch.settings(self).items()}
        return replace(self, **values)  # type: ignore[type-var]

    @property
    def value(self) -> type[Value]:
        return _value_class(self)

    def merge(self, values: Values, starts: Starts) -> Values:
        """One object for each group of `values`, which begin at `starts`: associative, and commutative."""
        merged: Values = values[starts].copy()
        for name, array in self.arrays().items():
            merged[name] = REDUCE[array.scalar.reduction].reduceat(values[name], starts, axis=0)
        return merged


@functools.cache
def _value_class(kind: Sketch) -> type[Value]:
    return type(type(kind).__name__, (kind.VALUE,), {"kind": kind})


def groups(values: Values, starts: Starts) -> list[Values]:
    """The groups that begin at `starts`, for merges that take them one by one."""
    return np.split(values, starts[1:])


def require(kind: Sketch, name: str, low: float, high: float) -> None:
    """Raises DeclarationError where a parameter is no number from low to high; whole where its bounds are."""
    value = getattr(kind, name)
    whole = isinstance(low, int)
    if isinstance(value, Param):
        return
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not low <= value <= high:
        what = "a whole number" if whole else "a number"
        raise DeclarationError(f"{type(kind).__name__}({name}={value!r}): {what} from {low:,} to {high:,} is needed")


def require_names(kind: Sketch, name: str) -> None:
    """Raises DeclarationError where a parameter is no tuple of names, one a word."""
    names = getattr(kind, name)
    words = names if isinstance(names, tuple) else ()
    if not words or not all(isinstance(word, str) and word.isidentifier() for word in words):
        raise DeclarationError(f"{type(kind).__name__}({name}={names!r}): a tuple of names is needed, as ('hi', 'lo')")


# Bytes of a word, of which text in a key has as many as it needs.
WORD: Final = 8


def words_in(kind: Kind) -> int:
    """How many words a value takes in the key of an object."""
    return -(-kind.limit // WORD) if isinstance(kind, Octets) else kind.words


def power_of_two(least: int) -> int:
    return 1 << max(0, int(least - 1).bit_length())
