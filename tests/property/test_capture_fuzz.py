"""Mutated captures: no crash, no hang, no read past what is there, and the same answer however the bytes come.

The memory that the scanners see ends at a page that cannot be read, with the file's last byte in front of it: one read
too far would end the test run with a SIGSEGV.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import captures_folder
from tests.kit.capture_build import (
    BIG,
    LITTLE,
    Record,
    block,
    enhanced,
    interface,
    obsolete,
    pcap,
    pcapng,
    section,
    simple,
)
from zcframe.framework.errors import CaptureFileError, LinkTypeError
from zcframe.framework.sources.capture import frames, window
from zcframe.framework.sources.trace import bundled_trace

PAGE = mmap.PAGESIZE
# File and test case share one directory: hypothesis runs a test many times in one tmp_path.
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LINKS = [0, 1, 9, 12, 50, 51, 100, 101, 104, 105, 107, 108, 109, 113, 117, 119, 122, 127, 138, 149, 163, 166, 192, 204]
LINKS += [205, 206, 219, 220, 226, 228, 229, 239, 240, 258, 276]

Frames = list[tuple[bytes, int, int]]


def guarded_memory(size: int) -> memoryview:
    """`size` bytes that end at a page which cannot be touched."""
    pages = -(-size // PAGE) * PAGE
    memory = mmap.mmap(-1, pages + PAGE)
    address = np.frombuffer(memory, np.uint8).ctypes.data
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address + pages), PAGE, 0) == 0
    return memoryview(memory)[pages - size : pages]


def allocate_guarded(self: Any, room: int) -> None:
    self._view = guarded_memory(window.FRONT + room)
    self.data = np.frombuffer(self._view, np.uint8)
    self.address = int(self.data.ctypes.data)


@contextmanager
def windows_of(chunk: int, *, guarded: bool = False) -> Iterator[None]:
    with mock.patch.object(window, "CHUNK", chunk):
        if not guarded:
            yield
            return
        with mock.patch.object(window, "SLACK", 0), mock.patch.object(window.Window, "_allocate", allocate_guarded):
            yield


def read(path: Path) -> tuple[Frames, str]:
    delivered: Frames = []
    try:
        for frame in frames(str(path)):
            delivered.append(frame)
    except (CaptureFileError, LinkTypeError) as error:
        return delivered, str(error)
    return delivered, ""


def check(path: Path, data: bytes) -> None:
    """Read `data` in one piece in front of a guard page, and in pieces of several sizes: always the same."""
    path.write_bytes(data)
    with windows_of(max(1, len(data)), guarded=True):
        whole = read(path)
    assert sum(len(frame) for frame, _, _ in whole[0]) <= len(data) + 14 * len(whole[0])
    for chunk in (1 << 20, 37, 4096):
        with windows_of(chunk):
            assert read(path) == whole


@functools.cache
def seeds() -> list[bytes]:
    """Small captures of every kind, and the beginnings of real ones."""
    payloads = [bytes(range(size % 251)) * (1 + size // 251) for size in (0, 1, 3, 15, 16, 20, 60, 300)]
    records = [Record(payload, 10**18 + i) for i, payload in enumerate(payloads)]
    built = [pcap(records, order, nano=nano, link=link) for order in (LITTLE, BIG) for nano in (0, 1) for link in LINKS]
    for order, link in ((order, link) for order in (LITTLE, BIG) for link in LINKS):
        blocks = [
            section(order),
            interface(link, 64, order),
            block(5, bytes(20), order),
            interface(1, 0, order, tsresol=9),
        ]
        for number, payload in enumerate(payloads):
            blocks.append(enhanced(payload, number << 40, order, number=number & 1, comment=b"why"))
            blocks.append(obsolete(payload, number, order))
            blocks.append(simple(payload[:64], order, wire=len(payload)))
        built += [b"".join(blocks), pcapng(records, order, link=link)]
    real = [bundled_trace()]
    folder = captures_folder()
    if folder is not None:
        real += sorted(folder.glob("*.pcap*"))
    return built + [path.read_bytes()[:6000] for path in real]


INTERESTING = [
    0,
    1,
    3,
    4,
    11,
    12,
    13,
    28,
    32,
    0x7F,
    0xFF,
    0xFFFF,
    1 << 18,
    (1 << 18) + 1,
    1 << 24,
    1 << 31,
    (1 << 32) - 1,
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(0, 6))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["byte", "word", "cut", "drop", "repeat"])):
            case "byte":
                data[at] = draw(st.integers(0, 255))
            case "word":
                form = draw(st.sampled_from(["<I", ">I", "<H", ">H"]))
                value = draw(st.sampled_from(INTERESTING)) & (2 ** (8 * struct.calcsize(form)) - 1)
                at &= ~3
                data[at : at + struct.calcsize(form)] = struct.pack(form, value)
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + draw(st.integers(1, 40))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


@SETTINGS
@given(data=mutated())
def test_mutated_captures(tmp_path: Path, data: bytes) -> None:
    check(tmp_path / "a", data)


@SETTINGS
@given(
    head=st.sampled_from(
        ["d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a", "0a0d0d0a1c0000004d3c2b1a0100", ""]
    ),
    tail=st.binary(max_size=400),
)
def test_garbage_behind_a_magic_number(tmp_path: Path, head: str, tail: bytes) -> None:
    check(tmp_path / "a", bytes.fromhex(head) + tail)


@SETTINGS
@given(
    lengths=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 70), max_size=12),
    order=st.sampled_from([LITTLE, BIG]),
    link=st.sampled_from(LINKS),
    minor=st.sampled_from([2, 3, 4]),
)
def test_pcap_records_that_lie(tmp_path: Path, lengths: list[int], order: str, link: int, minor: int) -> None:
    data = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, minor, 0, 0, 65535, link)
    for length in lengths:
        data += struct.pack(f"{order}IIII", 1, 2, length, 60) + bytes(min(length, 60))
    check(tmp_path / "a", data)


@SETTINGS
@given(
    blocks=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 6, 7, 0x0A0D0D0A]), st.binary(max_size=60), st.integers(-8, 8)), max_size=8
    ),
    order=st.sampled_from([LITTLE, BIG]),
    link=st.sampled_from(LINKS),
)
def test_pcapng_blocks_of_random_content(
    tmp_path: Path, blocks: list[tuple[int, bytes, int]], order: str, link: int
) -> None:
    """Sound blocks around random bodies; now and then with lengths that are off."""
    data = section(order) + interface(link, 0, order)
    for kind, body, off in blocks:
        sound = block(kind, body, order)
        length = struct.pack(f"{order}I", max(0, len(sound) + (off if abs(off) > 6 else 0)))
        data += sound[:4] + length + sound[8:]
    check(tmp_path / "a", data)


def test_the_guard_page_guards() -> None:
    """The test's own footing: the memory ends where it is said to end."""
    memory = guarded_memory(100)
    address = np.frombuffer(memory, np.uint8).ctypes.data
    assert (address + 100) % PAGE == 0
    with open("/proc/self/maps") as maps:
        ends = [line.split() for line in maps if line.startswith(f"{address + 100:x}-")]
    assert ends[0][1].startswith("---")
