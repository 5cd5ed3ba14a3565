"""The ids of the kernel's functions in its own type information (BTF): a program calls a kernel function by its id.

The layout is that of Documentation/bpf/btf.rst: a header, types in the order of their ids from 1, their names.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

VMLINUX: Final = Path("/sys/kernel/btf/vmlinux")

MAGIC: Final = 0xEB9F
# magic, version, flags, size of the header; behind it, where types begin, their size, where names do, their size.
HEADER: Final = struct.Struct("=HBBIIIII")
# Of each type: offset of its name, info, size or another type.
TYPE_WORDS: Final = 3
FUNC: Final = 12
# Words that follow a type of each kind, from 0 (none) to 19 (ENUM64): for the type itself, and for each of its parts.
FIXED: Final = (0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0)
EACH: Final = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3)


def _functions(types: array[int]) -> Iterator[tuple[int, int]]:
    """(id, offset of the name) of each function."""
    at, number = 0, 1
    while at < len(types):
        info = types[at + 1]
        kind, parts = info >> 24 & 0x1F, info & 0xFFFF
        if kind == FUNC:
            yield number, types[at]
        at += TYPE_WORDS + FIXED[kind] + EACH[kind] * parts
        number += 1


def _find(data: bytes, names: Collection[str]) -> dict[str, int]:
    magic, _, _, size, types_at, types_size, names_at, names_size = HEADER.unpack_from(data)
    if magic != MAGIC:
        return {}
    strings = data[size + names_at :][:names_size]
    # A name stands there once, between zeroes.
    wanted = {strings.find(b"\0" + name.encode() + b"\0") + 1: name for name in names}
    types = array("I", data[size + types_at :][:types_size])
    return {wanted[name]: number for number, name in _functions(types) if name and name in wanted}


def function_ids(names: Collection[str], file: Path = VMLINUX) -> dict[str, int]:
    """Id of each function that this kernel has, by its name; empty where the kernel has no BTF."""
    try:
        return _find(file.read_bytes(), names)
    except (OSError, struct.error, ValueError, IndexError):
        return {}
