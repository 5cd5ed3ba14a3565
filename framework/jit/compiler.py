"""numba's compiler, set up once for all compiled code of zcframe."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import numba

# numba checks whether each array that it is given is a masked one: without this import, every worker would import the
# package by itself, for 30 ms and a megabyte.
import numpy.ma  # noqa: F401
from numba.core.registry import cpu_target

from zcframe.framework.errors import CacheError
from zcframe.framework.garbage import uncollected

from .cache import cache_directory, give_up, private_directory
from .kept import KeptPart
from .lean import lean
from .lowering import LOCATED
from .part import EntryCompiler, PartCompiler
from .stored import StoredCode, store

F = TypeVar("F", bound=Callable[..., Any])

# numba reads this when a function is decorated: it must stand before the first @compiled.
CACHE = cache_directory()
numba.config.CACHE_DIR = str(CACHE or "")


# Options of numba's decorators for parts.
CALLED: Final = {"pipeline_class": PartCompiler}
FORCE: Final = {"forceinline": True, **CALLED}


class Part:
    """A function of which numba makes a dispatcher once it is needed: where all is in the cache, that is never.

    key: the name by which it is kept on disk; "" where it is not.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.__wrapped__, self._options, self.key = function, options, ""
        self.__name__, self.__qualname__ = function.__name__, function.__qualname__
        self.__module__ = function.__module__

    @cached_property
    def dispatcher(self) -> Any:
        """numba's own object."""
        made = numba.njit(nogil=True, **LOCATED, **self._options)(self.__wrapped__)
        if self.key and CACHE is not None:
            try:
                made._cache = KeptPart(private_directory(CACHE / "parts"), self.key)
            except CacheError as error:
                give_up(error)
        return made

    @property
    def _numba_type_(self) -> Any:
        """What numba takes a part for that it meets in the code of another function."""
        return self.dispatcher._numba_type_

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dispatcher, name)

    def __call__(self, *arguments: Any) -> Any:
        return self.dispatcher(*arguments)


class Task(Protocol):
    """Something to compile. name: what it belongs to, for people."""

    @property
    def name(self) -> str: ...

    @property
    def done(self) -> bool:
        """Whether the code is in the cache, as far as there is one."""

    def run(self) -> None:
        """Compile the functions, or load them from the cache, without calling them."""


class Job(NamedTuple):
    """A function to compile, and the numba types of its arguments. name: what it belongs to, for people."""

    name: str
    function: Any
    arguments: tuple[Any, ...]

    @property
    def done(self) -> bool:
        """Whether the code is in the cache, as far as there is one."""
        cache = self.function._cache
        return isinstance(cache, StoredCode | KeptPart) and cache.has(self.arguments, cpu_target.target_context)

    def run(self) -> None:
        """Compile the function, or load it from the cache, without calling it."""
        precompile(self.function, *self.arguments)


def fleeting(function: F) -> F:
    """Compile an entry point as `compiled` does, for once: it stands for more than the text in its file."""
    return numba.njit(nogil=True, pipeline_class=EntryCompiler, **LOCATED)(function)  # type: ignore[no-any-return]


def compiled(function: F) -> F:
    """Compile an entry point: kept on disk, releases the GIL, raises ZeroDivisionError as Python does."""
    dispatcher: Any = fleeting(function)
    if CACHE is not None:
        store(dispatcher)
    return dispatcher  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Compile a part of an entry point: always inlined by LLVM, so that values stay in registers."""
    return Part(function, FORCE)  # type: ignore[return-value]


def outlined(function: F) -> F:
    """Compile a part of an entry point that is seldom needed: it is called, so that what is around it stays small."""
    return Part(function, CALLED)  # type: ignore[return-value]


def keep(part: F, key: str) -> F:
    """Have an inlined part kept on disk as well, so that entry points that change need not compile it again.

    key: a name of all that goes into it, but for the framework.
    """
    part.key = key  # type: ignore[attr-defined]
    return part


def kept(function: F) -> F:
    """Compile a part of the framework that several entry points need: inlined, and kept on disk as well."""
    return keep(inlined(function), f"{function.__module__}.{function.__qualname__}")


def precompile(function: Callable[..., Any], *arguments: Any) -> None:
    """Compile an entry point for these numba types, or load it from the cache, without calling it."""
    with uncollected(), lean():
        function.compile(arguments)  # type: ignore[attr-defined]
