"""Plugins that do what plugins must not do. Each harms the packets of length `wire` (0: all), and writes before it does."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from zcframe import DROP, PASS, Array, Param, plugin, u64


@intrinsic
def crash(typingctx):  # type: ignore[no-untyped-def]
    """A store to an address below all that is mapped. (One to 0 is removed by LLVM, with all that follows.)"""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        nowhere = builder.inttoptr(ir.Constant(ir.IntType(64), 64), ir.IntType(64).as_pointer())
        builder.store_atomic(ir.Constant(ir.IntType(64), 1), nowhere, "seq_cst", 8)
        return context.get_dummy_value()

    return types.none(), codegen


@plugin
class Raises:
    wire = Param(0, "the length that it raises on")
    touched = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.touched[0] += 1
        if params.wire == 0 or pkt.wirelen == params.wire:
            raise ValueError("no")
        return PASS


@plugin
class Outside:
    """Stores outside of its array: under it for packets shorter than `low`, above it for those `size` bytes longer."""

    low = Param(100, "length that is counted in the first entry")
    size = Param(900, "entries")
    counts = Array(u64, size)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.counts[0] += 1
        state.counts[pkt.wirelen - params.low] += 1
        return PASS


@plugin
class Loops:
    wire = Param(0, "the length that it never returns from")
    touched = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.touched[0] += 1
        if params.wire == 0 or pkt.wirelen == params.wire:
            while pkt.wirelen > 0:
                pass
        return PASS


@plugin
class Crashes:
    wire = Param(0, "the length that it crashes on")
    touched = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.touched[0] += 1
        if params.wire == 0 or pkt.wirelen == params.wire:
            crash()
        return PASS


@plugin
class Greedy:
    """Writes more for one packet than can be undone."""

    wire = Param(0, "the length that it is greedy with")
    counts = Array(u64, 8192)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if params.wire == 0 or pkt.wirelen == params.wire:
            for i in range(8192):
                state.counts[i] += 1
        return PASS


@plugin
class Drops:
    wire = Param(0, "the length that it drops")

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        return DROP if params.wire == 0 or pkt.wirelen == params.wire else PASS


@plugin
class EarlyRaise:
    """Raises where it should only prefetch."""

    wire = Param(0, "the length that it raises on")
    touched = Array(u64, 1)

    @staticmethod
    def prefetch(pkt, state, params):  # type: ignore[no-untyped-def]
        if params.wire == 0 or pkt.wirelen == params.wire:
            raise ValueError("no")

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.touched[0] += 1
        return PASS


@plugin
class EarlyLoop:
    """Never returns from where it should only prefetch."""

    wire = Param(0, "the length that it never returns from")
    touched = Array(u64, 1)

    @staticmethod
    def prefetch(pkt, state, params):  # type: ignore[no-untyped-def]
        if params.wire == 0 or pkt.wirelen == params.wire:
            while pkt.wirelen > 0:
                pass

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.touched[0] += 1
        return PASS


@plugin
class BadReport:
    """Cannot say what it found."""

    touched = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.touched[0] += 1
        return PASS

    @staticmethod
    def report(merged: Any) -> dict[str, Any]:
        return {"share": int(merged.touched[0]) // 0}


@plugin
class Miscompiled:
    """Does what numba cannot compile."""

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        return PASS if pkt.no_such_attribute else DROP
