"""Words for compiled functions, each by its name.

A compiled function takes its addresses, masks and numbers as int64 words of one array. A NamedTuple class says what
they are: an instance of it holds the values, and `numbered(cls)` their places, which numba bakes in as constants.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

T = TypeVar("T", bound=tuple[int, ...])

Words = np.ndarray[Any, np.dtype[np.int64]]


def numbered(cls: type[T]) -> T:
    """The place of each word: `array[numbered(cls).name]`."""
    make: Any = cls
    return make(*range(len(make._fields)))  # type: ignore[no-any-return]


def words_of(values: tuple[int, ...], *more: int) -> Words:
    """int64 array of these words, and of those that follow the last one."""
    return np.array([*values, *more], np.int64)
