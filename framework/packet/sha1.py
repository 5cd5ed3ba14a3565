"""SHA-1 of a single block (FIPS 180-4), in registers, and Community IDs, which need no more."""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba.core import types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic, overload

from zcframe.framework.jit.address import below
from zcframe.framework.jit.compiler import inlined, outlined
from zcframe.framework.jit.part import FORCE

from .community import community_id
from .value import PacketType

I32, I64 = ir.IntType(32), ir.IntType(64)

START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
# As an int64: an unsigned one would make floats of what it meets.
HIGHEST_BIT: Final = -(1 << 63)
ROUNDS: Final = (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6)


def _rotated(builder: Any, word: Any, bits: int) -> Any:
    return builder.or_(builder.shl(word, I32(bits)), builder.lshr(word, I32(32 - bits)))


def _chosen(builder: Any, stage: int, b: Any, c: Any, d: Any) -> Any:
    """Ch, Parity, Maj, Parity."""
    if stage == 0:
        return builder.xor(d, builder.and_(b, builder.xor(c, d)))
    if stage == 2:
        return builder.or_(builder.and_(b, c), builder.and_(d, builder.or_(b, c)))
    return builder.xor(b, builder.xor(c, d))


def _schedule(builder: Any, words: list[Any]) -> list[Any]:
    """The 80 words of the message schedule, of the block's 16."""
    words = list(words)
    for at in range(16, 80):
        mixed = words[at - 3]
        for back in (8, 14, 16):
            mixed = builder.xor(mixed, words[at - back])
        words.append(_rotated(builder, mixed, 1))
    return words


def _digest(builder: Any, words: list[Any]) -> list[Any]:
    a, b, c, d, e = (I32(word) for word in START)
    for at, word in enumerate(_schedule(builder, words)):
        stage = at // 20
        total = builder.add(_rotated(builder, a, 5), _chosen(builder, stage, b, c, d))
        for more in (e, I32(ROUNDS[stage]), word):
            total = builder.add(total, more)
        a, b, c, d, e = total, a, _rotated(builder, b, 30), c, d
    return [builder.add(I32(start), word) for start, word in zip(START, (a, b, c, d, e), strict=True)]


@intrinsic
def _sha1_of(typingctx, block):  # type: ignore[no-untyped-def]
    """SHA-1 of a block of eight big-endian words, padded already: 64, 64 and 32 bits."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        words = []
        for at in range(8):
            word = builder.extract_value(args[0], at)
            words += [builder.trunc(builder.lshr(word, I64(32)), I32), builder.trunc(word, I32)]
        wide = [builder.zext(word, I64) for word in _digest(builder, words)]
        pairs = [builder.or_(builder.shl(wide[at], I64(32)), wide[at + 1]) for at in (0, 2)]
        return context.make_tuple(builder, signature.return_type, [*pairs, wide[4]])

    return UniTuple(types.int64, 3)(block), codegen


@outlined
def sha1(q0, q1, q2, q3, q4, q5, q6, q7):  # type: ignore[no-untyped-def]
    """SHA-1 of a block of eight big-endian words, padded already: 64, 64 and 32 bits."""
    return _sha1_of((q0, q1, q2, q3, q4, q5, q6, q7))


@inlined
def _answer(proto, kind):  # type: ignore[no-untyped-def]
    """The ICMP type that answers a type, or asks for it; -1 for one that stands alone."""
    if proto == 1:
        if kind == 0 or kind == 8:
            return 8 - kind
        if kind == 9 or kind == 10:
            return 19 - kind
        if 13 <= kind <= 18:
            return ((kind - 1) ^ 1) + 1
        return -1
    if 128 <= kind <= 131 or kind == 144 or kind == 145:
        return kind ^ 1
    if 133 <= kind <= 136 or kind == 139 or kind == 140:
        return ((kind - 1) ^ 1) + 1
    return -1


@inlined
def _ends(pkt):  # type: ignore[no-untyped-def]
    """(source port, destination port, whether they count, whether the flow has one direction only)."""
    proto, size = pkt.proto, pkt.l4_len
    if (proto == 6 or proto == 17 or proto == 132) and size >= 4:
        return pkt.sport, pkt.dport, True, False
    if (proto == 1 or proto == 58) and size >= 2:
        kind = pkt.icmp >> 8
        answer = _answer(proto, kind)
        return kind, (pkt.icmp & 255 if answer < 0 else answer), True, answer < 0
    return 0, 0, False, False


@inlined
def _ordered(pkt, sport, dport):  # type: ignore[no-untyped-def]
    """Whether the source is the smaller end."""
    if pkt.src_hi != pkt.dst_hi:
        return below(pkt.src_hi, pkt.dst_hi)
    if pkt.src_lo != pkt.dst_lo:
        return below(pkt.src_lo, pkt.dst_lo)
    return sport < dport


@inlined
def _id(version, proto, seed, a_hi, a_lo, b_hi, b_lo, ports, counted):  # type: ignore[no-untyped-def]
    """SHA-1 of both ends, `a` the smaller one, and of their ports (a's above b's) where these count."""
    # The bit behind the message stands where the ports would, or behind them.
    tail, behind, short = proto << 40 | ports, HIGHEST_BIT, 0
    if not counted:
        tail, behind, short = proto << 40 | 1 << 31, 0, 32
    if version == 4:
        a, b = a_lo & 0xFFFFFFFF, b_lo & 0xFFFFFFFF
        return sha1(seed << 48 | a << 16 | b >> 16, b << 48 | tail, behind, 0, 0, 0, 0, 128 - short)
    q0 = seed << 48 | (a_hi >> 16) & 0xFFFFFFFFFFFF
    q1 = a_hi << 48 | (a_lo >> 16) & 0xFFFFFFFFFFFF
    q2 = a_lo << 48 | (b_hi >> 16) & 0xFFFFFFFFFFFF
    q3 = b_hi << 48 | (b_lo >> 16) & 0xFFFFFFFFFFFF
    return sha1(q0, q1, q2, q3, b_lo << 48 | tail, behind, 0, 320 - short)


@inlined
def _community_id(pkt, seed):  # type: ignore[no-untyped-def]
    version = pkt.ip_version
    if version == 0:
        return 0, 0, 0
    sport, dport, counted, one_way = _ends(pkt)
    if one_way or _ordered(pkt, sport, dport):
        a_hi, a_lo, b_hi, b_lo, ports = pkt.src_hi, pkt.src_lo, pkt.dst_hi, pkt.dst_lo, sport << 16 | dport
    else:
        a_hi, a_lo, b_hi, b_lo, ports = pkt.dst_hi, pkt.dst_lo, pkt.src_hi, pkt.src_lo, dport << 16 | sport
    return _id(version, pkt.proto, seed, a_hi, a_lo, b_hi, b_lo, ports, counted)


@overload(community_id, jit_options=FORCE)
def _compiled(pkt, seed=0):  # type: ignore[no-untyped-def]
    if isinstance(pkt, PacketType):
        return lambda pkt, seed=0: _community_id(pkt, seed)
    return None
