"""Entry points that a process calls without numba, once their code is in the cache."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from zcframe.framework.errors import CacheError
from zcframe.framework.jit.cache import give_up, least_used, mark_used, private_directory, write_whole
from zcframe.framework.jit.compiler import CACHE, compiled

from .cpu import cpu_identity
from .image import Image, packed, read_image

F = TypeVar("F", bound=Callable[..., Any])

KEPT: Final = 64
# numba's convention: what is returned goes to the first address, what is raised to the second.
OUT: Final = 2
WORD: Final = 8


def _dimensions(arguments: Sequence[Any]) -> tuple[int, ...]:
    return tuple(argument.ndim if isinstance(argument, np.ndarray) else 0 for argument in arguments)


def _words(arguments: Sequence[Any]) -> list[int]:
    """What numba makes of arguments: of an array no owner, its numbers of items and of bytes of one, address, shape."""
    words: list[int] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            if argument.dtype != np.int64 or not argument.flags.c_contiguous:
                raise TypeError("plain machine code takes C-contiguous arrays of int64")
            words += (0, 0, argument.size, argument.itemsize, argument.ctypes.data, *argument.shape, *argument.strides)
        else:
            words.append(argument)
    return words


class _Call:
    """A call of an image's function. returns: int64 that it returns; 0: None, 1: one, else a tuple of them."""

    def __init__(self, image: Image, dimensions: Sequence[int], returns: int) -> None:
        count = OUT + sum(5 + 2 * of_array if of_array else 1 for of_array in dimensions)
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * count)(image.entry)
        # The last one is for what is raised.
        self._out = ctypes.c_int64 * (max(1, returns) + 1)
        self._image, self._returns = image, returns

    def __call__(self, *arguments: Any) -> Any:
        out = self._out()
        address = ctypes.addressof(out)
        if self._function(address, address + ctypes.sizeof(out) - WORD, *_words(arguments)):
            raise RuntimeError("plain machine code raises nothing")
        return tuple(out[:-1]) if self._returns > 1 else out[0] if self._returns else None


class Flat:
    """An entry point of int64 and C-contiguous arrays of int64 that returns `returns` int64, and raises nothing.

    name: of all that goes into it besides the framework's own text. make: returns it, as a function of Python's. Where
    its code cannot be plain, or cannot be kept, numba calls it, as `compiled` has it.
    """

    def __init__(self, name: str, returns: int, make: Callable[[], Callable[..., Any]]) -> None:
        self._name, self._returns, self._make = name, returns, make
        self._call: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self._call is None:
            self._call = self._found(_dimensions(arguments))
        return self._call(*arguments)

    def _found(self, dimensions: tuple[int, ...]) -> Callable[..., Any]:
        """What is called from now on."""
        image = self._image(CACHE / "flat", dimensions) if CACHE is not None and cpu_identity() else None
        if image is None:
            return compiled(self._make())
        return _Call(image, dimensions, self._returns)

    def _image(self, folder: Path, dimensions: tuple[int, ...]) -> Image | None:
        """The code in memory; None where there can be none."""
        text = repr((self._name, dimensions, self._returns, cpu_identity()))
        try:
            path = private_directory(folder) / hashlib.sha256(text.encode()).hexdigest()[:24]
            try:
                image = read_image(path)
            except (OSError, ValueError):
                return self._made(path, dimensions)
            mark_used(path)
            return image
        except CacheError as error:
            give_up(error)
            return None

    def _made(self, path: Path, dimensions: tuple[int, ...]) -> Image | None:
        """Have the code made, and kept."""
        from .build import build
        from .link import Unlinkable

        try:
            linked = build(self._make(), dimensions)
            image = Image(linked)
        except (Unlinkable, OSError):
            return None
        try:
            for old in least_used(path.parent.glob("[0-9a-f]*"), KEPT):
                old.unlink(missing_ok=True)
            write_whole(path, packed(linked))
        except OSError as error:
            give_up(error.strerror)
        return image


def flat(returns: int) -> Callable[[F], F]:
    """Decorate an entry point that is to be called without numba; see Flat."""

    def decorate(function: F) -> F:
        return Flat(f"{function.__module__}.{function.__qualname__}", returns, lambda: function)  # type: ignore[return-value]

    return decorate
