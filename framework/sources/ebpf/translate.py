"""A compiled tcpdump expression, a program of classic BPF, as eBPF for the kernel.

The verdict is that of the chain's own program (filters/native.py) for every frame that has no tag beside it: A, X and
the scratch memory begin as 0, a load past the frame's end and a division by zero reject the frame, a shift by 32 or
more gives 0. The kernel's own translation would do, if it could count: here every way out is a jump to a label.
"""

from __future__ import annotations

from typing import Final

from zcframe.framework.filters.program import (
    ABS,
    ALU,
    DIV,
    FROM_X,
    IMM,
    IND,
    JA,
    JEQ,
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
    NEG,
    OPERATION,
    RET,
    RET_A,
    RETURNED,
    RSH,
    SIZE,
    SIZES,
    ST,
    STX,
    TXA,
    Instruction,
    Program,
)

from .assembler import MOVE, Assembler

# Registers: A, a scratch one, the context (which loads need there), X, what A was, bytes of the frame, the stack's end.
A, SCRATCH, CONTEXT, X, KEPT, LENGTH, STACK = 0, 2, 6, 7, 8, 9, 10
# Labels of the two ways out.
PASSES, FAILS = "passes", "fails"
# On the stack: where the words of the scratch memory end, and where the frame's first bytes begin.
MEMORY: Final = -8
WORD: Final = 4
# Behind Ethernet's 14 bytes words are aligned there, as the kernel wants it.
FRONT_SIZE: Final = 62
FRONT: Final = MEMORY - 16 * WORD - FRONT_SIZE
CLEARED: Final = range(FRONT - 2, FRONT + FRONT_SIZE, 8)
# A load out of the frame is a call. With more of them than this, one call for the first bytes costs less: 39 ns, not
# 54, for a frame that matches `udp port 53`.
FEW: Final = 2
SKB_LOAD_BYTES: Final = 26
# Offsets from here on are beyond every frame; the kernel would take them for negative ones.
BEYOND: Final = 1 << 31
BITS: Final = 32


class TranslationError(ValueError):
    """The program has what the kernel would not run."""


def _at(i: int) -> str:
    return f"at{i}"


def _word(k: int) -> int:
    return MEMORY - WORD * (k + 1)


