"""Parts of compiled functions, of which numba makes no programs of their own.

numba optimises every function, makes machine code of it, and adds wrappers for callers in Python and C. What is inlined
into its callers is needed as LLVM code only, and is optimised there: this is half of what compiling would cost.
"""

from __future__ import annotations

from typing import Any, Final

from numba.core.compiler import Compiler

from .lean import lean
from .library import PartLibrary

ENVIRONMENT: Final = "_ZN08NumbaEnv"


class PartCompiler(Compiler):  # type: ignore[misc]
    """Compiles a part as far as LLVM code."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        return super().define_pipelines()

    def _compile_core(self) -> Any:
        with lean():
            return super()._compile_core()


# Options of numba's decorators for parts.
CALLED: Final = {"pipeline_class": PartCompiler}
FORCE: Final = {"forceinline": True, **CALLED}


class EntryCompiler(Compiler):  # type: ignore[misc]
    """Compiles a function for Python, with its parts."""

    def _compile_core(self) -> Any:
        with lean():
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
