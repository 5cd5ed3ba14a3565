"""tcpdump expressions to programs, by the system's libpcap: every expression means what it means to tcpdump.

Whatever the source, what reaches a program is an Ethernet frame: captures without such headers get synthetic ones.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from typing import Any, Final

from zcframe.framework.errors import FilterError, LibpcapError
from zcframe.framework.terminal import clean

from .caret import place_of
from .program import VLAN_TAG, VLAN_TAG_PRESENT, Instruction, Program

SONAMES: Final = ("libpcap.so.1", "libpcap.so.0.8", "libpcap.so")
MISSING: Final = (
    "tcpdump expressions are compiled by libpcap, which is not installed: apt-get install libpcap0.8 (Debian, Ubuntu),"
    " dnf install libpcap (Fedora)"
)
DLT_EN10MB: Final = 1
# As tcpdump has it: what a program returns for a packet that matches.
SNAPLEN: Final = 262144
NETMASK_UNKNOWN: Final = 0xFFFFFFFF
WIDTH: Final = 96


class _Instruction(ctypes.Structure):
    """struct bpf_insn."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    """struct bpf_program."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


def _opened(name: str | None) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name) if name else None
    except OSError:
        return None


def _open() -> ctypes.CDLL:
    """Raises LibpcapError where there is none."""
    # To look for it takes a compiler or ldconfig.
    found = next(filter(None, map(_opened, SONAMES)), None) or _opened(ctypes.util.find_library("pcap"))
    if found is None:
        raise LibpcapError(MISSING)
    return found


@functools.cache
def library() -> ctypes.CDLL:
    """libpcap, with what is called of it described. Raises LibpcapError where it is not installed."""
    found, handle, program = _open(), ctypes.c_void_p, ctypes.POINTER(_Program)
    described: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "pcap_open_dead": (handle, (ctypes.c_int, ctypes.c_int)),
        "pcap_compile": (ctypes.c_int, (handle, program, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32)),
        "pcap_geterr": (ctypes.c_char_p, (handle,)),
        "pcap_freecode": (None, (program,)),
        "pcap_close": (None, (handle,)),
        "bpf_image": (ctypes.c_char_p, (ctypes.POINTER(_Instruction), ctypes.c_int)),
    }
    for name, (returned, arguments) in described.items():
        function = getattr(found, name)
        function.restype, function.argtypes = returned, arguments
    return found


def _copied(expression: str, made: _Program) -> Program:
    codes = made.instructions[: made.length]
    instructions = tuple(Instruction(one.code, one.jt, one.jf, one.k) for one in codes)
    listing = tuple(library().bpf_image(ctypes.byref(one), i).decode() for i, one in enumerate(codes))
    return Program(expression, instructions, listing)


def _compiled(expression: str) -> Program | str:
    """The program, or libpcap's message why there is none."""
    pcap, made = library(), _Program()
    handle = pcap.pcap_open_dead(DLT_EN10MB, SNAPLEN)
    if not handle:
        raise MemoryError("no room for libpcap")
    try:
        if pcap.pcap_compile(
            handle, ctypes.byref(made), expression.encode(errors="surrogateescape"), 1, NETMASK_UNKNOWN
        ):
            return str(pcap.pcap_geterr(handle).decode(errors="replace")).strip() or "libpcap refused it"
        try:
            return _copied(expression, made)
        finally:
            pcap.pcap_freecode(ctypes.byref(made))
    finally:
        pcap.pcap_close(handle)


def _window(expression: str, place: int) -> tuple[str, int]:
    """What of the expression is shown, and the column of `place` in it."""
    start = max(0, place - WIDTH + 20) if len(expression) > WIDTH else 0
    before, behind = clean(expression[start:place]), clean(expression[place : start + WIDTH])
    return ("..." if start else "") + before + behind, len(before) + (3 if start else 0)


def _error(expression: str, where: str, message: str, place: int) -> FilterError:
    shown, column = _window(expression, place)
    return FilterError(f"{where}: {clean(message)}\n  {shown}\n  {' ' * column}^")


def compile_expression(expression: str, where: str) -> Program:
    """The program of a tcpdump expression; an empty one takes every packet.

    where: what the expression was given to, for the message. Raises FilterError with libpcap's own message and a caret
    under the place that it complains of, where that can be found out; LibpcapError where there is no libpcap.
    """
    if "\0" in expression:
        raise _error(expression, where, "there is a NUL in the expression", expression.index("\0"))
    made = _compiled(expression)
    if isinstance(made, str):
        raise _error(expression, where, made, place_of(expression, made, _message))
    if any(one.asks and one.k not in (VLAN_TAG, VLAN_TAG_PRESENT) for one in made.instructions):
        reason = "it asks the kernel for what no packet holds: which way it went, or its interface"
        raise _error(expression, where, reason, len(expression))
    return made


def _message(expression: str) -> str:
    """libpcap's message on an expression, "" where it is right."""
    made = _compiled(expression)
    return made if isinstance(made, str) else ""
