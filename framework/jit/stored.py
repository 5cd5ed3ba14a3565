"""Compiled code on disk: numba's own cache of a function, for which no fault of a disk is the end of a run."""

from __future__ import annotations

import functools
from typing import Any

import llvmlite.binding as llvm
from numba.core.caching import FunctionCache
from numba.core.runtime import _nrt_python

from .cache import give_up


@functools.cache
def _add_symbols() -> None:
    """Tell LLVM where functions of numba's runtime are."""
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


class StoredCode(FunctionCache):  # type: ignore[misc]  # numba has no types
    """Cache of one function: code that cannot be read is compiled, and code that cannot be written is not kept."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for a signature; None where there is none, or what is there is damaged.

        numba would import all that it compiles with, first, and compile its runtime. Code that is there holds what it
        needs of the runtime, but for what is written in C.
        """
        try:
            _add_symbols()
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception:
            # An index that a full disk cut short: pickle raises whatever comes to its mind.
            return None

    def has(self, arguments: Any, target: Any) -> bool:
        """Whether the code for these arguments is there, as far as the index tells."""
        try:
            return self._index_key(arguments, target.codegen()) in self._cache_file._load_index()
        except Exception:
            return False

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for a signature, if necessary without what lies there and cannot be read."""
        try:
            super().save_overload(sig, data)
        except Exception:
            self._save_afresh(sig, data)

    def _save_afresh(self, sig: Any, data: Any) -> None:
        try:
            self.flush()
            super().save_overload(sig, data)
        except Exception as error:
            give_up(getattr(error, "strerror", None) or error)
            self.disable()


def store(dispatcher: Any) -> None:
    """Have numba keep what it compiles of a function, where it finds a place for it."""
    try:
        dispatcher._cache = StoredCode(dispatcher.py_func)
    except (OSError, RuntimeError) as error:
        # RuntimeError: the directory was removed, or became read-only, after the start.
        give_up(error)
