"""Lines of code, counted instead of named: code keeps its name when it moves within its file, or gets a comment.

numba writes the line on which something is raised into machine code. That code is kept, and found by all that went
into it. With the lines of the file, a comment would make other code of each function behind it. So numba gets a copy
that counts lines, 1, 2, 3, as they come; what the author is told is translated back.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType
from typing import Final

# Kinds of entries in a table of locations, see InternalDocs/code_objects.md of CPython.
WITHOUT_COLUMNS: Final = 13
WITHOUT_LINE: Final = 15
# A code unit has two bytes; an entry is for so many units at most.
UNIT: Final = 2
MOST_UNITS: Final = 8


def codes_of(code: CodeType) -> Iterator[CodeType]:
    """The code and that of functions defined within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


def line_numbers(code: CodeType, first: int) -> dict[int, int]:
    """line of the file -> number from `first` on, in the order in which the code and those within it come to them."""
    numbers: dict[int, int] = {}
    for each in codes_of(code):
        for line in (each.co_firstlineno, *(line for _, _, line in each.co_lines())):
            if line is not None:
                numbers.setdefault(line, first + len(numbers))
    return numbers


def _signed(value: int) -> Iterator[int]:
    """Bytes of a signed number of variable length."""
    rest = -value << 1 | 1 if value < 0 else value << 1
    while rest >= 64:
        yield 64 | rest & 63
        rest >>= 6
    yield rest


def _entry(units: int, step: int | None) -> bytes:
    """An entry for so many units; step: from the line of the last entry, None for units without a line."""
    kind = WITHOUT_LINE if step is None else WITHOUT_COLUMNS
    return bytes((0x80 | kind << 3 | units - 1, *(() if step is None else _signed(step))))


def _table(code: CodeType, numbers: dict[int, int], at: int) -> bytes:
    """The locations of a code, whose first line has number `at`."""
    table = bytearray()
    for start, end, line in code.co_lines():
        units = (end - start) // UNIT
        while units:
            step = None if line is None else numbers[line] - at
            table += _entry(min(units, MOST_UNITS), step)
            at += step or 0
            units -= min(units, MOST_UNITS)
    return bytes(table)


def counted(code: CodeType, numbers: dict[int, int]) -> CodeType:
    """The same code with other lines; numbers: as `line_numbers` returns them."""
    consts = tuple(counted(each, numbers) if isinstance(each, CodeType) else each for each in code.co_consts)
    first = numbers[code.co_firstlineno]
    return code.replace(co_consts=consts, co_firstlineno=first, co_linetable=_table(code, numbers, first))
