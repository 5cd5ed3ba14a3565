"""What numba found out about one function of an author: types of its locals, where it loops, divides, takes memory."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from numba.core import ir
from numba.core import types as numba_types
from numba.core.analysis import compute_cfg_from_blocks
from numba.core.registry import cpu_target

from zcframe.framework.chain.attempt import is_verdict
from zcframe.framework.chain.reasons import kind

DIVISIONS: Final = {
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.itruediv: "/",
    operator.ifloordiv: "//",
    operator.imod: "%",
}


@dataclass(frozen=True)
class Local:
    """A name of the function, in words what it is, and the line of its first assignment."""

    name: str
    kind: str
    line: int


@dataclass(frozen=True)
class Typed:
    """line: where the function begins. returns: in words. loops: lines. divisions: (line, operator).

    managed: (line, type in words) of values for which memory may be taken.
    """

    name: str
    file: str
    line: int
    returns: str
    locals: tuple[Local, ...]
    loops: tuple[int, ...]
    divisions: tuple[tuple[int, str], ...]
    managed: tuple[tuple[int, str], ...]


def _assignments(blocks: Any) -> Iterator[ir.Assign]:
    for block in blocks.values():
        yield from block.find_insts(ir.Assign)


def _locals(blocks: Any, types: Any, arguments: tuple[str, ...]) -> Iterator[Local]:
    """Names of the author's own; numba has a version of a name for each assignment, and temporary ones."""
    found: dict[str, Local] = {}
    for each in _assignments(blocks):
        name = each.target.unversioned_name
        if not name.startswith("$") and name not in arguments:
            local = Local(name, kind(str(types[each.target.name])), each.loc.line)
            found[name] = min(found.get(name, local), local, key=lambda local: local.line)
    return iter(sorted(found.values(), key=lambda local: local.line))


def _divisions(blocks: Any) -> Iterator[tuple[int, str]]:
    for each in _assignments(blocks):
        value = each.value
        if isinstance(value, ir.Expr) and value.op in ("binop", "inplace_binop"):
            sign = DIVISIONS.get(value.immutable_fn if value.op == "inplace_binop" else value.fn)
            if sign:
                yield each.loc.line, sign


def _managed(blocks: Any, types: Any) -> Iterator[tuple[int, str]]:
    models = cpu_target.target_context.data_model_manager
    for each in _assignments(blocks):
        found = types[each.target.name]
        if isinstance(each.value, ir.Const) or isinstance(found, numba_types.BoundFunction):
            continue
        if models[found].contains_nrt_meminfo():
            yield each.loc.line, kind(str(found))


def typed(function: Callable[..., Any], result: Any) -> Typed:
    """What is known of a function. result: what numba's compiler returned for it."""
    annotation, code = result.type_annotation, inspect.unwrap(function).__code__
    returned = result.signature.return_type
    blocks, types = annotation.blocks, annotation.typemap
    graph = compute_cfg_from_blocks(blocks)
    headers = {loop.header for loop in graph.loops().values()}
    return Typed(
        name=function.__name__,
        file=code.co_filename,
        line=code.co_firstlineno,
        returns="PASS or DROP" if is_verdict(returned) else kind(str(returned)),
        locals=tuple(_locals(blocks, types, code.co_varnames[: code.co_argcount])),
        loops=tuple(sorted({blocks[header].loc.line for header in headers})),
        divisions=tuple(sorted(set(_divisions(blocks)))),
        managed=tuple(sorted(set(_managed(blocks, types)))),
    )
