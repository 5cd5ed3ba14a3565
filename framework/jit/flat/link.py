"""An object file of LLVM's (ELF, x86-64) as one piece of code that runs wherever it lies.

Sections follow each other as in the file. What they say about each other is relative, and is filled in here. What they
call in the C library goes through stubs behind them, of which each ends with the address: whoever loads the code
fills it in.

    section | section | ... | stub: jmp *[rip + 2], 2 bytes, address (8 bytes) | stub | ...
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

# Functions that the code may call. Of arrays that Python lends, none is ever freed: who would do so ends the process.
IMPORTS: Final = {"memcpy": "memcpy", "memmove": "memmove", "memset": "memset", "NRT_MemInfo_call_dtor": "abort"}
STUB: Final = bytes.fromhex("ff25020000000f0b") + bytes(8)
SLOT: Final = 8

X86_64: Final = 62
PROGBITS, SYMTAB, RELA, NOBITS = 1, 2, 4, 8
WRITE, ALLOC = 1, 2
PC32, PLT32, PC64 = 2, 4, 24
WIDTHS: Final = {PC32: "<i", PLT32: "<i", PC64: "<q"}


class Unlinkable(Exception):
    """The object needs more than a piece of code can have; the message says what."""


class Linked(NamedTuple):
    """Code, the place of its entry in it, and where the addresses of these functions belong."""

    code: bytes
    entry: int
    imports: tuple[tuple[str, int], ...]


class _Section(NamedTuple):
    """Of a section header, what is needed of it, and the section's bytes."""

    name: str
    kind: int
    flags: int
    link: int
    info: int
    align: int
    data: bytes


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


def _name(table: bytes, at: int) -> str:
    return table[at : table.index(b"\0", at)].decode()


def _sections(data: bytes) -> list[_Section]:
    machine, table = struct.unpack_from("<H", data, 18)[0], struct.unpack_from("<Q", data, 40)[0]
    if data[:6] != b"\x7fELF\x02\x01" or machine != X86_64:
        raise Unlinkable(f"machine {machine}")
    size, count, names = struct.unpack_from("<HHH", data, 58)
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    spans = [bytes(head[5]) if head[1] == NOBITS else data[head[4] : head[4] + head[5]] for head in heads]
    return [
        _Section(_name(spans[names], head[0]), head[1], head[2], head[6], head[7], head[8], span)
        for head, span in zip(heads, spans, strict=True)
    ]


def _symbols(sections: list[_Section]) -> list[_Symbol]:
    table = next(section for section in sections if section.kind == SYMTAB)
    names = sections[table.link].data
    return [
        _Symbol(_name(names, name), section, value)
        for name, _, _, section, value, _ in struct.iter_unpack("<IBBHQQ", table.data)
    ]


def _placed(sections: list[_Section]) -> tuple[bytearray, dict[int, int]]:
    """The sections that the code consists of, in a row, and where each begins, by its number."""
    code, places = bytearray(), {}
    for number, section in enumerate(sections):
        # No tables for unwinding: nothing here is ever thrown. No variables: whatever refers to one is not linked.
        if section.flags & (ALLOC | WRITE) != ALLOC or section.name.startswith(".eh_frame"):
            continue
        code += bytes(-len(code) % max(1, section.align))
        places[number] = len(code)
        code += section.data
    return code, places


class _Linker:
    """Fills in what the sections of one object say about each other."""

    def __init__(self, data: bytes) -> None:
        self._sections = _sections(data)
        self._symbols = _symbols(self._sections)
        self.code, self._places = _placed(self._sections)
        self.code += bytes(-len(self.code) % 16)
        self._stubs: dict[str, int] = {}

    def place(self, symbol: _Symbol) -> int:
        """Where a symbol is in the code; a function of the C library gets a stub."""
        if symbol.section in self._places:
            return self._places[symbol.section] + symbol.value
        if symbol.section or symbol.name not in IMPORTS:
            raise Unlinkable(f"symbol {symbol.name or symbol.section}")
        if symbol.name not in self._stubs:
            self._stubs[symbol.name] = len(self.code)
            self.code += STUB
        return self._stubs[symbol.name]

    def entry(self, name: str) -> int:
        return self.place(next(symbol for symbol in self._symbols if symbol.name == name))

    def fill_in(self) -> None:
        for section in self._sections:
            if section.kind == RELA and section.info in self._places:
                for offset, info, addend in struct.iter_unpack("<QQq", section.data):
                    self._relocate(self._places[section.info] + offset, info & 0xFFFFFFFF, info >> 32, addend)

    def _relocate(self, at: int, kind: int, symbol: int, addend: int) -> None:
        if kind not in WIDTHS:
            raise Unlinkable(f"relocation {kind}")
        struct.pack_into(WIDTHS[kind], self.code, at, self.place(self._symbols[symbol]) + addend - at)

    @property
    def imports(self) -> tuple[tuple[str, int], ...]:
        return tuple((IMPORTS[name], stub + SLOT) for name, stub in self._stubs.items())


def link(data: bytes, entry: str) -> Linked:
    """The code of an object file; `entry` is the name of its only function for others. Raises Unlinkable."""
    linker = _Linker(data)
    linker.fill_in()
    return Linked(bytes(linker.code), linker.entry(entry), linker.imports)
