"""Parts of compiled functions, of which numba makes no programs of their own.

numba optimises every function, makes machine code of it, and adds wrappers for callers in Python and C. What is inlined
into its callers is needed as LLVM code only, and is optimised there: this is half of what compiling would cost.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

ENVIRONMENT: Final = "_ZN08NumbaEnv"


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


class PartCompiler(Compiler):  # type: ignore[misc]
    """Compiles a part as far as LLVM code."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        return super().define_pipelines()


class EntryCompiler(Compiler):  # type: ignore[misc]
    """Compiles a function for Python, with its parts."""

    def _compile_core(self) -> Any:
        result = super()._compile_core()
        for environment in result._find_referenced_environments():
            result.library.codegen.set_env(environment.env_name, environment)
        return result


def call_part(context: Any, builder: Any, part: Any, signature: Any, args: Any) -> Any:
    """Build a call of a compiled part, in the code of what numba need not be asked about."""
    part.compile(signature.args)
    result = part.overloads[signature.args]
    context.active_code_library.add_linking_library(result.library)
    return context.call_internal(builder, result.fndesc, signature, args)
