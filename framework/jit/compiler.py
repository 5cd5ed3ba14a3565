"""numba's compiler, set up once for all compiled code of zcframe, when something is compiled or loaded.

To decorate a function brings nothing in: a command that needs none of numba's starts in half the time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar

from zcframe.framework.errors import CacheError
from zcframe.framework.garbage import uncollected

from .cache import cache_directory, give_up, private_directory

F = TypeVar("F", bound=Callable[..., Any])

CACHE = cache_directory()


@functools.cache
def _numba() -> Any:
    """numba, imported and set up."""
    import numba

    # numba checks whether each array that it is given is a masked one: without this import, every worker would import
    # the package by itself, for 30 ms and a megabyte.
    import numpy.ma  # noqa: F401

    # All instructions are registered before anything is compiled.
    from .emit import address  # noqa: F401

    # numba reads this when a function is decorated.
    numba.config.CACHE_DIR = str(CACHE or "")
    return numba


def jitted(function: Callable[..., Any], **options: Any) -> Any:
    """numba's own object for a function."""
    numba = _numba()
    from .lowering import LOCATED

    return numba.njit(nogil=True, **LOCATED, **options)(function)


class _Lazy:
    """A function of which numba makes a dispatcher once it is needed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        self.__name__, self.__qualname__ = function.__name__, function.__qualname__
        self.__module__ = function.__module__

    @cached_property
    def dispatcher(self) -> Any:
        """numba's own object."""
        raise NotImplementedError

    @property
    def _numba_type_(self) -> Any:
        """What numba takes it for that it meets in the code of another function."""
        return self.dispatcher._numba_type_

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dispatcher, name)

    def __call__(self, *arguments: Any) -> Any:
        return self.dispatcher(*arguments)


class Part(_Lazy):
    """A part of an entry point: where all is in the cache, its dispatcher is never needed.

    is_inlined: it is put where it is called. key: the name by which it is kept on disk; "" where it is not.
    """

    def __init__(self, function: Callable[..., Any], *, is_inlined: bool) -> None:
        super().__init__(function)
        self._is_inlined, self.key = is_inlined, ""

    @cached_property
    def dispatcher(self) -> Any:
        from .part import CALLED, FORCE

        made = jitted(self.__wrapped__, **(FORCE if self._is_inlined else CALLED))
        if self.key and CACHE is not None:
            from .kept import KeptPart

            try:
                made._cache = KeptPart(private_directory(CACHE / "parts"), self.key)
            except CacheError as error:
                give_up(error)
        return made


class Entry(_Lazy):
    """An entry point, kept on disk."""

    @cached_property
    def dispatcher(self) -> Any:
        made: Any = fleeting(self.__wrapped__)
        if CACHE is not None:
            from .stored import store

            store(made)
        return made


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
        from numba.core.registry import cpu_target

        from .kept import KeptPart
        from .stored import StoredCode

        cache = self.function._cache
        return isinstance(cache, StoredCode | KeptPart) and cache.has(self.arguments, cpu_target.target_context)

    def run(self) -> None:
        """Compile the function, or load it from the cache, without calling it."""
        precompile(self.function, *self.arguments)


def fleeting(function: F) -> F:
    """Compile an entry point as `compiled` does, for once: it stands for more than the text in its file."""
    from .part import EntryCompiler

    return jitted(function, pipeline_class=EntryCompiler)  # type: ignore[no-any-return]


def compiled(function: F) -> F:
    """Compile an entry point: kept on disk, releases the GIL, raises ZeroDivisionError as Python does."""
    return Entry(function)  # type: ignore[return-value]


def inlined(function: F) -> F:
    """Compile a part of an entry point: always inlined by LLVM, so that values stay in registers."""
    return Part(function, is_inlined=True)  # type: ignore[return-value]


def outlined(function: F) -> F:
    """Compile a part of an entry point that is seldom needed: it is called, so that what is around it stays small."""
    return Part(function, is_inlined=False)  # type: ignore[return-value]


def keep(part: F, key: str) -> F:
    """Have an inlined part kept on disk as well, so that entry points that change need not compile it again.

    key: a name of all that goes into it, but for the framework.
    """
    part.key = key  # type: ignore[attr-defined]
    return part


def kept(function: F) -> F:
    """Compile a part of the framework that several entry points need: inlined, and kept on disk as well."""
    return keep(inlined(function), f"{function.__module__}.{function.__qualname__}")


def kept_outlined(function: F) -> F:
    """The same of a part that is called."""
    return keep(outlined(function), f"{function.__module__}.{function.__qualname__}")


def precompile(function: Callable[..., Any], *arguments: Any) -> None:
    """Compile an entry point for these numba types, or load it from the cache, without calling it."""
    from .lean import lean

    with uncollected(), lean():
        function.compile(arguments)  # type: ignore[attr-defined]
