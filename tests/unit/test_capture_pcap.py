"""The pcap format: both byte orders and resolutions, old versions, odd lengths; dpkt and scapy are the authority."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import dpkt
import pytest
from scapy.utils import RawPcapReader

from tests.kit.capture_build import BIG, LITTLE, Record, flow_records, pcap, pcap_header, pcap_record
from zcframe.framework.sources.capture import CaptureReader, frames
from zcframe.framework.sources.capture.records import ROWS
from zcframe.framework.sources.capture.window import CHUNK

ORDERS = [LITTLE, BIG]


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def by_scapy(path: str) -> list[tuple[bytes, int, int]]:
    """(bytes, wire length, ns), in whole numbers."""
    with RawPcapReader(path) as reader:
        tick = 1 if reader.nano else 1000
        return [(data, meta.wirelen, meta.sec * 10**9 + meta.usec * tick) for data, meta in reader]


@pytest.mark.parametrize(("order", "nano"), list(itertools.product(ORDERS, [False, True])))
def test_both_byte_orders_and_resolutions(tmp_path: Path, order: str, nano: bool) -> None:
    records = [
        Record(bytes([i]) * length, 1_600_000_000_987_654_321 + i, length + i)
        for i, length in enumerate((60, 0, 1, 1514))
    ]
    path = write(tmp_path / "a.pcap", pcap(records, order, nano=nano))
    read = list(frames(path))
    assert read == by_scapy(path)
    assert [data for data, _, _ in read] == [record.data for record in records]
    with open(path, "rb") as file:
        assert [bytes(data) for _, data in dpkt.pcap.Reader(file)] == [data for data, _, _ in read]


def test_what_dpkt_writes(tmp_path: Path) -> None:
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, nano=True, linktype=dpkt.pcap.DLT_EN10MB)
    for record in flow_records(100):
        writer.writepkt_time(record.data, record.ns // 10**9)
    path = write(tmp_path / "a.pcap", file.getvalue())
    assert list(frames(path)) == by_scapy(path)


def test_seconds_beyond_2038(tmp_path: Path) -> None:
    """Seconds are unsigned, as tshark and dpkt take them: up to 2106."""
    path = write(tmp_path / "a.pcap", pcap([Record(b"x" * 60, 0xFFFFFFFF * 10**9 + 999_999_000)]))
    assert [ns for _, _, ns in frames(path)] == [0xFFFFFFFF * 10**9 + 999_999_000]


def test_a_file_of_many_windows(tmp_path: Path) -> None:
    """Records lie across the ends of windows; each is handed out once, whole and in order."""
    records = [Record(struct.pack(">I", i) * (1 + i % 2000), i * 1000) for i in range(2000)]
    data = pcap(records)
    assert len(data) > 5 * CHUNK
    read = list(frames(write(tmp_path / "a.pcap", data)))
    assert read == [(record.data, record.wire_length, record.ns) for record in records]


def test_more_records_than_rows_in_a_window(tmp_path: Path) -> None:
    records = [Record(b"", i * 1000) for i in range(3 * ROWS + 5)]
    reader = CaptureReader(write(tmp_path / "a.pcap", pcap(records)))
    counts = list(iter(reader.read, 0))
    reader.close()
    assert sum(counts) == len(records)
    assert max(counts) == ROWS


def test_the_largest_frame(tmp_path: Path) -> None:
    big = Record(bytes(range(256)) * 1024)
    read = list(frames(write(tmp_path / "a.pcap", pcap([big, big, Record(b"x")]))))
    assert [data for data, _, _ in read] == [big.data, big.data, b"x"]


def test_captured_above_wire_length(tmp_path: Path) -> None:
    """It is nonsense, and every reader passes it on."""
    path = write(tmp_path / "a.pcap", pcap([Record(b"x" * 60, wire=20)]))
    assert list(frames(path)) == by_scapy(path)


@pytest.mark.parametrize(
    ("version", "lengths", "expected"),
    [
        ((2, 0), (90, 60), (60, 90)),
        ((2, 2), (90, 60), (60, 90)),
        ((2, 3), (60, 90), (60, 90)),
        ((2, 3), (90, 60), (60, 90)),
        ((2, 4), (60, 90), (60, 90)),
        ((543, 0), (90, 60), (60, 90)),
    ],
)
def test_versions_that_swapped_the_lengths(
    tmp_path: Path, version: tuple[int, int], lengths: tuple[int, int], expected: tuple[int, int]
) -> None:
    """As libpcap reads them: until 2.3 the original length came first, in 2.3 it depends on who wrote."""
    data = pcap_header(version=version) + struct.pack("<IIII", 1, 2, *lengths) + b"x" * 60
    assert [(len(frame), wire) for frame, wire, _ in frames(write(tmp_path / "a.pcap", data))] == [expected]


def test_no_records_is_a_capture(tmp_path: Path) -> None:
    assert list(frames(write(tmp_path / "a.pcap", pcap([])))) == []


def test_upper_bits_of_the_link_type(tmp_path: Path) -> None:
    """They tell the length of the FCS; the link type is in the lower 16."""
    data = pcap_header(link=0x44000001) + pcap_record(Record(b"x" * 64))
    assert [frame for frame, _, _ in frames(write(tmp_path / "a.pcap", data))] == [b"x" * 64]


def test_one_reader_for_several_files(tmp_path: Path) -> None:
    one = write(tmp_path / "1.pcap", pcap(flow_records(10)))
    two = write(tmp_path / "2.pcap", pcap(flow_records(20), BIG, nano=True))
    reader = CaptureReader(one)
    assert reader.read() == 10
    reader.open(two)
    assert (reader.read(), reader.read(), reader.delivered) == (20, 0, 20)
    reader.close()
