"""Ticks of a pcapng interface to nanoseconds since the epoch, in integers, for any resolution the format can state."""

from __future__ import annotations

from typing import Final

from zcframe.framework.jit.address import shift_right
from zcframe.framework.jit.compiler import inlined

from .interfaces import BITS, DIVISOR, EPOCH, LATEST, LIMIT, MULTIPLIER

NANOSECONDS: Final = 1_000_000_000
# A fraction of a second in 33 bits times 10^9 still fits an int64; a step of 2^-33 s is finer than a nanosecond.
FRACTION_BITS: Final = 33


@inlined
def since_epoch(nanoseconds, epoch):  # type: ignore[no-untyped-def]
    """Sum of a time and an interface's offset, held within 1970 to 2262, as `nanoseconds` is."""
    if epoch > LATEST - nanoseconds:
        return LATEST
    return max(0, nanoseconds + epoch)


@inlined
def binary_nanoseconds(ticks, bits):  # type: ignore[no-untyped-def]
    """Ticks (an unsigned 64-bit pattern) of 2^-bits seconds."""
    seconds = shift_right(ticks, bits)
    if seconds < 0 or seconds >= LATEST // NANOSECONDS:
        return LATEST
    fraction = ticks - (seconds << bits)
    if bits > FRACTION_BITS:
        fraction = shift_right(fraction, bits - FRACTION_BITS)
        bits = FRACTION_BITS
    return seconds * NANOSECONDS + (fraction * NANOSECONDS >> bits)


@inlined
def divide_unsigned(ticks, divisor):  # type: ignore[no-untyped-def]
    """Quotient of an unsigned 64-bit pattern and a divisor from 2 to 2^62."""
    quotient = shift_right(ticks, 1) // divisor * 2
    return quotient + 1 if ticks - quotient * divisor >= divisor else quotient


@inlined
def to_nanoseconds(ticks, interfaces, number):  # type: ignore[no-untyped-def]
    """Time of a frame of interface `number`; ticks: an unsigned 64-bit pattern."""
    epoch = interfaces[number, EPOCH]
    if 0 <= ticks <= interfaces[number, LIMIT]:
        return max(0, ticks * interfaces[number, MULTIPLIER] + epoch)
    if interfaces[number, BITS] >= 0:
        return since_epoch(binary_nanoseconds(ticks, interfaces[number, BITS]), epoch)
    if interfaces[number, DIVISOR] > 1:
        return since_epoch(divide_unsigned(ticks, interfaces[number, DIVISOR]), epoch)
    return since_epoch(LATEST, epoch)
