"""Files of plain machine code, and such code in memory."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import struct
from pathlib import Path
from typing import Final

import numpy as np

from .link import Linked

# sha256 of what follows; place of the entry, number of imports; of each: place, length of its name; names, code.
DIGEST: Final = 32
HEAD: Final = struct.Struct("<QQ")
IMPORT: Final = struct.Struct("<QQ")

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def packed(linked: Linked) -> bytes:
    """The bytes of a file."""
    places = b"".join(IMPORT.pack(place, len(name)) for name, place in linked.imports)
    names = b"".join(name.encode() for name, _ in linked.imports)
    body = HEAD.pack(linked.entry, len(linked.imports)) + places + names + linked.code
    return hashlib.sha256(body).digest() + body


def unpacked(data: bytes) -> Linked:
    """What `packed` was given. Raises ValueError where the file was damaged."""
    body = data[DIGEST:]
    if hashlib.sha256(body).digest() != data[:DIGEST]:
        raise ValueError("a file of code is damaged")
    entry, count = HEAD.unpack_from(body)
    at = HEAD.size + count * IMPORT.size
    imports = []
    for place, length in struct.iter_unpack("<QQ", body[HEAD.size : at]):
        imports.append((body[at : at + length].decode(), place))
        at += length
    return Linked(body[at:], entry, tuple(imports))


class Image:
    """Code in memory of its own, which stays as long as the image does; `entry` is the address of its function.

    Raises OSError where the system lets nobody make memory executable.
    """

    def __init__(self, linked: Linked) -> None:
        code = bytearray(linked.code)
        for name, place in linked.imports:
            address = ctypes.cast(getattr(_libc, name), ctypes.c_void_p).value or 0
            struct.pack_into("<Q", code, place, address)
        self._memory = mmap.mmap(-1, len(code), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory[:] = bytes(code)
        begin = int(np.frombuffer(self._memory, np.uint8).ctypes.data)
        # Never both: from here on nothing can change it.
        if _libc.mprotect(begin, len(code), mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.entry = begin + linked.entry


def read_image(path: Path) -> Image:
    """Raises OSError and ValueError."""
    return Image(unpacked(path.read_bytes()))
