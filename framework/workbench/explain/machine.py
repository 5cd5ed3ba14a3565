"""LLVM code of a filter after all optimisation, counted by kinds of instructions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import llvmlite.binding as llvm

DIVISIONS: Final = ("sdiv", "udiv", "srem", "urem", "fdiv", "frem")
# Functions of numba's runtime that take memory, as lists, arrays and text need it.
ALLOCATES: Final = re.compile(r"NRT_\w*(?:Allocate|MemInfo_new|alloc)\w*", re.IGNORECASE)
MANGLED_PART: Final = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Machine:
    """instructions: all of them. divisions: by what is no constant: a constant makes a multiplication of them.

    calls, allocations: name of a function -> how many calls of it were left.
    """

    instructions: int
    loads: int
    stores: int
    divisions: int
    loops: int
    calls: dict[str, int]
    allocations: dict[str, int]


def readable(name: str) -> str:
    """module.function of one of numba's mangled names; any other name as it is."""
    parts, rest = [], name.removeprefix("_ZN")
    while rest != name and (found := MANGLED_PART.match(rest)):
        end = found.end() + int(found[1])
        parts.append(rest[found.end() : end])
        rest = rest[end:]
    return ".".join(parts) or name


def _targets(block: Any) -> list[str]:
    """Names of the blocks that may come after a block."""
    last = list(block.instructions)[-1]
    return [operand.name for operand in last.operands if str(operand.type) == "label"]


def _loops(function: Any) -> int:
    """How many edges lead back to a block that is still under way, in a walk from the first one: one a loop."""
    targets = {block.name: _targets(block) for block in function.blocks}
    if not targets:
        return 0
    first = next(iter(targets))
    under_way, seen, back = [(first, iter(targets[first]))], {first}, 0
    while under_way:
        step = next(under_way[-1][1], None)
        if step is None:
            under_way.pop()
        elif any(step == name for name, _ in under_way):
            back += 1
        elif step not in seen:
            seen.add(step)
            under_way.append((step, iter(targets[step])))
    return back


def _divides(instruction: Any) -> bool:
    return instruction.opcode in DIVISIONS and not list(instruction.operands)[1].is_constant


def _called(instruction: Any) -> str:
    """Name of the function that an instruction calls."""
    return str(list(instruction.operands)[-1].name)


def _calls(instructions: list[Any]) -> Iterator[str]:
    for instruction in instructions:
        if instruction.opcode in ("call", "invoke") and not _called(instruction).startswith("llvm."):
            yield readable(_called(instruction))


def machine_of(text: str, name: str) -> Machine:
    """What function `name` of a module's text consists of."""
    # Blocks have names in the text only where somebody gave them one.
    function = llvm.parse_assembly(text).get_function(name)
    for number, block in enumerate(function.blocks):
        block.name = block.name or f"block.{number}"
    instructions = [each for block in function.blocks for each in block.instructions]
    kinds = Counter(each.opcode for each in instructions)
    calls = Counter(_calls(instructions))
    allocations = {name: count for name, count in calls.items() if ALLOCATES.search(name)}
    return Machine(
        instructions=len(instructions),
        loads=kinds["load"],
        stores=kinds["store"],
        divisions=sum(map(_divides, instructions)),
        loops=_loops(function),
        calls={name: count for name, count in calls.items() if name not in allocations},
        allocations=allocations,
    )
