"""Builds plain machine code of a function, by numba and LLVM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
from numba.core import types
from numba.core.registry import cpu_target

from zcframe.framework.jit.compiler import jitted, precompile
from zcframe.framework.jit.part import EntryCompiler

from .link import Linked, link


class _FlatCompiler(EntryCompiler):
    """Compiles a function for callers that hold to numba's own convention."""

    def define_pipelines(self) -> Any:
        flags = self.state.flags
        flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        return super().define_pipelines()


def _object(module: Any, entry: str) -> bytes:
    """An object file in which all but `entry` is private: what is private is reached without a table of addresses."""
    private = llvm.parse_bitcode(module.as_bitcode())
    for item in (*private.functions, *private.global_variables):
        if not item.is_declaration and item.name != entry:
            item.linkage = "internal"
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    target = llvm.Target.from_triple(triple)
    machine = target.create_target_machine(cpu, features, opt=3, reloc="pic", codemodel="small")
    return machine.emit_object(private)  # type: ignore[no-any-return]


def build(function: Callable[..., Any], dimensions: Sequence[int]) -> Linked:
    """The code of a function. dimensions: of each argument, an array of int64; 0: an int64. Raises Unlinkable."""
    kinds = tuple(types.Array(types.int64, count, "C") if count else types.int64 for count in dimensions)
    made = jitted(function, pipeline_class=_FlatCompiler)
    precompile(made, *kinds)
    result = made.overloads[kinds]
    name = result.fndesc.llvm_func_name
    return link(_object(result.library._final_module, name), name)