class _Translator:
    """Writes instruction after instruction; `i` is the number of the one that is written."""

    def __init__(self, code: Assembler, program: Program) -> None:
        self._code, self._shifts = code, 0
        fixed = [one for one in program.instructions if one.kind in (LD, LDX) and one.code & MODE in (ABS, MSH)]
        self._front = FRONT_SIZE if len(fixed) > FEW else 0
        if self._front:
            self._copy_front()
        for register in (A, X):
            code.alu32(MOVE, register, 0)
        for k in sorted(program.words):
            code.store(WORD, STACK, _word(k), A)
        for i, one in enumerate(program.instructions):
            code.label(_at(i))
            self._translate(i, one)

    def _copy_front(self) -> None:
        """Have the frame's first bytes on the stack, as many as there are."""
        code = self._code
        code.alu("mov", A, 0)
        for at in CLEARED:
            code.store(8, STACK, at, A)
        code.alu_register("mov", 4, LENGTH)
        code.jump_if("gt", LENGTH, FRONT_SIZE, "long")
        # From "eq" 0, the verifier of Linux 6.1 would not learn that there is a byte.
        code.jump_if("ge", LENGTH, 1, "short")
        code.jump(FAILS)
        code.label("long")
        code.alu("mov", 4, FRONT_SIZE)
        code.label("short")
        code.alu_register("mov", 1, CONTEXT)
        code.alu("mov", 2, 0)
        code.alu_register("mov", 3, STACK)
        code.alu("add", 3, FRONT)
        code.call(SKB_LOAD_BYTES)

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

    def _load(self, i: int, one: Instruction) -> None:
        code, mode, into = self._code, one.code & MODE, X if one.kind == LDX else A
        if mode == IMM:
            code.alu32(MOVE, into, one.k)
        elif mode == LEN:
            code.alu32_register(MOVE, into, LENGTH)
        elif mode == MEM:
            code.load(WORD, into, STACK, _word(one.k))
        elif mode == MSH:
            self._load_header_length(one)
        elif one.asks:
            # The tag beside the frame, or whether there is one: there is none.
            code.alu32(MOVE, A, 0)
        elif mode in (ABS, IND):
            self._load_octets(SIZES[one.code & SIZE], one.k, mode == IND)
        else:
            raise TranslationError(f"no instruction {one.code:#x}")

    def _load_octets(self, size: int, at: int, from_x: bool) -> None:
        """A = `size` bytes of the frame at `at`, or at X + `at`."""
        code = self._code
        if at >= BEYOND:
            code.jump(FAILS)
            return
        code.alu_register("mov", SCRATCH, X) if from_x else code.alu("mov", SCRATCH, 0)
        code.alu("add", SCRATCH, at)
        code.alu("add", SCRATCH, size)
        code.jump_if_register("gt", SCRATCH, LENGTH, FAILS)
        if from_x:
            code.load_frame_at(size, X, at)
        elif at + size <= self._front and (FRONT + at) % size == 0:
            code.load(size, A, STACK, FRONT + at)
            if size > 1:
                code.big_endian(size, A)
        else:
            code.load_frame(size, at)

    def _load_header_length(self, one: Instruction) -> None:
        """X = four times the lower half of a byte; A stays."""
        code = self._code
        code.alu_register("mov", KEPT, A)
        self._load_octets(1, one.k, False)
        code.alu("and", A, 0xF)
        code.alu("mul", A, 4)
        code.alu_register("mov", X, A)
        code.alu_register("mov", A, KEPT)

    def _keep(self, i: int, one: Instruction) -> None:
        self._code.store(WORD, STACK, _word(one.k), X if one.kind == STX else A)

    def _compute(self, i: int, one: Instruction) -> None:
        code, operation, from_x = self._code, one.code & OPERATION, bool(one.code & FROM_X)
        if operation == NEG:
            code.alu32(NEG, A, 0)
        elif from_x:
            self._compute_with_x(operation)
        elif operation in (DIV, MOD) and not one.k:
            code.jump(FAILS)
        elif operation in (LSH, RSH) and one.k >= BITS:
            code.alu32(MOVE, A, 0)
        else:
            code.alu32(operation, A, one.k)

    def _compute_with_x(self, operation: int) -> None:
        code = self._code
        if operation in (DIV, MOD):
            code.jump32(JEQ, X, 0, FAILS)
        if operation not in (LSH, RSH):
            code.alu32_register(operation, A, X)
            return
        self._shifts += 1
        code.alu32_register(operation, A, X)
        code.jump_if("gt", X, BITS - 1, f"far{self._shifts}")
        code.jump(f"shifted{self._shifts}")
        code.label(f"far{self._shifts}")
        code.alu32(MOVE, A, 0)
        code.label(f"shifted{self._shifts}")

    def _jump(self, i: int, one: Instruction) -> None:
        code, operation = self._code, one.code & OPERATION
        if operation == JA:
            # libpcap goes back where it walks IPv6 headers; the kernel cannot see that this comes to an end.
            if one.k >= BEYOND:
                raise TranslationError("it has a loop")
            code.jump(_at(i + 1 + one.k))
            return
        if one.code & FROM_X:
            code.jump32_register(operation, A, X, _at(i + 1 + one.jt))
        else:
            code.jump32(operation, A, one.k, _at(i + 1 + one.jt))
        if one.jf:
            code.jump(_at(i + 1 + one.jf))

    def _return(self, i: int, one: Instruction) -> None:
        if one.code & RETURNED == RET_A:
            self._code.jump32(JEQ, A, 0, FAILS)
            self._code.jump(PASSES)
        else:
            self._code.jump(PASSES if one.k else FAILS)

    def _copy(self, i: int, one: Instruction) -> None:
        to, source = (A, X) if one.code & TXA else (X, A)
        self._code.alu32_register(MOVE, to, source)


def translate(code: Assembler, program: Program) -> None:
    """Write the program: it ends at the label "passes" or "fails", which who calls writes.

    CONTEXT and LENGTH (of the frame, in bytes) are in their registers. Raises TranslationError.
    """
    _Translator(code, program)
