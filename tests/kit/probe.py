"""Every attribute of `pkt` at once, for tests: compiled functions over a frame at any address."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from zcframe.framework import abi
from zcframe.framework.packet.decode import decode
from zcframe.framework.packet.tunnel import innermost
from zcframe.framework.packet.value import DOCS, make_packet

VIEWS = ("frame", "payload", "l3", "l4")
ADDRESSES = ("src", "dst")
NAMES = [name for name in DOCS if name not in (*VIEWS, *ADDRESSES)]
LENGTHS = [f"len({view})" for view in VIEWS]
COUNT = len(NAMES) + len(LENGTHS)

_LINES = "".join(f"    out[{i}] = pkt.{name}\n" for i, name in enumerate(NAMES))
_LINES += "".join(f"    out[{len(NAMES) + i}] = len(pkt.{view})\n" for i, view in enumerate(VIEWS))
_SCOPE: dict[str, Any] = {
    "decode": decode,
    "innermost": innermost,
    "make_packet": make_packet,
    "DESC_LEN": abi.DESC_LEN,
}
exec(  # the attributes of today, whichever they are
    f"""
def attributes(desc, data, length, out):
    offsets, facts = decode(desc, data, length)
    pkt = make_packet(desc, data, offsets, facts)
{_LINES}
    return offsets, facts

def inner_attributes(desc, data, length, out):
    offsets, facts = decode(desc, data, length)
    offsets, facts, told = innermost(data, offsets, facts)
    pkt = make_packet(desc, data, offsets, facts)
{_LINES}
    return offsets, facts, told

def inner_by_name(desc, data, length, out):
    offsets, facts = decode(desc, data, length)
    pkt = make_packet(desc, data, offsets, facts).inner()
{_LINES}
    return bool(pkt), bool(pkt.inner())

def bytes_of(desc, data, length, whole, at, count, out):
    offsets, facts = decode(desc, data, length)
    pkt = make_packet(desc, data, offsets, facts)
    view = pkt.frame if whole else pkt.payload
    for i in range(count):
        out[i, 0], out[i, 1], out[i, 2] = view[at + i], view.u16(at + i), view.u32(at + i)
""",
    _SCOPE,
)
_attributes = numba.njit(_SCOPE["attributes"])
_inner_attributes = numba.njit(_SCOPE["inner_attributes"])
_inner_by_name = numba.njit(_SCOPE["inner_by_name"])
_bytes_of = numba.njit(_SCOPE["bytes_of"])


def _named(out: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, int]:
    return dict(zip([*NAMES, *LENGTHS], out.tolist(), strict=True))


class Probe:
    """One frame at an address of its own, as a worker sees it. `frame` may be cut short: `wire` is its whole length."""

    def __init__(self, frame: bytes, wire: int = 0, *, address: int = 0, **desc: int) -> None:
        self._frame = np.frombuffer(frame + bytes(1), np.uint8)
        self.length = len(frame)
        self.address = address or int(self._frame.ctypes.data)
        self._desc = np.zeros(1, abi.DESC)
        self._desc["len"], self._desc["wire_len"] = len(frame), wire or len(frame)
        for name, value in desc.items():
            self._desc[name] = value

    def attributes(self) -> dict[str, int]:
        """By name; and the lengths of the views as len(frame) and so on."""
        out = np.zeros(COUNT, np.int64)
        _attributes(self._desc.ctypes.data, self.address, self.length, out)
        return _named(out)

    def inner(self) -> tuple[dict[str, int], int]:
        """Those of the innermost packet, and what was told of the way there."""
        out = np.zeros(COUNT, np.int64)
        *_, told = _inner_attributes(self._desc.ctypes.data, self.address, self.length, out)
        return _named(out), int(told)

    def inner_by_name(self) -> dict[str, int]:
        """Those of `pkt.inner()`; empty where it is false."""
        out = np.zeros(COUNT, np.int64)
        found, again = _inner_by_name(self._desc.ctypes.data, self.address, self.length, out)
        assert not again
        assert found or not any(_named(out)[name] for name in (*LENGTHS, "ip_version", "proto", "payload_wirelen"))
        return _named(out) if found else {}

    def inner_decoded(self) -> tuple[int, int, int]:
        """(offsets, facts, told)."""
        out = np.zeros(COUNT, np.int64)
        offsets, facts, told = _inner_attributes(self._desc.ctypes.data, self.address, self.length, out)
        return int(offsets), int(facts), int(told)

    def decoded(self) -> tuple[int, int]:
        """(offsets, facts)."""
        out = np.zeros(COUNT, np.int64)
        offsets, facts = _attributes(self._desc.ctypes.data, self.address, self.length, out)
        return int(offsets), int(facts)

    def read(self, view: str, at: int, count: int) -> list[tuple[int, int, int]]:
        """(view[i], view.u16(i), view.u32(i)) for `count` places from `at` on."""
        out = np.zeros((count, 3), np.int64)
        _bytes_of(self._desc.ctypes.data, self.address, self.length, view == "frame", at, count, out)
        return [tuple(row) for row in out.tolist()]

    def payload(self) -> bytes:
        return bytes(byte for byte, _, _ in self.read("payload", 0, self.attributes()["len(payload)"]))
