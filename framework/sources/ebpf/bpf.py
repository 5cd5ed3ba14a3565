"""The system call bpf(), as far as programs on interfaces and sockets, and their maps, need it.

Every function returns a file descriptor, close-on-exec, or raises OSError as the kernel says.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Final, NamedTuple

import numpy as np

SYSCALL: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, PROG_LOAD, LINK_CREATE = 0, 1, 2, 3, 5, 28
GET_INFO, LINK_BY_ID, LINK_NEXT_ID = 15, 30, 31
# struct bpf_link_info: type, id, id of the program.
LINK_INFO: Final = struct.Struct("=III")
TYPE_PERCPU_ARRAY: Final = 6
TYPE_XSKMAP: Final = 17
# Processes can only read the map.
READ_ONLY: Final = 1 << 3
# The kernel writes a value for each CPU that there can be: at most as many as the largest CONFIG_NR_CPUS.
MOST_CPUS: Final = 8192
TYPE_SOCKET_FILTER: Final = 1
TYPE_XDP: Final = 6
ATTACH_XDP: Final = 37
MODE_GENERIC: Final = 1 << 1
MODE_NATIVE: Final = 1 << 2
BOUND_TO_DEVICE: Final = 1 << 6

NAME: Final = b"zcframe"
LOG_SIZE: Final = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    return _call(command, ctypes.create_string_buffer(attributes, len(attributes)))


def _call(command: int, memory: ctypes.Array[ctypes.c_char]) -> int:
    """As `_bpf()`, where the kernel answers in the memory of the attributes."""
    number = SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"the number of bpf() is not known on {platform.machine()}")
    result = int(_libc.syscall(number, command, memory, len(memory)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def make_xskmap(entries: int) -> int:
    """A map of sockets, all places empty."""
    return _bpf(MAP_CREATE, struct.pack("=7I16s", TYPE_XSKMAP, 4, 4, entries, 0, 0, 0, NAME))


def make_counters(words: int) -> int:
    """A map with one entry, `words` of 64 bits for each CPU, all 0; only programs write it."""
    return _bpf(MAP_CREATE, struct.pack("=7I16s", TYPE_PERCPU_ARRAY, 4, 8 * words, 1, READ_ONLY, 0, 0, NAME))


def read_counters(map_fd: int, words: int) -> tuple[int, ...]:
    """The words of `make_counters`, each added up over all CPUs."""
    key, values = ctypes.c_uint32(0), np.zeros((MOST_CPUS, words), np.uint64)
    _bpf(MAP_LOOKUP, struct.pack("=IxxxxQQQ", map_fd, ctypes.addressof(key), values.ctypes.data, 0))
    return tuple(values.sum(axis=0).tolist())


class _Kind(NamedTuple):
    """Of a program: its type, where it is attached, and the only interface that it is for, 0: any."""

    kind: int
    attached: int = 0
    ifindex: int = 0


def _load(instructions: bytes, kind: _Kind, log: ctypes.Array[ctypes.c_char] | None) -> int:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_text = ctypes.create_string_buffer(b"GPL")
    level, size, at = (1, LOG_SIZE, ctypes.addressof(log)) if log is not None else (0, 0, 0)
    attributes = struct.pack(
        "=IIQQIIQII16sII",
        *(kind.kind, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(license_text)),
        *(level, size, at, 0, BOUND_TO_DEVICE if kind.ifindex else 0, NAME, kind.ifindex, kind.attached),
    )
    return _bpf(PROG_LOAD, attributes)


def _load_or_tell(instructions: bytes, kind: _Kind) -> int:
    """Load a program. The verifier's reason against it is in the OSError."""
    try:
        return _load(instructions, kind, None)
    except OSError:
        # Load it again for the reason. With a log at the first try, a good program would fail whose log is too long.
        log = ctypes.create_string_buffer(LOG_SIZE)
    try:
        return _load(instructions, kind, log)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} {log.value.decode(errors='replace')}".strip()) from error


def load_program(instructions: bytes, ifindex: int = 0) -> int:
    """Load an XDP program.

    ifindex: the only interface that it is for, whose driver's functions it may call; 0: any.
    """
    return _load_or_tell(instructions, _Kind(TYPE_XDP, ATTACH_XDP, ifindex))


def load_socket_filter(instructions: bytes) -> int:
    """Load a program that says of each frame how many bytes of it a socket gets."""
    return _load_or_tell(instructions, _Kind(TYPE_SOCKET_FILTER))


def attach(program: int, ifindex: int, mode: int) -> int:
    """Attach by a link: the program leaves the interface with the last process that has the link open."""
    return _bpf(LINK_CREATE, struct.pack("=4I", program, ifindex, ATTACH_XDP, mode))


def put_socket(map_fd: int, slot: int, fd: int) -> None:
    """Have frames for `slot` go to this socket from now on."""
    key, value = ctypes.c_uint32(slot), ctypes.c_uint32(fd)
    _bpf(MAP_UPDATE, struct.pack("=IxxxxQQQ", map_fd, ctypes.addressof(key), ctypes.addressof(value), 0))


def take_socket(map_fd: int, slot: int) -> None:
    """Empty the place: frames for `slot` pass to the stack."""
    key = ctypes.c_uint32(slot)
    _bpf(MAP_DELETE, struct.pack("=IxxxxQQQ", map_fd, ctypes.addressof(key), 0, 0))


def _next_link(number: int) -> int | None:
    """Number of the link behind this one."""
    memory = ctypes.create_string_buffer(struct.pack("=III", number, 0, 0), 12)
    try:
        _call(LINK_NEXT_ID, memory)
    except FileNotFoundError:
        return None
    return int(struct.unpack("=III", memory.raw)[1])


def _program_of(link: int) -> int:
    """Number of the program of a link; 0 where the link is gone by now."""
    info = ctypes.create_string_buffer(64)
    try:
        fd = _bpf(LINK_BY_ID, struct.pack("=III", link, 0, 0))
    except FileNotFoundError:
        return 0
    try:
        _bpf(GET_INFO, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)))
    finally:
        os.close(fd)
    return int(LINK_INFO.unpack_from(info.raw)[2])


def links_of(program: int) -> list[int]:
    """Numbers of the links that hold a program with this number. Raises OSError without CAP_SYS_ADMIN."""
    found, link = [], _next_link(0)
    while link is not None:
        if _program_of(link) == program:
            found.append(link)
        link = _next_link(link)
    return found
