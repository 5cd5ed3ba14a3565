"""Proof that a key sends both directions of every flow to one queue.

The Toeplitz hash is linear over GF(2): the hash of an input is the xor of the hashes of its set bits. Turning a flow
round permutes the bits of the input (source with destination address, source with destination port). So both directions
of every flow have the same hash if and only if each single-bit input has the same hash as the single-bit input that it
turns into. Hashing all of them, 64 to 288 bits a hash type, is therefore a complete proof and no sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .fields import HashType, check_key, hash_types


def toeplitz_hash(key: bytes, data: bytes) -> int:
    """The 32-bit hash of at most 36 input bytes, bit by bit: slow, but independent of the tables that it checks."""
    bits, inputs = int.from_bytes(key), int.from_bytes(data)
    result = 0
    while inputs:
        highest = inputs.bit_length() - 1
        inputs ^= 1 << highest
        place = 8 * len(data) - 1 - highest
        result ^= bits >> (8 * len(key) - 32 - place) & 0xFFFFFFFF
    return result


@dataclass(frozen=True)
class SymmetryProof:
    """Outcome: true where both directions always hash alike; else the first hash type and input bit that break it."""

    checked: tuple[str, ...]
    broken_by: str | None = None
    broken_bit: int | None = None

    def __bool__(self) -> bool:
        return self.broken_by is None

    def __str__(self) -> str:
        if self:
            return f"symmetric: proved for {', '.join(self.checked)}"
        return f"not symmetric: {self.broken_by} breaks it at input bit {self.broken_bit}"


def _hash_bit(key: bytes, size: int, bit: int) -> int:
    return toeplitz_hash(key, (1 << (8 * size - 1 - bit)).to_bytes(size))


def _broken_bit(key: bytes, kind: HashType) -> int | None:
    size = kind.input_size
    for bit in range(8 * size):
        if _hash_bit(key, size, bit) != _hash_bit(key, size, kind.mirrored(bit)):
            return bit
    return None


def prove_kinds(key: bytes, kinds: Sequence[HashType]) -> SymmetryProof:
    """Hash every single-bit input of these hash types in both directions; the module says why that is a proof.

    key: 40 bytes. Raises UsageError for another length.
    """
    check_key(key)
    for done, kind in enumerate(kinds):
        bit = _broken_bit(key, kind)
        if bit is not None:
            return SymmetryProof(tuple(k.name for k in kinds[:done]), kind.name, bit)
    return SymmetryProof(tuple(kind.name for kind in kinds))


def prove_symmetry(key: bytes, fields: str) -> SymmetryProof:
    """The proof for every hash type that can occur with `fields`. Raises UsageError for an unknown name of fields."""
    return prove_kinds(key, hash_types(fields))
