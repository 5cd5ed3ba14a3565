"""Where numba puts the code of a part."""

from __future__ import annotations

import ctypes
from typing import Any

from numba.core.codegen import JITCodeLibrary


@ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)  # type: ignore[untyped-decorator]
def _refuse(*_: object) -> None:
    """Return no object and no error, of which Python makes a SystemError."""


class PartLibrary(JITCodeLibrary):  # type: ignore[misc]  # numba has no types
    """LLVM code of a part and of the parts that it calls, for linking."""

    def _optimize_final_module(self) -> None:
        """Leave it to the function that the part becomes part of."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """What Python gets to call: a refusal."""
        return ctypes.cast(_refuse, ctypes.c_void_p).value or 0

    @property
    def codegen(self) -> PartLibrary:
        """Where numba would set the part's environment; the entry point does that, see EntryCompiler."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Nothing to do: there is no machine code yet."""
