"""The plugins written in C (peers/plugins) as a chain that takes the same frames as ours, and what it counted.

Both have the same shards, so that their states are compared shard by shard, row by row.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.no_ip import no_ip_layout
from zcframe.framework.state.layout import ArrayLayout, TableLayout

from .bench import Bench
from .blocks import Blocks
from .pages import shared_memory
from .zchain import ZcChain

# The bits of ZC_PLUGINS, in the order of the chain of eight.
PLUGINS = ("flows", "sizes", "talkers", "dns", "synflood", "protocols", "ports", "hops")
# Of struct room: whose slots or words these are.
ROOM = (
    ("flows", "flows"),
    ("talkers", "hosts"),
    ("dns", "names"),
    ("dns", "letters"),
    ("synflood", "targets"),
    ("synflood", "asked"),
)


class _Room(ctypes.Structure):
    _fields_ = [(member, ctypes.c_uint64) for _, member in ROOM]


class _Part(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), *((name, ctypes.c_uint64) for name in ("count", "size", "lost", "expired"))]


class Differs(Exception):
    """C and zcframe did not count the same; the message says where."""


def _room(plugins: Sequence[BoundPlugin]) -> _Room:
    """As much room as these plugins have; a table that nobody uses has one slot."""
    found = {}
    for plugin in plugins:
        for member in plugin.layout.members:
            found[plugin.name, member.name] = member.slots if isinstance(member, TableLayout) else member.length
    return _Room(*(found.get(names, 1) for names in ROOM))


class CPlugins:
    """The same plugins as `ours`, with as much room, in C. Raises NotMeasured where gcc is missing."""

    def __init__(self, bench: Bench, ours: ZcChain, *options: str) -> None:
        self._plugins = ours.plugins
        wanted = sum(1 << PLUGINS.index(plugin.name) for plugin in self._plugins)
        shared = ("-fPIC", "-shared", f"-DZC_PLUGINS={wanted}", *options)
        self._c = ctypes.CDLL(str(bench.compile("plugins/chain.c", *shared)))
        self._c.state_size.restype = ctypes.c_uint64
        self._c.state_place.restype = ctypes.c_void_p
        self._c.state_place.argtypes = [ctypes.POINTER(_Room), ctypes.c_void_p]
        self._c.state_part.restype = _Part
        self._c.state_part.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p]
        self._c.run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
        room = _room(self._plugins)
        self.memory = shared_memory(self._c.state_size(ctypes.byref(room)))
        self._state = self._c.state_place(ctypes.byref(room), self.memory.ctypes.data)

    def run(self, blocks: Blocks) -> float:
        """Take every frame once; returns seconds."""
        descriptors, memory = blocks.descriptors.ctypes.data, blocks.memory.ctypes.data
        start = time.perf_counter()
        self._c.run(descriptors, memory, len(blocks), self._state)
        return time.perf_counter() - start

    def _part(self, name: str, shard: int) -> _Part:
        part: _Part = self._c.state_part(self._state, shard, name.encode())
        if not part.count:
            raise Differs(f"{name} is not in the C plugins")
        return part

    def array(self, name: str, shard: int, layout: ArrayLayout | TableLayout) -> np.ndarray[Any, Any]:
        assert isinstance(layout, ArrayLayout)
        part = self._part(name, shard)
        memory = (ctypes.c_uint8 * (part.count * part.size)).from_address(part.at)
        return np.frombuffer(memory, layout.scalar.dtype)

    def rows(self, name: str, shard: int, layout: TableLayout) -> tuple[np.ndarray[Any, Any], int, int]:
        """(rows in use, keys lost, rows that gave up their slot) of a table."""
        part = self._part(name, shard)
        memory = (ctypes.c_uint8 * (part.count * part.size)).from_address(part.at)
        slots = np.frombuffer(memory, _slot_dtype(layout, part.size))
        return slots[slots["tag"] != 0], part.lost, part.expired


def _slot_dtype(layout: TableLayout, size: int) -> np.dtype[np.void]:
    """A row as C has it: tag, key, values in the order of their declaration, each naturally aligned."""
    fields = [("tag", "u4"), *((field, scalar.dtype) for field, _, scalar in layout.fields)]
    aligned = np.dtype(fields, align=True)
    names = [name for name, _ in fields]
    offsets = [aligned.fields[name][1] for name in names]  # type: ignore[index]
    formats = [kind for _, kind in fields]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})  # type: ignore[call-overload,no-any-return]


def _keys(rows: np.ndarray[Any, Any], layout: TableLayout) -> np.ndarray[Any, Any]:
    """The key of each row as one value that sorts."""
    key = np.empty(len(rows), [(name, "u8") for name in layout.keys])
    for name in layout.keys:
        key[name] = rows[name]
    return key.view(f"V{key.itemsize}") if len(rows) else key


def _same_rows(
    ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any], lost: tuple[int, int], layout: TableLayout
) -> bool:
    """Whether both hold the same rows, whatever their order; a key may be in one only where the other lost some."""
    mine, other = (np.argsort(_keys(rows, layout)) for rows in (ours, theirs))
    ours, theirs = ours[mine], theirs[other]
    if lost != (0, 0):
        _, mine, other = np.intersect1d(_keys(ours, layout), _keys(theirs, layout), return_indices=True)
        if len(ours) - len(mine) > lost[1] or len(theirs) - len(other) > lost[0]:
            return False
        ours, theirs = ours[mine], theirs[other]
    return len(ours) == len(theirs) and all(bool((ours[name] == theirs[name]).all()) for name, _, _ in layout.fields)


def _differences(c: CPlugins, zc: ZcChain, number: int) -> Iterator[str]:
    plugin = zc.plugins[number]
    for shard in range(plugin.layout.shards):
        state = zc.shard(number, shard)
        for member in plugin.layout.members:
            name = f"{plugin.name}.{member.name}"
            if isinstance(member, ArrayLayout):
                same = bool((getattr(state, member.name) == c.array(name, shard, member)).all())
            else:
                theirs, lost, expired = c.rows(name, shard, member)
                losses = state.lost[member.name], lost
                same = not (expired or state.expired[member.name])
                same = same and _same_rows(getattr(state, member.name), theirs, losses, member)
            if not same:
                yield f"{name}, shard {shard}"


def check_same(c: CPlugins, zc: ZcChain) -> None:
    """Compare all that both counted, row by row. Raises Differs for the first member of a shard that is not the same.

    Which keys find no room depends on the secrets of each: such keys are left out. No row may have given up its slot.
    """
    counted = zc.no_ip().packets
    if not (counted == c.array("no_ip.packets", 0, no_ip_layout(1).members[0])).all():
        raise Differs("C and zcframe took other packets for such without IP")
    for number in range(len(zc.plugins)):
        for found in _differences(c, zc, number):
            raise Differs(f"C and zcframe counted differently: {found}")
