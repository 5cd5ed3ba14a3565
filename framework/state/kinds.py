"""Types of values in shared state, and in records: numbers, addresses, strings of bytes, rows of numbers.

Plain Python, importable in milliseconds. A kind says how a value lies in memory, how two of them merge, and what it is
in Python. In compiled code a whole number is an int64, an f64 a float64, an addr a pair of 64-bit words, and text and
blob are views of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from zcframe.framework.errors import DeclarationError

from .addresses import Address, address_of

SUM: Final = "sum"
MIN: Final = "min"
MAX: Final = "max"
BITS: Final = "bits"
FIRST: Final = "first"

ADDRESS_SIZE: Final = 16
# Bytes of the length in front of text and blob.
LENGTH_SIZE: Final = 2
MAX_OCTETS: Final = 4096
MAX_REPEATED: Final = 4096
SIZES: Final = {"u": (1, 2, 4, 8), "i": (8,), "f": (8,)}


class Kind:
    """A type of values: `size` bytes in memory at multiples of `align`.

    `dtype` is what numpy.dtype() takes for the memory; `value` makes a Python value of what numpy then gives.
    `reduction` says how two values of the same key merge. `apart`: in a row of a table it lies behind all others, and
    is journaled when it is written, not whenever the row is handed out. `blank`: a new row may have anything there.
    """

    apart: ClassVar[bool] = False
    blank: ClassVar[bool] = False
    # Of a key that compiled code looks for.
    words: ClassVar[int] = 1
    size: int
    reduction: str

    @property
    def align(self) -> int:
        raise NotImplementedError

    @property
    def dtype(self) -> Any:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """As authors write it."""
        raise NotImplementedError

    def value(self, raw: Any) -> Any:
        """The Python value of an item of an array of this dtype."""
        raise NotImplementedError


@dataclass(frozen=True)
class Scalar(Kind):
    """A number of 1, 2, 4 or 8 bytes in shared state. form: "u" unsigned, "i" signed, "f" floating point.

    `reduction` says how two values of the same key merge: summed unless told otherwise (`u64.min`, `u64.max`, `u8.bits`
    for a bitwise or, `u64.first` for the value of the row that comes first). Compiled code sees every whole number as
    int64, and f64 as float64.
    """

    size: int
    reduction: str = SUM
    form: str = "u"

    def __post_init__(self) -> None:
        if self.size not in SIZES.get(self.form, ()):
            raise DeclarationError(f"Scalar({self.size!r}, form={self.form!r}): u8, u16, u32, u64, i64 and f64 exist")

    @property
    def min(self) -> Scalar:
        return replace(self, reduction=MIN)

    @property
    def max(self) -> Scalar:
        return replace(self, reduction=MAX)

    @property
    def bits(self) -> Scalar:
        if self.form != "u":
            raise DeclarationError(f"{self.name}.bits: only the bits of u8, u16, u32 and u64 can be or-ed")
        return replace(self, reduction=BITS)

    @property
    def first(self) -> Scalar:
        return replace(self, reduction=FIRST)

    def __getitem__(self, count: int) -> Repeated:
        return Repeated(self, count)

    @property
    def is_whole(self) -> bool:
        return self.form != "f"

    @property
    def align(self) -> int:
        return self.size

    @property
    def dtype(self) -> str:
        return f"{self.form}{self.size}"

    @property
    def name(self) -> str:
        return f"{self.form}{8 * self.size}"

    def value(self, raw: Any) -> int | float:
        return int(raw) if self.is_whole else float(raw)


@dataclass(frozen=True)
class Addr(Kind):
    """An IP address as one value: 16 bytes in the order of the network, IPv4 as ::ffff:a.b.c.d.

    They stand in memory as in a packet, so that copies need no swap, that the order of bytes is that of addresses, and
    that `ipaddress`, databases and column files take them as they are.
    """

    words: ClassVar[int] = 2
    size: int = ADDRESS_SIZE
    reduction: str = FIRST

    @property
    def align(self) -> int:
        return 8

    @property
    def dtype(self) -> str:
        return f"V{self.size}"

    @property
    def name(self) -> str:
        return "addr"

    @property
    def first(self) -> Addr:
        return self

    def value(self, raw: Any) -> Address:
        """An ipaddress.IPv4Address or IPv6Address, whose str() is what people write."""
        return address_of(bytes(raw))


@dataclass(frozen=True)
class Octets(Kind):
    """Up to `limit` bytes with their length, a u16 in front of them. What is longer is cut where it is stored."""

    limit: int
    reduction: str = FIRST
    apart: ClassVar[bool] = True
    words: ClassVar[int] = 2
    label: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not (is_whole(self.limit) and 1 <= self.limit <= MAX_OCTETS):
            raise DeclarationError(f"{self.label}({self.limit!r}): a length of 1 to {MAX_OCTETS} bytes is needed")

    @property
    def first(self) -> Octets:
        return self

    @property
    def size(self) -> int:  # type: ignore[override]
        return LENGTH_SIZE + self.limit

    @property
    def align(self) -> int:
        return LENGTH_SIZE

    @property
    def dtype(self) -> list[tuple[str, str]]:
        return [("length", "u2"), ("octets", f"V{self.limit}")]

    @property
    def name(self) -> str:
        return f"{self.label}({self.limit})"

    def octets(self, raw: Any) -> bytes:
        """The bytes of a value, without what stands behind its end."""
        return bytes(raw["octets"])[: int(raw["length"])]


class text(Octets):
    """Up to `limit` bytes (1 to 4096) that people read; a str in Python, with bytes that are no UTF-8 as \\xNN."""

    label = "text"

    def value(self, raw: Any) -> str:
        return self.octets(raw).decode(errors="backslashreplace")


class blob(Octets):
    """Up to `limit` bytes (1 to 4096) of any kind; bytes in Python."""

    label = "blob"

    def value(self, raw: Any) -> bytes:
        return self.octets(raw)


@dataclass(frozen=True)
class Repeated(Kind):
    """A fixed number of equal scalars in a row or record, written u16[8]; each merges as the scalar does."""

    scalar: Scalar
    count: int
    apart: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (is_whole(self.count) and 1 <= self.count <= MAX_REPEATED):
            raise DeclarationError(f"{self.scalar.name}[{self.count!r}]: a number of 1 to {MAX_REPEATED} is needed")

    @property
    def reduction(self) -> str:  # type: ignore[override]
        return self.scalar.reduction

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.scalar.size * self.count

    @property
    def align(self) -> int:
        return self.scalar.align

    @property
    def dtype(self) -> tuple[str, tuple[int]]:
        return self.scalar.dtype, (self.count,)

    @property
    def name(self) -> str:
        return f"{self.scalar.name}[{self.count}]"

    def value(self, raw: Sequence[Any]) -> list[int | float]:
        return [self.scalar.value(item) for item in raw]


u8: Final = Scalar(1)
u16: Final = Scalar(2)
u32: Final = Scalar(4)
u64: Final = Scalar(8)
i64: Final = Scalar(8, form="i")
f64: Final = Scalar(8, form="f")
addr: Final = Addr()


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
