"""libpcap by ctypes, with nothing of zcframe in it: its compiler, its interpreter, and the text of `tcpdump -d`."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import subprocess
from collections.abc import Sequence
from typing import Any


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Instruction)))


class _Header(ctypes.Structure):
    """struct pcap_pkthdr."""

    _fields_ = (("s", ctypes.c_long), ("us", ctypes.c_long), ("caplen", ctypes.c_uint), ("len", ctypes.c_uint))


@functools.cache
def _pcap() -> Any:
    found = ctypes.CDLL(ctypes.util.find_library("pcap"))
    found.pcap_open_dead.restype = ctypes.c_void_p
    found.pcap_compile.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint]
    found.pcap_offline_filter.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    return found


class Interpreter:
    """One program, of an expression or of instructions (code, jt, jf, k)."""

    def __init__(self, source: str | Sequence[tuple[int, int, int, int]]) -> None:
        self._program, self._header = _Program(), _Header()
        if isinstance(source, str):
            handle = _pcap().pcap_open_dead(1, 262144)
            made = _pcap().pcap_compile(handle, ctypes.byref(self._program), source.encode(), 1, 0xFFFFFFFF)
            assert made == 0, source
        else:
            self._kept = (_Instruction * len(source))(*source)
            self._program.length = len(source)
            self._program.instructions = self._kept
        self._at = ctypes.addressof(self._program), ctypes.addressof(self._header)

    def verdict(self, address: int, caplen: int, wire: int) -> int:
        """What pcap_offline_filter() returns for the frame at an address."""
        self._header.caplen, self._header.len = caplen, wire
        return int(_pcap().pcap_offline_filter(*self._at, address)) & 0xFFFFFFFF


def listing(expression: str) -> str:
    """What `tcpdump -d` prints of an expression on Ethernet."""
    command = ["tcpdump", "-y", "EN10MB", "-d", expression]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
