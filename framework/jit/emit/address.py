"""Loads and stores at plain addresses, for compiled code only.

Rings, blocks and shared state are mapped memory that other processes change. With numba's arrays, LLVM could hoist such
loads out of a loop. Every address is an int64, and so is every value that is returned (a 64-bit pattern may be
negative): no expression mixes int64 with uint64, which numba would turn into float64.

Ordering: `acquire_*` and `release_*` are one plain mov on x86-64 and ldar/stlr on AArch64. `full_fence` orders a store
before a later load. `order_stores` costs nothing: it only keeps LLVM from moving stores across it, which is all that is
needed between a thread and its successor after a kill.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

I64 = ir.IntType(64)


def _pointer(builder: Any, address: Any, bits: int) -> Any:
    return builder.inttoptr(address, ir.IntType(bits).as_pointer())


def in_region(builder: Any, access: Any, region: str) -> Any:
    """Tell LLVM (by its type-based alias analysis) which memory an access is to."""
    if region:
        module = builder.module
        kind = module.add_metadata([region, module.add_metadata(["zcframe"]), I64(0)])
        access.set_metadata("tbaa", module.add_metadata([kind, kind, I64(0)]))
    return access


def emit_load(
    builder: Any, address: Any, bits: int, *, big_endian: bool = False, ordering: str = "", region: str = ""
) -> Any:
    """Build a load of so many bits: an int64."""
    pointer = _pointer(builder, address, bits)
    if ordering:
        value = builder.load_atomic(pointer, ordering, bits // 8)
    else:
        value = in_region(builder, builder.load(pointer, align=1), region)
    if big_endian and bits > 8:
        value = builder.bswap(value)
    return value if bits == 64 else builder.zext(value, I64)


def emit_store(
    builder: Any, address: Any, value: Any, bits: int, *, big_endian: bool = False, ordering: str = "", region: str = ""
) -> None:
    """Build a store of the lower bits of an int64."""
    pointer = _pointer(builder, address, bits)
    value = value if bits == 64 else builder.trunc(value, ir.IntType(bits))
    value = builder.bswap(value) if big_endian and bits > 8 else value
    if ordering:
        builder.store_atomic(value, pointer, ordering, bits // 8)
    else:
        in_region(builder, builder.store(value, pointer, align=1), region)


def _make_load(bits: int, **how: Any) -> Any:
    @intrinsic
    def load(typingctx, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return emit_load(builder, args[0], bits, **how)

        return types.int64(types.int64), codegen

    return load


def _make_store(bits: int, **how: Any) -> Any:
    @intrinsic
    def store(typingctx, address, value):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            emit_store(builder, args[0], args[1], bits, **how)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), codegen

    return store


load_u8 = _make_load(8)
load_u16 = _make_load(16)
load_u32 = _make_load(32)
load_u64 = _make_load(64)
load_be16 = _make_load(16, big_endian=True)
load_be32 = _make_load(32, big_endian=True)
load_be64 = _make_load(64, big_endian=True)
acquire_u32 = _make_load(32, ordering="acquire")
acquire_u64 = _make_load(64, ordering="acquire")

store_u8 = _make_store(8)
store_u16 = _make_store(16)
store_u32 = _make_store(32)
store_u64 = _make_store(64)
release_u32 = _make_store(32, ordering="release")
release_u64 = _make_store(64, ordering="release")

# The same on memory of one kind, which no other kind overlaps: LLVM keeps what it has loaded of a packet in registers
# although state is written. Untagged accesses may be to any memory.
rx_load_u8 = _make_load(8, region="rx")
rx_load_u16 = _make_load(16, region="rx")
rx_load_u32 = _make_load(32, region="rx")
rx_load_u64 = _make_load(64, region="rx")
rx_load_be16 = _make_load(16, big_endian=True, region="rx")
rx_load_be32 = _make_load(32, big_endian=True, region="rx")
rx_load_be64 = _make_load(64, big_endian=True, region="rx")
state_load_u8 = _make_load(8, region="state")
state_load_u16 = _make_load(16, region="state")
state_load_u32 = _make_load(32, region="state")
state_load_u64 = _make_load(64, region="state")
state_store_u8 = _make_store(8, region="state")
state_store_u16 = _make_store(16, region="state")
state_store_u32 = _make_store(32, region="state")
state_store_u64 = _make_store(64, region="state")
state_load_be64 = _make_load(64, big_endian=True, region="state")
state_store_be64 = _make_store(64, big_endian=True, region="state")
journal_load_u64 = _make_load(64, region="journal")
journal_store_u64 = _make_store(64, region="journal")
work_load_u64 = _make_load(64, region="work")
work_store_u8 = _make_store(8, region="work")
work_store_u16 = _make_store(16, region="work")
work_store_u32 = _make_store(32, region="work")
work_store_u64 = _make_store(64, region="work")
# Such a store is never left out, although nothing of ours reads it.
notify_u32 = _make_store(32, ordering="monotonic")


@intrinsic
def exchange_u32(typingctx, address, expected, value):  # type: ignore[no-untyped-def]
    """1 where `expected` stood at `address` and `value` stands there now, else 0; acquires and releases."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        narrow = [builder.trunc(word, ir.IntType(32)) for word in args[1:]]
        found = builder.cmpxchg(_pointer(builder, args[0], 32), *narrow, "acq_rel", "monotonic")
        return builder.zext(builder.extract_value(found, 1), I64)

    return types.int64(types.int64, types.int64, types.int64), codegen


