"""Every real capture at hand, record by record, against scapy's readers, dpkt's, and tshark's count of a few."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest
from scapy.utils import RawPcapNgReader, RawPcapReader

from zcframe.framework.errors import LinkTypeError
from zcframe.framework.sources.capture import CaptureReader, frames
from zcframe.framework.sources.trace import bundled_trace

# Bytes of header that each link type has in the file; each becomes 14.
HEADERS = {0: 4, 12: 0, 101: 0, 104: 4, 108: 4, 113: 16, 228: 0, 229: 0, 276: 20}
ETHERNET = 1
PCAPNG = b"\x0a\x0d\x0d\x0a"

Row = tuple[int, bytes, int, int]


def by_scapy(path: Path) -> Iterator[Row]:
    """(link type, bytes, wire length, ns)."""
    if path.read_bytes()[:4] == PCAPNG:
        with RawPcapNgReader(str(path)) as reader:
            meta: Any  # The annotations of scapy know the other kind only.
            for data, meta in reader:
                ticks = (meta.tshigh << 32) + meta.tslow
                yield meta.linktype, data, meta.wirelen, ticks * 10**9 // meta.tsresol
    else:
        with RawPcapReader(str(path)) as reader:
            for data, meta in reader:
                yield reader.linktype, data, meta.wirelen, meta.sec * 10**9 + meta.usec * (1 if reader.nano else 1000)


def assert_same(path: Path) -> int:
    count = 0
    for (link, data, wire, ns), ours in zip(by_scapy(path), frames(str(path)), strict=True):
        count += 1
        assert ours[1:] == (wire, ns), f"{path.name}, record {count}"
        if link == ETHERNET:
            assert ours[0] == data, f"{path.name}, record {count}"
        elif link in HEADERS:
            assert ours[0][14:] == data[HEADERS[link] :], f"{path.name}, record {count}"
        else:  # its headers vary
            assert data.endswith(ours[0][14:]), f"{path.name}, record {count}"
    return count


def test_the_bundled_trace() -> None:
    path = bundled_trace()
    with path.open("rb") as file:
        theirs = [bytes(data) for _, data in dpkt.pcapng.Reader(file)]
    assert [data for data, _, _ in frames(str(path))] == theirs
    assert assert_same(path) == len(theirs)


@pytest.mark.needs("captures")
def test_every_real_capture(captures: Path) -> None:
    total, refused = 0, []
    for path in sorted(captures.glob("*.pcap*")):
        try:
            total += assert_same(path)
        except LinkTypeError as error:
            refused.append((path.name, str(error)))
    assert total > 0
    assert all("cannot be replayed" in text for _, text in refused)


@pytest.mark.needs("captures")
def test_every_real_ethernet_pcap_as_dpkt_reads_it(captures: Path) -> None:
    seen = 0
    for path in sorted(captures.glob("*.pcap")):
        with path.open("rb") as file:
            reader = dpkt.pcap.UniversalReader(file)
            if reader.datalink() == dpkt.pcap.DLT_EN10MB:
                seen += 1
                assert [bytes(data) for _, data in reader] == [data for data, _, _ in frames(str(path))], path.name
    assert seen > 0


@pytest.mark.needs("captures", "tshark")
def test_tshark_counts_as_many(captures: Path) -> None:
    """Of the smallest ones, since its start costs more than any of them."""
    for path in sorted(captures.glob("*.pcap*"), key=os.path.getsize)[:20]:
        try:
            reader = CaptureReader(str(path))
        except LinkTypeError:
            continue
        ours = sum(iter(reader.read, 0))
        reader.close()
        listing = subprocess.run(
            ["capinfos", "-TrcM", str(path)], capture_output=True, text=True, check=True, timeout=60
        )
        assert int(listing.stdout.split("\t")[1]) == ours, path.name
