"""Programs of classic BPF as native code: an LLVM block an instruction, inlined where it is called.

The verdict is that of libpcap's bpf_filter(): A and X begin as 0, a load that reaches past the captured bytes and a
division by zero reject the packet, a shift by 32 or more gives 0. LLVM makes registers of A, X and the scratch memory.

A VLAN tag that the kernel or the card took off stands in the descriptor. A program sees the frame as it was on the
wire: with the tag behind the addresses, whoever took it off.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from zcframe.framework.jit.address import seldom
from zcframe.framework.jit.compiler import Job, inlined, keep, outlined
from zcframe.framework.jit.emit.address import in_region

from .program import (
    ABS,
    ADD,
    ALU,
    AND,
    DIV,
    FROM_X,
    IMM,
    IND,
    JA,
    JEQ,
    JGE,
    JGT,
    JMP,
    LD,
    LDX,
    LEN,
    LSH,
    MEM,
    MISC,
    MOD,
    MODE,
    MSH,
    MUL,
    NEG,
    OPERATION,
    OR,
    RET,
    RET_A,
    RETURNED,
    RSH,
    SIZE,
    SIZES,
    ST,
    STX,
    SUB,
    TXA,
    VLAN_TAG,
    VLAN_TAG_PRESENT,
    XOR,
    Instruction,
    Program,
)

I8, I32, I64 = (ir.IntType(bits) for bits in (8, 32, 64))
# Bytes in front of a tag, and bytes of one.
ADDRESSES: Final = 12
TAG: Final = 4
# A program above this is called, so that the loop around it stays small.
INLINED_AT_MOST: Final = 256

SIGNATURE: Final = (types.int64,) * 4


class _Frame:
    """The captured bytes as they lie in memory. region: what LLVM is told of loads from them."""

    region = "rx"

    def __init__(self, builder: Any, frame: Any, caplen: Any, vlan: Any) -> None:
        self.builder, self.frame, self.length = builder, frame, caplen

    def address(self, at: Any) -> Any:
        """Address of the byte at `at`, from which a load of up to 4 bytes may go on."""
        return self.builder.add(self.frame, at)


class _TaggedFrame(_Frame):
    """The frame with its tag put back: a copy of its beginning, up to which all is 4 bytes further on.

    A load that begins in the tag ends 3 bytes behind it at most.
    """

    region = ""

    def __init__(self, builder: Any, frame: Any, caplen: Any, vlan: Any) -> None:
        super().__init__(builder, frame, caplen, vlan)
        self.length = builder.add(caplen, I64(TAG))
        self._front = builder.ptrtoint(cgutils.alloca_once(builder, ir.ArrayType(I8, 20)), I64)
        last = builder.sub(caplen, I64(1))
        self._copy(I64(0), I64(0), I64)
        self._copy(I64(8), I64(8), I32)
        self._store(I64(ADDRESSES), builder.bswap(builder.trunc(vlan, I32)))
        for behind in range(3):
            at = I64(ADDRESSES + behind)
            # Nobody asks for bytes behind the captured ones: the last one stands for them.
            self._copy(
                I64(ADDRESSES + TAG + behind), builder.select(builder.icmp_signed("<", at, caplen), at, last), I8
            )

    def _store(self, at: Any, value: Any) -> None:
        pointer = self.builder.inttoptr(self.builder.add(self._front, at), value.type.as_pointer())
        self.builder.store(value, pointer, align=1)

    def _copy(self, into: Any, out: Any, kind: Any) -> None:
        pointer = self.builder.inttoptr(self.builder.add(self.frame, out), kind.as_pointer())
        self._store(into, self.builder.load(pointer, align=1))

    def address(self, at: Any) -> Any:
        in_front = self.builder.icmp_unsigned("<", at, I64(ADDRESSES + TAG))
        front, behind = self.builder.add(self._front, at), self.builder.add(self.frame, at)
        return self.builder.select(in_front, front, self.builder.sub(behind, I64(TAG)))


def _quotient(builder: Any, operation: int, a: Any, b: Any) -> Any:
    return builder.udiv(a, b) if operation == DIV else builder.urem(a, b)


def _shifted(builder: Any, operation: int, a: Any, b: Any) -> Any:
    """0 for a shift by 32 or more, where the CPU would take the lower five bits."""
    bits = builder.and_(b, I32(31))
    shifted = builder.shl(a, bits) if operation == LSH else builder.lshr(a, bits)
    return builder.select(builder.icmp_unsigned("<", b, I32(32)), shifted, I32(0))


PLAIN: Final = {ADD: "add", SUB: "sub", MUL: "mul", OR: "or_", AND: "and_", XOR: "xor"}
COMPARED: Final = {JEQ: "==", JGT: ">", JGE: ">="}


class _Translator:
    """Writes the blocks of one program; `verdict` is what it returns for the packet, an i32."""

    def __init__(self, builder: Any, program: Program, frame: _Frame, wirelen: Any, vlan: Any) -> None:
        self._builder, self._frame = builder, frame
        self._wirelen, self._vlan = builder.trunc(wirelen, I32), vlan
        self._a, self._x, self._verdict = (cgutils.alloca_once_value(builder, I32(0)) for _ in range(3))
        self._memory = {word: cgutils.alloca_once_value(builder, I32(0)) for word in sorted(program.words)}
        self._blocks = [builder.append_basic_block(f"bpf{i}") for i in range(len(program.instructions))]
        self._end = builder.append_basic_block("verdict")
        builder.branch(self._blocks[0])
        for i, instruction in enumerate(program.instructions):
            builder.position_at_end(self._blocks[i])
            self._translate(i, instruction)
        builder.position_at_end(self._end)
        self.verdict = builder.load(self._verdict)

    def _translate(self, i: int, one: Instruction) -> None:
        write = {
            LD: self._load,
            LDX: self._load,
            ST: self._keep,
            STX: self._keep,
            ALU: self._compute,
            JMP: self._jump,
            RET: self._return,
            MISC: self._copy,
        }
        write[one.kind](i, one)
        if not self._builder.block.is_terminated:
            self._builder.branch(self._blocks[i + 1])

    def _load(self, i: int, one: Instruction) -> None:
        into = self._x if one.kind == LDX else self._a
        self._builder.store(self._loaded(one), into)

    def _loaded(self, one: Instruction) -> Any:
        builder, mode = self._builder, one.code & MODE
        if mode == IMM:
            return I32(one.k)
        if mode == LEN:
            return self._wirelen
        if mode == MEM:
            return builder.load(self._memory[one.k])
        if mode == MSH:
            return builder.shl(builder.and_(self._octets(I64(one.k), 1), I32(15)), I32(2))
        if one.asks:
            return self._tag(one.k)
        index = I64(one.k)
        if mode == IND:
            index = builder.add(index, builder.zext(builder.load(self._x), I64))
        elif mode != ABS:
            raise ValueError(f"no instruction {one.code:#x}")
        return self._octets(index, SIZES[one.code & SIZE])

    def _tag(self, k: int) -> Any:
        """The tag beside the frame, or whether there is one."""
        vlan = self._builder.trunc(self._vlan, I32)
        if k == VLAN_TAG:
            return self._builder.and_(vlan, I32(0xFFFF))
        if k == VLAN_TAG_PRESENT:
            return self._builder.zext(self._builder.icmp_unsigned("!=", vlan, I32(0)), I32)
        raise ValueError(f"no load from {k:#x}")

    def _octets(self, index: Any, size: int) -> Any:
        """The number of `size` bytes at `index`, in network order; rejects the packet where they were not captured."""
        builder = self._builder
        self._reject_unless(builder.icmp_unsigned("<=", builder.add(index, I64(size)), self._frame.length))
        pointer = builder.inttoptr(self._frame.address(index), ir.IntType(8 * size).as_pointer())
        value = in_region(builder, builder.load(pointer, align=1), self._frame.region)
        if size > 1:
            value = builder.bswap(value)
        return value if size == 4 else builder.zext(value, I32)

    def _reject_unless(self, condition: Any) -> None:
        going_on = self._builder.append_basic_block("captured")
        self._builder.cbranch(condition, going_on, self._end)
        self._builder.position_at_end(going_on)

    def _keep(self, i: int, one: Instruction) -> None:
        value = self._builder.load(self._x if one.kind == STX else self._a)
        self._builder.store(value, self._memory[one.k])

    def _operand(self, one: Instruction) -> Any:
        return self._builder.load(self._x) if one.code & FROM_X else I32(one.k)

    def _compute(self, i: int, one: Instruction) -> None:
        builder, operation = self._builder, one.code & OPERATION
        a, b = builder.load(self._a), self._operand(one)
        if operation == NEG:
            a = builder.sub(I32(0), a)
        elif operation in (DIV, MOD):
            self._reject_unless(builder.icmp_unsigned("!=", b, I32(0)))
            a = _quotient(builder, operation, a, b)
        elif operation in (LSH, RSH):
            a = _shifted(builder, operation, a, b)
        else:
            a = getattr(builder, PLAIN[operation])(a, b)
        builder.store(a, self._a)

    def _jump(self, i: int, one: Instruction) -> None:
        builder, operation = self._builder, one.code & OPERATION
        if operation == JA:
            # libpcap goes back by this where it walks IPv6 headers; each round is further on in the packet.
            builder.branch(self._blocks[(i + 1 + one.k) & 0xFFFFFFFF])
            return
        a, b = builder.load(self._a), self._operand(one)
        if operation in COMPARED:
            holds = builder.icmp_unsigned(COMPARED[operation], a, b)
        else:
            holds = builder.icmp_unsigned("!=", builder.and_(a, b), I32(0))
        builder.cbranch(holds, self._blocks[i + 1 + one.jt], self._blocks[i + 1 + one.jf])

    def _return(self, i: int, one: Instruction) -> None:
        builder = self._builder
        builder.store(builder.load(self._a) if one.code & RETURNED == RET_A else I32(one.k), self._verdict)
        builder.branch(self._end)

    def _copy(self, i: int, one: Instruction) -> None:
        source, target = (self._x, self._a) if one.code & TXA else (self._a, self._x)
        self._builder.store(self._builder.load(source), target)


def _written(program: Program, view: type[_Frame]) -> Any:
    """The program as an intrinsic (frame, caplen, wirelen, vlan) -> what it returns."""

    @intrinsic
    def run(typingctx, frame, caplen, wirelen, vlan):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            seen = view(builder, args[0], args[1], args[3])
            return builder.zext(_Translator(builder, program, seen, args[2], args[3]).verdict, I64)

        return types.int64(*SIGNATURE), codegen

    return run


def verdict(program: Program) -> Any:
    """Compiled function (frame, caplen, wirelen, vlan) -> int64, what bpf_filter() returns: 0 for a packet rejected.

    frame: address of an Ethernet frame, of which caplen bytes were captured, and which had wirelen bytes on the wire.
    vlan: of the tag that was taken off, type << 16 | tag control information; 0 for none. All are int64.
    """
    plain = _written(program, _Frame)
    if program.asks_for_tag:
        return inlined(lambda frame, caplen, wirelen, vlan: plain(frame, caplen, wirelen, vlan))
    tagged = _written(program, _TaggedFrame)

    on_tagged: Any = outlined(lambda frame, caplen, wirelen, vlan: tagged(frame, caplen, wirelen, vlan))

    @inlined
    def on_any(frame, caplen, wirelen, vlan):  # type: ignore[no-untyped-def]
        if seldom(vlan != 0 and caplen >= ADDRESSES):
            return on_tagged(frame, caplen, wirelen, vlan)
        return plain(frame, caplen, wirelen, vlan)

    return on_any


@functools.lru_cache(maxsize=64)
def predicate(program: Program) -> Callable[[int, int, int, int], bool]:
    """Compiled function (frame, caplen, wirelen, vlan) -> whether the packet matches; the arguments as of `verdict`.

    It is a part: for compiled code only, inlined there, and kept on disk by itself.
    """
    returned, form = verdict(program), inlined if len(program.instructions) <= INLINED_AT_MOST else outlined

    def matches(frame, caplen, wirelen, vlan):  # type: ignore[no-untyped-def]
        return returned(frame, caplen, wirelen, vlan) != 0

    return keep(form(matches), f"filter {program.octets.hex()}")


def job(program: Program) -> Job:
    """The compilation of a program's predicate."""
    return Job("filter", predicate(program), SIGNATURE)