def _make_fence(ordering: str, scope: str | None) -> Any:
    @intrinsic
    def fence(typingctx):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            builder.fence(ordering, targetscope=scope)
            return context.get_dummy_value()

        return types.void(), codegen

    return fence


full_fence = _make_fence("seq_cst", None)
# No store moves across; what was loaded before is still known behind it.
order_stores = _make_fence("release", "singlethread")


def _make_prefetch(write: int) -> Any:
    @intrinsic
    def prefetch(typingctx, address):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            i32 = ir.IntType(32)
            pointer = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
            kind = ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32])
            function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
            builder.call(function, [pointer, i32(write), i32(3), i32(1)])
            return context.get_dummy_value()

        return types.void(types.int64), codegen

    return prefetch


prefetch_read = _make_prefetch(0)
prefetch_write = _make_prefetch(1)


def _make_copy(name: str, doc: str) -> Any:
    @intrinsic
    def copy(typingctx, target, source, length):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            i8p = ir.IntType(8).as_pointer()
            into, out = (builder.inttoptr(a, i8p) for a in args[:2])
            function = builder.module.declare_intrinsic(name, [i8p, i8p, I64])
            builder.call(function, [into, out, args[2], ir.IntType(1)(0)])
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), codegen

    copy.__doc__ = doc
    return copy


copy_bytes = _make_copy("llvm.memcpy", "memcpy(target, source, length); the areas must not overlap.")
move_bytes = _make_copy("llvm.memmove", "memmove(target, source, length); the areas may overlap.")


@intrinsic
def clear_bytes(typingctx, target, length):  # type: ignore[no-untyped-def]
    """memset(target, 0, length)"""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        i8 = ir.IntType(8)
        function = builder.module.declare_intrinsic("llvm.memset", [i8.as_pointer(), I64])
        builder.call(function, [builder.inttoptr(args[0], i8.as_pointer()), i8(0), args[1], ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def add_floats(typingctx, a, b):  # type: ignore[no-untyped-def]
    """Sum of two float64 whose 64-bit patterns these are, as a pattern."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        numbers = [builder.bitcast(pattern, ir.DoubleType()) for pattern in args]
        return builder.bitcast(builder.fadd(*numbers), I64)

    return types.int64(types.int64, types.int64), codegen


@intrinsic(prefer_literal=True)
def keep(typingctx, target, source, size):  # type: ignore[no-untyped-def]
    """Copy `size` bytes, a literal multiple of 8, from state to the journal, 32 at a time."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        at, end = 0, size.literal_value
        while at < end:
            lanes = next(lanes for lanes in (4, 2, 1) if at + 8 * lanes <= end)
            kind = ir.VectorType(I64, lanes) if lanes > 1 else I64
            into, out = (builder.inttoptr(builder.add(a, I64(at)), kind.as_pointer()) for a in args[:2])
            value = in_region(builder, builder.load(out, align=1), "state")
            in_region(builder, builder.store(value, into, align=1), "journal")
            at += 8 * lanes
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, size), codegen


@intrinsic
def mul_high(typingctx, a, b):  # type: ignore[no-untyped-def]
    """Fold of the 128-bit product of two 64-bit patterns: high half xor low half."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        high = builder.trunc(builder.lshr(product, wide(64)), I64)
        return builder.xor(high, builder.trunc(product, I64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def shift_right(typingctx, value, bits):  # type: ignore[no-untyped-def]
    """Logical shift of a 64-bit pattern, where Python's >> would drag the sign along."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.lshr(args[0], args[1])

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def swap_bytes(typingctx, value):  # type: ignore[no-untyped-def]
    """A 64-bit pattern with its bytes in the other order."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bswap(args[0])

    return types.int64(types.int64), codegen


@intrinsic
def count_ones(typingctx, bits):  # type: ignore[no-untyped-def]
    """How many bits are set."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@intrinsic
def lowest_one(typingctx, bits):  # type: ignore[no-untyped-def]
    """The number of the lowest bit that is set; one must be."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.int64(types.int64), codegen


@intrinsic
def without_lowest_one(typingctx, bits):  # type: ignore[no-untyped-def]
    """The bits but for the lowest one that is set. (numba's own subtraction must not overflow.)"""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.and_(args[0], builder.sub(args[0], I64(1)))

    return types.int64(types.int64), codegen


@intrinsic
def seldom(typingctx, condition):  # type: ignore[no-untyped-def]
    """The condition, which LLVM is told to expect false: what hangs on it is kept out of the way of all else."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        i1 = ir.IntType(1)
        function = builder.module.declare_intrinsic("llvm.expect", [i1], ir.FunctionType(i1, [i1, i1]))
        return builder.call(function, [args[0], i1(0)])

    return types.boolean(types.boolean), codegen


@intrinsic
def known(typingctx, condition):  # type: ignore[no-untyped-def]
    """Tell LLVM that the condition holds here."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        i1 = ir.IntType(1)
        function = builder.module.declare_intrinsic("llvm.assume", [], ir.FunctionType(ir.VoidType(), [i1]))
        builder.call(function, [args[0]])
        return context.get_dummy_value()

    return types.void(types.boolean), codegen


@intrinsic
def below(typingctx, index, length):  # type: ignore[no-untyped-def]
    """0 <= index < length in one unsigned comparison.

    numba tells LLVM that signed arithmetic never overflows, so that `index < 0` is optimised away behind a product of
    positive numbers, also where it did overflow. This is not.
    """

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.icmp_unsigned("<", *args)

    return types.boolean(types.int64, types.int64), codegen
