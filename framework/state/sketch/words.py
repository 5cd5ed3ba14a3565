"""Arithmetic on 64-bit words as compiled code has it, in Python: what kinds call in their methods.

methods.py puts instructions in place of these functions. Words are int64 bit patterns, as everywhere in plugins.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

WORD: Final = (1 << 64) - 1
GOLDEN: Final = 0x9E3779B97F4A7C15


def signed(word: int) -> int:
    """The int64 of a bit pattern."""
    word &= WORD
    return word - (1 << 64) if word >> 63 else word


def logical(word: int, bits: int) -> int:
    """Shift to the right, zeros coming in from the left."""
    return signed((word & WORD) >> bits)


def bit_length(number: int) -> int:
    """Bits of a number >= 0; 0 for 0."""
    return (number & WORD).bit_length()


def wrapped_product(a: int, b: int) -> int:
    """a * b modulo 2^64."""
    return signed(a * b)


def product_high(a: int, b: int) -> int:
    """Upper half of the 128-bit product of two int64."""
    return signed(a * b >> 64)


def mixed(word: int) -> int:
    """A word whose bits each hang on all bits of the given one (the finalizer of SplitMix64)."""
    word &= WORD
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & WORD
    return signed(word ^ word >> 31)


def hashed(key: Sequence[int]) -> int:
    """Hash of one word or more. The same in every run and on every machine, since sketches of all of them merge."""
    code = 0
    for word in key:
        code = mixed(code + GOLDEN ^ int(word))
    return code


def word_of(number: float) -> int:
    """The bits of a float64."""
    return int(struct.unpack("<q", struct.pack("<d", number))[0])


def float_of(word: int) -> float:
    """The float64 of these bits."""
    return float(struct.unpack("<d", struct.pack("<q", word))[0])
