"""Views and addresses as plain Python has them, for filters that are interpreted: they answer as compiled ones do."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator
from typing import Any, Final, Literal, overload

MAPPED_IPV4: Final = 0xFFFF << 32


def _signed(word: int) -> int:
    """The int64 of 64 bits."""
    return word - (1 << 64) if word >> 63 else word


class View:
    """A window onto bytes, which are not copied: it shows what is written to them later. Past its end it reads 0."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, octets: Any = b"") -> None:
        self._octets = memoryview(octets)

    def __len__(self) -> int:
        return len(self._octets)

    def __bytes__(self) -> bytes:
        return bytes(self._octets)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> View: ...
    def __getitem__(self, index: int | slice) -> int | View:
        if not isinstance(index, slice):
            return int(self._octets[index]) if 0 <= index < len(self) else 0
        if index.step is not None:
            raise TypeError("a slice of a view has no step: write [start:stop]")
        return View(self._octets[index])

    def __iter__(self) -> Iterator[int]:
        return iter(self._octets)

    def __eq__(self, other: object) -> bool:
        return self._octets == octets_of(other) if isinstance(other, View | bytes) else NotImplemented

    def __contains__(self, wanted: View | bytes) -> bool:
        return self.find(wanted) >= 0

    def find(self, wanted: View | bytes, start: int = 0) -> int:
        return bytes(self).find(octets_of(wanted), start)

    def startswith(self, prefix: View | bytes) -> bool:
        return bytes(self).startswith(octets_of(prefix))

    def endswith(self, suffix: View | bytes) -> bool:
        return bytes(self).endswith(octets_of(suffix))

    def _word(self, index: int, size: int, order: Literal["big", "little"]) -> int:
        octets = bytes(self._octets[index : index + size]) if index >= 0 else b""
        return _signed(int.from_bytes(octets.ljust(size, b"\0"), order))

    def u16(self, index: int) -> int:
        return self._word(index, 2, "big")

    def u32(self, index: int) -> int:
        return self._word(index, 4, "big")

    def u64(self, index: int) -> int:
        return self._word(index, 8, "big")

    def u16le(self, index: int) -> int:
        return self._word(index, 2, "little")

    def u32le(self, index: int) -> int:
        return self._word(index, 4, "little")

    def u64le(self, index: int) -> int:
        return self._word(index, 8, "little")

    def __repr__(self) -> str:
        return f"View({bytes(self)!r})"


def octets_of(value: Any) -> bytes:
    """The bytes of a view, or of a constant. Raises TypeError for anything else."""
    if isinstance(value, View | bytes):
        return bytes(value)
    raise TypeError(f"bytes, as b'GET ', or a view are needed, not {value!r}")


@functools.total_ordering
class Address:
    """An IP address: a number of 128 bits; IPv4 is ::ffff:a.b.c.d. It compares with those of `ipaddress`, too."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __int__(self) -> int:
        return self._number

    @property
    def hi(self) -> int:
        return _signed(self._number >> 64)

    @property
    def lo(self) -> int:
        return _signed(self._number & (1 << 64) - 1)

    def __hash__(self) -> int:
        return hash(self._number)

    def __eq__(self, other: object) -> bool:
        return self._number == number_of(other) if _is_address(other) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._number < number_of(other) if _is_address(other) else NotImplemented

    def __repr__(self) -> str:
        address = ipaddress.IPv6Address(self._number)
        return str(address.ipv4_mapped or address)


def _is_address(value: object) -> bool:
    return isinstance(value, Address | ipaddress.IPv4Address | ipaddress.IPv6Address)


def number_of(value: Any) -> int:
    """The number of an address, also of one that is a constant of the plugin's module."""
    return int(value) | (MAPPED_IPV4 if isinstance(value, ipaddress.IPv4Address) else 0)
