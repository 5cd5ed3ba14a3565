"""A packet as plain Python has it. What it says comes of the compiled decoder, so that it is what a run sees."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numba.core import types

from zcframe.framework import abi
from zcframe.framework.jit.address import rx_load_u16, rx_load_u32
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.packet import sha1 as _sha1  # noqa: F401 - registers community_id with numba
from zcframe.framework.packet.community import community_id
from zcframe.framework.packet.decode import MAX_LENGTH, decode
from zcframe.framework.packet.plain import Address, View
from zcframe.framework.packet.value import DOCS, make_packet

VIEWS: Final = ("frame", "payload", "l3", "l4")
ADDRESSES: Final = ("src", "dst")
NUMBERS: Final = tuple(name for name in DOCS if name not in (*VIEWS, *ADDRESSES))

READ: Final = """\
def read(desc, blocks, {more}out):
    frame = blocks + rx_load_u32(desc + DESC_OFFSET)
    offsets, facts = decode(desc, frame, min(rx_load_u16(desc + DESC_LEN), MAX_LENGTH))
    pkt = make_packet(desc, frame, offsets, facts)
"""
INNER: Final = "pkt = pkt.inner()"
# The innermost packet of the innermost one is none, and so is that of none.
DEEPEST: Final = 2
SCOPE: Final[dict[str, Any]] = {
    "DESC_OFFSET": abi.DESC_OFFSET,
    "DESC_LEN": abi.DESC_LEN,
    "MAX_LENGTH": MAX_LENGTH,
    "community_id": community_id,
    "decode": decode,
    "make_packet": make_packet,
    "rx_load_u16": rx_load_u16,
    "rx_load_u32": rx_load_u32,
}


class Packet:
    """pkt.NAME for each attribute of a packet; none can be set. calls: what the functions of a packet return."""

    def __init__(self, members: dict[str, Any], calls: dict[str, Callable[..., Any]], *, exists: bool) -> None:
        self.__dict__.update(members, **calls, _exists=exists)

    def __bool__(self) -> bool:
        return bool(self._exists)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("pkt cannot be changed")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"pkt has no attribute {name}")

    def __repr__(self) -> str:
        return f"Packet({', '.join(f'{name}={getattr(self, name)}' for name in NUMBERS)})"


def _reader(more: str, lines: list[str]) -> Callable[..., None]:
    """Compiled function (address of a descriptor, of the blocks, more..., out): has `pkt`, and runs these lines."""
    scope = dict(SCOPE)
    exec(READ.format(more=more) + "".join(f"    {line}\n" for line in lines), scope)
    read: Any = fleeting(scope["read"])
    precompile(read, *[types.int64] * (2 + more.count(",")), types.Array(types.int64, 1, "C"))
    return read  # type: ignore[no-any-return]


@cache
def _attributes(depth: int) -> Callable[..., None]:
    """Reader of all numbers, then address and length of each view. depth: how often `inner` is called before."""
    lines = [f"out[{place}] = pkt.{name}" for place, name in enumerate(NUMBERS)]
    for place, name in enumerate(VIEWS):
        at = len(NUMBERS) + 2 * place
        lines.append(f"out[{at}], out[{at + 1}] = pkt.{name}._address, pkt.{name}._length")
    return _reader("", [INNER] * depth + lines)


@cache
def _community(depth: int) -> Callable[..., None]:
    return _reader("seed, ", [INNER] * depth + ["out[0], out[1], out[2] = community_id(pkt, seed)"])


def _address(high: int, low: int) -> Address:
    return Address((high & (1 << 64) - 1) << 64 | low & (1 << 64) - 1)


class PacketReader:
    """Makes packets: (address of a descriptor, address of the blocks) -> packet, with bytes of its own."""

    def __init__(self) -> None:
        self._out = np.zeros(len(NUMBERS) + 2 * len(VIEWS), np.int64)

    def __call__(self, desc: int, blocks: int, depth: int = 0) -> Packet:
        """depth: of the packet itself 0, of what its `inner` returns 1."""
        _attributes(depth)(desc, blocks, self._out)
        found = self._out.tolist()
        members: dict[str, Any] = dict(zip(NUMBERS, found, strict=False))
        places = zip(VIEWS, found[len(NUMBERS) :: 2], found[len(NUMBERS) + 1 :: 2], strict=True)
        members |= {name: View(ctypes.string_at(at, max(length, 0))) for name, at, length in places}
        members |= {end: _address(members[f"{end}_hi"], members[f"{end}_lo"]) for end in ADDRESSES}

        def community(seed: int) -> tuple[int, int, int]:
            _community(depth)(desc, blocks, seed, self._out)
            first, second, third = self._out[:3].tolist()
            return first, second, third

        def inner() -> Packet:
            return self(desc, blocks, min(depth + 1, DEEPEST))

        calls: dict[str, Callable[..., Any]] = {"_community_id": community, "inner": inner}
        return Packet(members | {"_place": (desc, blocks, depth)}, calls, exists=depth == 0 or members["tunnels"] > 0)
