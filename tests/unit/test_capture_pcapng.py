"""The pcapng format: sections, interfaces, every packet block, every resolution; scapy and tshark are the authority."""

from __future__ import annotations

import itertools
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from scapy.utils import RawPcapNgReader

from tests.kit.capture_build import (
    BIG,
    LITTLE,
    Record,
    block,
    enhanced,
    flow_records,
    interface,
    obsolete,
    pcap,
    pcapng,
    section,
    simple,
)
from zcframe.framework import abi
from zcframe.framework.sources.capture import CaptureReader, batches, frames
from zcframe.framework.sources.capture.records import PORT, STATUS

ORDERS = [LITTLE, BIG]
NOW = 1_700_000_000
DATA = b"0123456789abcdef" * 4
LATEST = 2**63 - 1


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def by_scapy(path: str) -> list[tuple[bytes, int, int]]:
    with RawPcapNgReader(path) as reader:
        frames: Any = reader  # The annotations of scapy know the metadata of pcap only.
        return [
            (data, meta.wirelen, ((meta.tshigh << 32) + meta.tslow) * 10**9 // meta.tsresol) for data, meta in frames
        ]


def by_tshark(path: str) -> list[tuple[int, int, int]]:
    """(captured length, wire length, ns; 0 where there is no time)."""
    command = ["tshark", "-n", "-r", path, "-T", "fields"]
    for field in ("frame.cap_len", "frame.len", "frame.time_epoch"):
        command += ["-e", field]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    return [(int(cap), int(wire), int(time.replace(".", "") or 0)) for cap, wire, time in rows]


@pytest.mark.parametrize("order", ORDERS)
def test_enhanced_blocks(tmp_path: Path, order: str) -> None:
    records = [Record(bytes([i]) * i, NOW * 10**9 + i, i + 100) for i in range(70)]
    path = write(tmp_path / "a.pcapng", pcapng(records, order))
    assert list(frames(path)) == by_scapy(path) == [(r.data, r.wire_length, r.ns) for r in records]


@pytest.mark.parametrize("order", ORDERS)
def test_obsolete_blocks(tmp_path: Path, order: str) -> None:
    data = section(order) + interface(order=order) + interface(order=order, tsresol=9)
    data += obsolete(DATA, NOW * 10**6, order) + obsolete(DATA[:5], NOW * 10**9 + 1, order, number=1, wire=77)
    read = list(frames(write(tmp_path / "a.pcapng", data)))
    assert read == [(DATA, 64, NOW * 10**9), (DATA[:5], 77, NOW * 10**9 + 1)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("snaplen", "wire", "kept"), [(0, 0, 64), (16, 64, 16), (64, 64, 64), (1500, 64, 64), (18, 90, 18)]
)
def test_simple_blocks(tmp_path: Path, order: str, snaplen: int, wire: int, kept: int) -> None:
    """Their captured length is told by the snap length of the first interface alone; they have no time."""
    data = (
        section(order) + interface(1, snaplen, order) + simple(DATA[:kept], order, wire=wire) + simple(DATA[:4], order)
    )
    path = write(tmp_path / "a.pcapng", data)
    for _, records in batches(path):
        assert records[:, STATUS].tolist() == [abi.STATUS_NO_TIME] * 2
    assert list(frames(path)) == [(DATA[:kept], wire or 64, 0), (DATA[:4], 4, 0)]


@pytest.mark.needs("tshark")
def test_simple_blocks_as_tshark_reads_them(tmp_path: Path) -> None:
    data = section() + interface(1, 16) + simple(DATA[:16], wire=60) + simple(DATA[:7]) + simple(DATA[:16], wire=17)
    path = write(tmp_path / "a.pcapng", data)
    assert [(len(frame), wire) for frame, wire, _ in frames(path)] == [row[:2] for row in by_tshark(path)]


@pytest.mark.parametrize("orders", list(itertools.product(ORDERS, ORDERS)))
def test_several_sections(tmp_path: Path, orders: tuple[str, str]) -> None:
    """Each has its own byte order and interfaces, whose numbers begin anew."""
    parts = [
        section(order) + interface(order=order, tsresol=tsresol) + enhanced(DATA, ticks, order)
        for order, tsresol, ticks in zip(orders, (6, 9), (NOW * 10**6, NOW * 10**9), strict=True)
    ]
    path = write(tmp_path / "a.pcapng", b"".join(parts))
    assert [ns for _, _, ns in frames(path)] == [NOW * 10**9] * 2
    ports = [int(port) for _, records in batches(path) for port in records[:, PORT]]
    assert ports == [0, 1]


def test_several_interfaces(tmp_path: Path) -> None:
    """Each with its own resolution and offset; described even after the first packets."""
    data = section() + interface(tsresol=6) + interface(tsresol=9, tsoffset=1000) + enhanced(DATA, NOW * 10**6)
    data += enhanced(DATA, NOW * 10**9, number=1) + interface(tsresol=3) + enhanced(DATA, NOW * 10**3, number=2)
    path = write(tmp_path / "a.pcapng", data)
    assert [ns // 10**9 for _, _, ns in frames(path)] == [NOW, NOW + 1000, NOW]
    assert [int(port) for _, records in batches(path) for port in records[:, PORT]] == [0, 1, 2]


def test_hundreds_of_interfaces(tmp_path: Path) -> None:
    data = section() + b"".join(interface(tsresol=9, tsoffset=i) for i in range(300))
    data += b"".join(enhanced(DATA, 0, number=i) for i in range(300))
    assert [ns for _, _, ns in frames(write(tmp_path / "a.pcapng", data))] == [i * 10**9 for i in range(300)]


def exact(ticks: int, tsresol: int, tsoffset: int) -> int:
    """Nanoseconds by the specification, held within what an int64 counts before and after the offset."""
    unit = Fraction(1, 2 ** (tsresol & 0x7F)) if tsresol & 0x80 else Fraction(1, 10**tsresol)
    return max(0, min(LATEST, min(LATEST, int(ticks * unit * 10**9)) + tsoffset * 10**9))


@pytest.mark.parametrize("tsresol", [*range(20), *(0x80 | bits for bits in (0, 1, 10, 20, 30, 32, 33))])
@pytest.mark.parametrize("tsoffset", [None, 0, 3600, -3600, 2**40, -(2**62)])
def test_every_resolution(tmp_path: Path, tsresol: int, tsoffset: int | None) -> None:
    unit = 2 ** (tsresol & 0x7F) if tsresol & 0x80 else 10**tsresol
    ticks = {0, 1, unit - 1, NOW * unit + unit // 3, 2**63 - 1, 2**63, 2**64 - 1}
    stamps = sorted(tick for tick in ticks if tick < 2**64)
    data = section() + interface(tsresol=tsresol, tsoffset=tsoffset) + b"".join(enhanced(b"x", t) for t in stamps)
    read = [ns for _, _, ns in frames(write(tmp_path / "a.pcapng", data))]
    assert read == [exact(tick, tsresol, tsoffset or 0) for tick in stamps]


@pytest.mark.parametrize("bits", [34, 40, 50, 63])
def test_binary_resolutions_finer_than_a_nanosecond(tmp_path: Path, bits: int) -> None:
    """Bits below 2^-33 s do not count; that is never more than a nanosecond."""
    stamps = [1, 2**bits - 1, (2**64 - 1) // 3, 2**64 - 1]
    data = section() + interface(tsresol=0x80 | bits) + b"".join(enhanced(b"x", t) for t in stamps)
    read = [ns for _, _, ns in frames(write(tmp_path / "a.pcapng", data))]
    assert all(0 <= exact(tick, 0x80 | bits, 0) - ns <= 1 for tick, ns in zip(stamps, read, strict=True))


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("tsresol", [0, 3, 6, 9, 10, 0x80 | 20, 0x80 | 32])
def test_resolutions_as_tshark_reads_them(tmp_path: Path, tsresol: int) -> None:
    """Up to where its arithmetic leaves 64 bits: Wireshark 4.0 gets picoseconds wrong."""
    unit = 2 ** (tsresol & 0x7F) if tsresol & 0x80 else 10**tsresol
    data = section() + interface(tsresol=tsresol, tsoffset=100)
    data += b"".join(enhanced(DATA, NOW % 2**20 * unit + unit * i // 7) for i in range(7))
    path = write(tmp_path / "a.pcapng", data)
    assert [(len(frame), wire, ns) for frame, wire, ns in frames(path)] == by_tshark(path)


def test_blocks_that_are_skipped(tmp_path: Path) -> None:
    """Name resolution, statistics, secrets, custom, journal, and what nobody knows yet, also above a window's size."""
    kinds = [4, 5, 9, 10, 0x0BAD, 0x40000BAD, 0x80000001, 0x7FFFFFFF, 0]
    strange = [block(kind, bytes(range(size))) for kind, size in zip(kinds, range(0, 36, 4), strict=True)]
    data = section() + b"".join(strange) + interface() + block(0x77, bytes(5 << 20))
    data += b"".join(enhanced(DATA, i) + junk for i, junk in enumerate(strange))
    assert [ns for _, _, ns in frames(write(tmp_path / "a.pcapng", data))] == [i * 1000 for i in range(len(kinds))]


def test_options_behind_a_frame(tmp_path: Path) -> None:
    data = section() + interface() + enhanced(DATA[:5], 1, comment=b"c" * 60000) + enhanced(DATA, 2)
    assert [frame for frame, _, _ in frames(write(tmp_path / "a.pcapng", data))] == [DATA[:5], DATA]


def test_sections_and_interfaces_without_packets(tmp_path: Path) -> None:
    reader = CaptureReader(write(tmp_path / "a.pcapng", section() + interface(1) + interface(113) + section(BIG)))
    assert reader.read() == 0
    reader.close()


def test_link_types_known_at_once(tmp_path: Path) -> None:
    data = section() + interface(1) + block(5, bytes(8)) + interface(113) + interface(1) + enhanced(DATA, 0)
    reader = CaptureReader(write(tmp_path / "a.pcapng", data + interface(101)))
    assert reader.link_types == ("ETHERNET", "LINUX_SLL")
    reader.close()


@pytest.mark.needs("tshark")
def test_what_mergecap_and_editcap_write(tmp_path: Path) -> None:
    """Two captures merged (several interfaces), and rewritten in every format that editcap has for this."""
    paths = [
        write(tmp_path / f"{name}.pcap", pcap(flow_records(50, step=step), nano=True))
        for name, step in (("a", 1000), ("b", 3000))
    ]
    merged = str(tmp_path / "merged.pcapng")
    subprocess.run(["mergecap", "-I", "none", "-w", merged, *paths], check=True, capture_output=True, timeout=60)
    expected = list(frames(merged))
    assert expected == by_scapy(merged)
    assert len(expected) == 100
    for form in ("pcap", "nsecpcap", "pcapng"):
        path = str(tmp_path / form)
        subprocess.run(["editcap", "-F", form, merged, path], check=True, capture_output=True, timeout=60)
        assert list(frames(path)) == [
            (data, wire, ns // 1000 * 1000 if form == "pcap" else ns) for data, wire, ns in expected
        ]
