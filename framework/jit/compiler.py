"""numba's compiler, set up once for all compiled code of zcframe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

# numba checks whether each array that it is given is a masked one: without this import, every worker would import the
# package by itself, for 30 ms and a megabyte.
import numpy.ma  # noqa: F401

from .cache import cache_directory
from .stored import store

F = TypeVar("F", bound=Callable[..., Any])

# numba reads this when a function is decorated: it must stand before the first @compiled.
CACHE = cache_directory()
numba.config.CACHE_DIR = str(CACHE or "")


def compiled(function: F) -> F:
    """Compile an entry point: kept on disk, releases the GIL, raises ZeroDivisionError as Python does."""
    dispatcher = numba.njit(nogil=True)(function)
    if CACHE is not None:
        store(dispatcher)
    return dispatcher  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Compile a part of an entry point: always inlined by LLVM, so that values stay in registers."""
    return numba.njit(forceinline=True, nogil=True)(function)  # type: ignore[no-any-return]


def outlined(function: F) -> F:
    """Compile a part of an entry point that is seldom needed: it is called, so that what is around it stays small."""
    return numba.njit(nogil=True)(function)  # type: ignore[no-any-return]


def precompile(function: Callable[..., Any], *arguments: Any) -> None:
    """Compile an entry point for these numba types, or load it from the cache, without calling it."""
    function.compile(arguments)  # type: ignore[attr-defined]
