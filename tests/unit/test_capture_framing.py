"""Link types: what gets a synthetic Ethernet header, what it says, and what is refused by name."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import itertools
import struct
import subprocess
from pathlib import Path

import dpkt
import pytest

from tests.kit.capture_build import (
    BIG,
    LITTLE,
    Record,
    enhanced,
    ethernet,
    interface,
    obsolete,
    pcap,
    pcapng,
    section,
    simple,
    udp4,
)
from zcframe.framework.errors import LinkTypeError
from zcframe.framework.sources.capture import CaptureReader, frames
from zcframe.framework.sources.capture.linktype import FRAMINGS, NAMES

ZERO = bytes(6)
MAC = bytes.fromhex("02aabbccddee")
IPV4 = udp4(0x0A000001, 0x0A000002, 1000, 53, b"four")
IPV6 = (
    struct.pack(">IHBB", 6 << 28, 12, 17, 64)
    + bytes(15)
    + b"\1"
    + bytes(15)
    + b"\2"
    + struct.pack(">HHHH4s", 1, 2, 12, 0, b"six!")
)
UNKNOWN = 0xFFFF


def synthetic(ethertype: int, payload: bytes, source: bytes = ZERO) -> bytes:
    return ZERO + source + struct.pack(">H", ethertype) + payload


def sll(protocol: int, payload: bytes, hardware: int = 1, address: bytes = MAC) -> bytes:
    """LINKTYPE_LINUX_SLL: packet type, hardware type, address length, address, protocol."""
    return struct.pack(">HHH8sH", 0, hardware, len(address), address, protocol) + payload


def sll2(protocol: int, payload: bytes, hardware: int = 1, address: bytes = MAC) -> bytes:
    """LINKTYPE_LINUX_SLL2: protocol, reserved, interface index, hardware type, packet type, address length, address."""
    return struct.pack(">HHIHBB8s", protocol, 0, 2, hardware, 0, len(address), address) + payload


CASES = {
    "raw IPv4": (101, IPV4, synthetic(0x0800, IPV4)),
    "raw IPv6": (101, IPV6, synthetic(0x86DD, IPV6)),
    "raw of another version": (101, b"\x50abc", synthetic(UNKNOWN, b"\x50abc")),
    "raw, empty": (101, b"", synthetic(UNKNOWN, b"")),
    "raw, as most systems number it": (12, IPV4, synthetic(0x0800, IPV4)),
    "raw, as OpenBSD numbers it": (14, IPV6, synthetic(0x86DD, IPV6)),
    "IPV4": (228, IPV4, synthetic(0x0800, IPV4)),
    "IPV6": (229, IPV6, synthetic(0x86DD, IPV6)),
    "loopback, IPX": (0, struct.pack("<I", 23) + b"ipx", synthetic(UNKNOWN, b"ipx")),
    "loopback, cut in its header": (0, b"\2\0\0", synthetic(UNKNOWN, b"")),
    "loopback, nothing but its header": (0, b"\2\0\0\0", synthetic(0x0800, b"")),
    "cooked IPv4": (113, sll(0x0800, IPV4), synthetic(0x0800, IPV4, MAC)),
    "cooked IPv6": (113, sll(0x86DD, IPV6), synthetic(0x86DD, IPV6, MAC)),
    "cooked VLAN": (113, sll(0x8100, b"\0\7\x08\0" + IPV4), synthetic(0x8100, b"\0\7\x08\0" + IPV4, MAC)),
    "cooked ARP": (113, sll(0x0806, b"arp"), synthetic(0x0806, b"arp", MAC)),
    "cooked from a tunnel, with no address": (113, sll(0x0800, IPV4, 65534, b""), synthetic(0x0800, IPV4)),
    "cooked with an address of another length": (113, sll(0x0800, IPV4, 32, b"12345678"), synthetic(0x0800, IPV4)),
    "cooked LLC": (113, sll(4, b"\x42\x42\x03" + bytes(30)), synthetic(33, b"\x42\x42\x03" + bytes(30), MAC)),
    "cooked 802.3": (113, sll(1, b"\xff\xff" + bytes(28)), synthetic(30, b"\xff\xff" + bytes(28), MAC)),
    "cooked LLC above 1500": (113, sll(4, bytes(1600)), synthetic(1500, bytes(1600), MAC)),
    "cooked CAN": (113, sll(12, b"can"), synthetic(UNKNOWN, b"can", MAC)),
    "cooked netlink": (113, sll(0x0800, b"netlink", 824, b""), synthetic(UNKNOWN, b"netlink")),
    "cooked, cut in its header": (113, sll(0x0800, b"")[:15], synthetic(UNKNOWN, b"")),
    "cooked v2 IPv4": (276, sll2(0x0800, IPV4), synthetic(0x0800, IPV4, MAC)),
    "cooked v2 IPv6": (276, sll2(0x86DD, IPV6), synthetic(0x86DD, IPV6, MAC)),
    "cooked v2 LLC": (276, sll2(4, b"\x42\x42\x03"), synthetic(3, b"\x42\x42\x03", MAC)),
    "cooked v2, cut in its header": (276, sll2(0x0800, b"")[:19], synthetic(UNKNOWN, b"")),
    "Ethernet": (1, ethernet(IPV4), ethernet(IPV4)),
}
for order, family in itertools.product((LITTLE, BIG), (10, 24, 28, 30)):
    name = f"loopback, IPv6 as {family}, {order}"
    CASES[name] = (0, struct.pack(f"{order}I", family) + IPV6, synthetic(0x86DD, IPV6))
for order, link in itertools.product((LITTLE, BIG), (0, 108)):
    CASES[f"loopback {link}, IPv4, {order}"] = (link, struct.pack(f"{order}I", 2) + IPV4, synthetic(0x0800, IPV4))


@pytest.mark.parametrize("name", CASES)
def test_synthetic_headers(tmp_path: Path, name: str) -> None:
    """The same frame by every way into the reader, twice in a row: a header never damages its neighbours."""
    link, record, expected = CASES[name]
    files = [
        pcap([Record(record), Record(record)], link=link),
        pcap([Record(record), Record(record)], BIG, nano=True, link=link),
        pcapng([Record(record), Record(record)], link=link),
        section() + interface(link) + simple(record) + simple(record),
        section() + interface(link) + obsolete(record, 1) + enhanced(record, 2),
    ]
    for data in files:
        path = tmp_path / "a"
        path.write_bytes(data)
        read = list(frames(str(path)))
        assert [frame for frame, _, _ in read] == [expected] * 2
        assert {wire for _, wire, _ in read} == {len(record)}


def test_a_simple_block_behind_others(tmp_path: Path) -> None:
    """It has only 12 bytes in front of its frame: the frame before it must not lose any to the synthetic header."""
    last = bytes(range(1, 9))
    data = section() + interface(101) + simple(IPV4) + simple(last) + simple(IPV4) + enhanced(last, 0) + simple(IPV6)
    path = tmp_path / "a.pcapng"
    path.write_bytes(data)
    assert [frame[14:] for frame, _, _ in frames(str(path))] == [IPV4, last, IPV4, last, IPV6]


FIELDS = (
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "ip.proto",
    "tcp.seq_raw",
    "udp.length",
    "tcp.dstport",
    "udp.srcport",
)


def dissected(path: Path) -> list[str]:
    command = ["tshark", "-n", "-r", str(path), "-o", "ip.defragment:FALSE", "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()


@pytest.mark.needs("tshark", "captures")
@pytest.mark.parametrize("name", ["nats.pcap", "ocs.pcap", "quickplay.pcap", "pfcp.pcapng", "pgsql2.pcapng"])
def test_tshark_sees_no_difference(captures: Path, tmp_path: Path, name: str) -> None:
    """Real captures of other link types, and the Ethernet frames that we make of them."""
    made = tmp_path / "made.pcap"
    with made.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=dpkt.pcap.DLT_EN10MB, snaplen=262144)
        for frame, _, ns in frames(str(captures / name)):
            writer.writepkt_time(frame, ns / 1e9)
    assert dissected(made) == dissected(captures / name)


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("link", [276, 0, 108])
def test_tshark_agrees_on_what_we_build(tmp_path: Path, link: int) -> None:
    """The headers that the cases above are built from are what the link types are."""
    family = {276: lambda ip, v6: sll2(0x86DD if v6 else 0x0800, ip), 0: None, 108: None}[link]
    records = []
    for v6, ip in ((False, IPV4), (True, IPV6)):
        header = family(ip, v6) if family else struct.pack(">I" if link == 108 else "<I", 30 if v6 else 2) + ip
        records.append(Record(header))
    path, made = tmp_path / "a.pcap", tmp_path / "made.pcap"
    path.write_bytes(pcap(records, link=link))
    made.write_bytes(pcap([Record(frame) for frame, _, _ in frames(str(path))]))
    assert dissected(made) == dissected(path)
    assert "10.0.0.1" in dissected(path)[0]


def test_names_are_those_of_libpcap() -> None:
    library = ctypes.util.find_library("pcap")
    if library is None:
        pytest.skip("libpcap is not installed")
    name_of = ctypes.CDLL(library).pcap_datalink_val_to_name
    name_of.restype = ctypes.c_char_p
    # Where a DLT_ and a LINKTYPE_ of one number differ in name, tcpdump.org's list of LINKTYPE_ values is right; it calls
    # 209 by what libpcap 1.10.6 calls it, and older ones do not.
    renamed = {
        "EN3MB": "EXP_ETHERNET", "IPMB_LINUX": "I2C_LINUX",
        "EN10MB": "ETHERNET", "IEEE802": "IEEE802_5", "ARCNET": "ARCNET_BSD", "PPP_SERIAL": "PPP_HDLC",
        "PRISM_HEADER": "IEEE802_11_PRISM", "AIRONET_HEADER": "IEEE802_11_AIRONET",
        "IEEE802_11_RADIO": "IEEE802_11_RADIOTAP", "IEEE802_11_RADIO_AVS": "IEEE802_11_AVS", "IEEE802_15_4": "IEEE802_15_4_WITHFCS",
    }  # fmt: skip
    known = {number: name_of(number) for number in [*range(12), *range(104, 300)]}
    theirs = {number: name.decode() for number, name in known.items() if name and number != 11}
    assert len(theirs) > 100
    assert {number: NAMES[number] for number in theirs} == {n: renamed.get(name, name) for n, name in theirs.items()}


ODD = {220: "USB_LINUX_MMAPPED", 147: "USER0", 195: "IEEE802_15_4_WITHFCS", 65535: "unknown"}


@pytest.mark.parametrize("link", ODD)
def test_a_pcap_of_another_link_type_is_refused_by_name(tmp_path: Path, link: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(pcap([Record(b"x" * 60)], link=link))
    with pytest.raises(LinkTypeError) as caught:
        list(frames(str(path)))
    assert str(caught.value).startswith(f"link type {ODD[link]} ({link}) of {path} cannot be replayed: ")


@pytest.mark.parametrize("link", ODD)
def test_a_pcapng_of_nothing_else_is_refused_at_its_end(tmp_path: Path, link: int) -> None:
    """Until then another interface could come."""
    path = tmp_path / "a"
    path.write_bytes(pcapng([Record(b"x" * 60)], link=link))
    with contextlib.closing(CaptureReader(str(path))) as reader:
        assert reader.read() == 1
        with pytest.raises(LinkTypeError, match=rf"{ODD[link]} \({link}\).*its records were counted, 1 in all"):
            reader.read()


def test_every_number_is_refused_or_framed() -> None:
    assert set(FRAMINGS) == {
        0, 1, 9, 12, 14, 50, 51, 100, 101, 104, 105, 107, 108, 109, 113, 117, 119, 122, 127, 138, 149, 163, 166, 192, 204,
        205, 206, 219, 226, 228, 229, 239, 240, 258, 276,
    }  # fmt: skip


def test_an_interface_that_brings_nothing_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(section() + interface(220) + interface(1) + enhanced(b"x" * 60, 0, number=1) + interface(105))
    assert len(list(frames(str(path)))) == 1


def test_records_of_other_link_types_are_counted_beside_the_rest(tmp_path: Path) -> None:
    """In front, between and behind, over two sections whose interfaces have the same numbers."""
    path = tmp_path / "a.pcapng"
    usb = b"".join(enhanced(b"u" * 60, 0, number=0) for _ in range(3))
    first = section() + interface(220) + usb + interface(1) + enhanced(ethernet(IPV4), 0, number=1) + usb
    second = section(BIG) + interface(101, 0, BIG) + enhanced(IPV4, 0, BIG) + interface(195, 0, BIG)
    path.write_bytes(first + second + obsolete(b"z" * 60, 0, BIG, number=1))
    with contextlib.closing(CaptureReader(str(path))) as reader:
        assert sum(iter(reader.read, 0)) == 9
        assert dict(reader.odd_records()) == {220: 6, 195: 1}
    odd = synthetic(UNKNOWN, b"u" * 60)
    read = [frame for frame, _, _ in frames(str(path))]
    assert read[:8] == [odd] * 3 + [ethernet(IPV4)] + [odd] * 3 + [synthetic(0x0800, IPV4)]
    assert read[8:] == [synthetic(UNKNOWN, b"z" * 60)]
