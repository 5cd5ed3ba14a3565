"""Numbers of a capture file in its own byte order, for compiled code."""

from __future__ import annotations

import sys
from typing import Final

from zcframe.framework.jit.address import load_be16, load_be32, load_u16, load_u32
from zcframe.framework.jit.compiler import inlined

# `swapped` of headers that are little-endian whoever wrote them.
LITTLE: Final = int(sys.byteorder != "little")


@inlined
def load_16(address, swapped):  # type: ignore[no-untyped-def]
    """Load 16 bits in the byte order of the file: `swapped` where it is not ours."""
    return load_be16(address) if swapped else load_u16(address)


@inlined
def load_32(address, swapped):  # type: ignore[no-untyped-def]
    return load_be32(address) if swapped else load_u32(address)
