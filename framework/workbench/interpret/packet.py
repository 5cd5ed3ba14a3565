"""A packet as plain Python has it. What it says comes of the compiled decoder, so that it is what a run sees."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba.core import types

from zcframe.framework import abi
from zcframe.framework.jit.address import rx_load_u16, rx_load_u32
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.packet.decode import MAX_LENGTH, decode
from zcframe.framework.packet.value import DOCS, make_packet

VIEWS: Final = ("frame", "payload", "l3", "l4")
ADDRESSES: Final = ("src", "dst")
NUMBERS: Final = tuple(name for name in DOCS if name not in (*VIEWS, *ADDRESSES))

READ: Final = """\
def read(desc, blocks, out):
    frame = blocks + rx_load_u32(desc + DESC_OFFSET)
    offsets, facts = decode(desc, frame, min(rx_load_u16(desc + DESC_LEN), MAX_LENGTH))
    pkt = make_packet(desc, frame, offsets, facts)
    {numbers}
    {views}
"""


class View:
    """Bytes of a packet. Past its end it reads 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> int:
        return self._data[index] if 0 <= index < len(self._data) else 0

    def u16(self, index: int) -> int:
        return self[index] << 8 | self[index + 1]

    def u32(self, index: int) -> int:
        return self.u16(index) << 16 | self.u16(index + 2) if 0 <= index < len(self) else 0

    def __repr__(self) -> str:
        return f"View({self._data!r})"


class Packet:
    """pkt.NAME for each attribute of a packet; none can be set."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.__dict__.update(members)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("pkt cannot be changed")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"pkt has no attribute {name}")

    def __repr__(self) -> str:
        return f"Packet({', '.join(f'{name}={getattr(self, name)}' for name in NUMBERS)})"


def packet_reader() -> Callable[[int, int], Packet]:
    """Function (address of a descriptor, address of the blocks) -> packet, with bytes of its own."""
    numbers = [f"out[{place}] = pkt.{name}" for place, name in enumerate(NUMBERS)]
    first = len(NUMBERS)
    views = [
        f"out[{first + 2 * place}], out[{first + 2 * place + 1}] = pkt.{name}._address, pkt.{name}._length"
        for place, name in enumerate(VIEWS)
    ]
    functions = {"decode": decode, "make_packet": make_packet, "rx_load_u16": rx_load_u16, "rx_load_u32": rx_load_u32}
    constants = {"DESC_OFFSET": abi.DESC_OFFSET, "DESC_LEN": abi.DESC_LEN, "MAX_LENGTH": MAX_LENGTH}
    scope: dict[str, Any] = functions | constants
    exec(READ.format(numbers="\n    ".join(numbers), views="\n    ".join(views)), scope)
    read: Any = fleeting(scope["read"])
    out = np.zeros(first + 2 * len(VIEWS), np.int64)
    precompile(read, types.int64, types.int64, types.Array(types.int64, 1, "C"))

    def packet(desc: int, blocks: int) -> Packet:
        read(desc, blocks, out)
        found = out.tolist()
        places = zip(VIEWS, found[first::2], found[first + 1 :: 2], strict=True)
        views = {name: View(ctypes.string_at(at, max(length, 0))) for name, at, length in places}
        return Packet(dict(zip(NUMBERS, found, strict=False)) | views)

    return packet
