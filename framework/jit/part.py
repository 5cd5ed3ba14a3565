"""Parts of compiled functions, of which numba makes no programs of their own.

numba optimises every function, makes machine code of it, and adds wrappers for callers in Python and C. What is inlined
into its callers is needed as LLVM code only, and is optimised there: this is half of what compiling would cost.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from numba.core import ir
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.errors import TypingError
from numba.core.typed_passes import NopythonTypeInference

from .lean import lean
from .library import PartLibrary

ENVIRONMENT: Final = "_ZN08NumbaEnv"


@register_pass(mutates_CFG=False, analysis_only=True)
class CheckAssigned(AnalysisPass):  # type: ignore[misc]
    """Asks types of ours whether they take what is assigned to their attributes: by `check_assigned(name, type)`.

    numba itself casts whatever is assigned to the attribute's type: a float to a whole number, without a word.
    """

    _name: ClassVar[str] = "zcframe_check_assigned"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        for block in state.func_ir.blocks.values():
            for statement in block.find_insts(ir.SetAttr):
                check = getattr(state.typemap[statement.target.name], "check_assigned", None)
                try:
                    if check is not None:
                        check(statement.attr, state.typemap[statement.value.name])
                except TypingError as error:
                    raise TypingError(str(error), loc=statement.loc) from None
        return False


class PartCompiler(Compiler):  # type: ignore[misc]
    """Compiles a part as far as LLVM code."""

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        (pipeline,) = super().define_pipelines()
        pipeline.add_pass_after(CheckAssigned, NopythonTypeInference)
        pipeline.finalize()
        return [pipeline]

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
