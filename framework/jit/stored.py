"""Compiled code on disk: numba's own cache of a function, for which no fault of a disk is the end of a run."""

from __future__ import annotations

from typing import Any

from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

from .cache import give_up


class StoredCode(FunctionCache):  # type: ignore[misc]  # numba has no types
    """Cache of one function: code that cannot be read is compiled, and code that cannot be written is not kept."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for a signature; None where there is none, or what is there is damaged.

        numba would import all that it compiles with, first. Code that is there needs the runtime's symbols only.
        """
        try:
            rtsys.initialize(target_context)
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
