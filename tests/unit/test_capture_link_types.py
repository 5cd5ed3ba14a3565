"""Link types beside Ethernet: the IP in each as tshark finds it, and nothing where there is none to be found."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.dot11 import Dot11, Dot11Beacon, Dot11CCMP, Dot11QoS, RadioTap
from scapy.layers.inet import IP, UDP

from tests.kit.capture_build import BIG, LITTLE, Record, enhanced, interface, pcap, section, udp4
from zcframe.framework.sources.capture import frames

MACS = {"addr1": "02:00:00:00:00:01", "addr2": "02:00:00:00:00:02", "addr3": "02:00:00:00:00:03"}
# Flags of an 802.11 header.
TO_DS, FROM_DS, PROTECTED = 1, 2, 0x40
ZERO = bytes(6)
UNKNOWN = b"\xff\xff"
Case = tuple[str, int, bytes]


def ipv4(number: int) -> bytes:
    return udp4(0x0A000000 + number, 0xC0000200 + number, 1024 + number, 53, b"payload!")


def ipv6(number: int) -> bytes:
    addresses = (bytes.fromhex("20010db8") + struct.pack(">QI", side, number) for side in (1, 2))
    return struct.pack(">IHBB", 6 << 28, 12, 17, 64) + b"".join(addresses) + struct.pack(">HHHHI", number, 53, 12, 0, 7)


def snap(packet: bytes, ethertype: int = 0x0800, oui: bytes = b"\0\0\0") -> bytes:
    return b"\xaa\xaa\x03" + oui + struct.pack(">H", ethertype) + packet


def nflog(packet: bytes, family: int, order: str = LITTLE, *, hook: bool = True) -> bytes:
    """Attributes as nflog sends them: the packet's header, a prefix of odd length, the payload, a timestamp."""

    def attribute(kind: int, value: bytes) -> bytes:
        return struct.pack(f"{order}HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)

    protocol = attribute(1, struct.pack(">HBB", 0x0800 if packet[0] >> 4 == 4 else 0x86DD, 1, 0)) if hook else b""
    tail = attribute(3, struct.pack(">QQ", 1, 2))
    return bytes([family, 0, 0, 30]) + protocol + attribute(10, b"odd\0") + attribute(9, packet) + tail


def pktap(dlt: int, frame: bytes) -> bytes:
    """As xnu's struct pktap_header: 156 bytes, little-endian."""
    head = struct.pack("<III24sIIIIi20s", 156, 1, dlt, b"en0", 1, 2, 14, 0, 1, b"curl")
    return head + bytes(156 - len(head)) + frame


def pflog(packet: bytes, family: int, size: int = 61) -> bytes:
    head = struct.pack(">BBBB16s", size, family, 0, 0, b"em0")
    return head + bytes((size + 3 & ~3) - len(head)) + packet


def radio(packet: bytes, flags: int = 0, words: int = 1) -> bytes:
    """Radiotap with time and flags, its bit map in so many words, around a QoS frame of 26 bytes."""
    more = 0x80000000 if words > 1 else 0
    present = struct.pack("<I", 0x3 | more) + b"".join(
        struct.pack("<I", 0x80000000 if i < words - 2 else 0) for i in range(words - 1)
    )
    fields = bytes(-(4 + len(present)) % 8) + struct.pack("<QB", 7, flags)
    head = struct.pack("<BBH", 0, 0, 4 + len(present) + len(fields)) + present + fields
    frame = bytes(Dot11(type=2, subtype=8, FCfield=FROM_DS, **MACS) / Dot11QoS())
    return head + frame + (bytes(2) if flags & 0x20 else b"") + snap(packet)


def wifi(packet: bytes, fields: int, subtype: int = 0, **more: object) -> bytes:
    head = Dot11(type=2, subtype=subtype, FCfield=fields, addr4="02:00:00:00:00:04", **MACS, **more)
    return bytes(head / Dot11QoS() if subtype == 8 else head) + snap(packet)


def aggregate(packet: bytes) -> bytes:
    head = bytes(Dot11(type=2, subtype=8, FCfield=TO_DS, **MACS) / Dot11QoS(A_MSDU_Present=1))
    part = snap(packet)
    return head + b"\x02" * 6 + b"\x04" * 6 + struct.pack(">H", len(part)) + part


def ethernet(packet: bytes) -> bytes:
    return bytes.fromhex("02000000000a02000000000b0800") + packet


def with_ip() -> Iterator[Case]:
    """(what it is, link type, record) of every header that IP is read from, each with addresses of its own."""
    number = iter(range(1, 200))

    def v4() -> bytes:
        return ipv4(next(number))

    def v6() -> bytes:
        return ipv6(next(number))

    yield "PPP", 9, b"\x00\x21" + v4()
    yield "PPP in HDLC framing", 9, b"\xff\x03\x00\x57" + v6()
    yield "PPP with a compressed protocol", 9, b"\x21" + v4()
    yield "PPP_HDLC", 50, b"\xff\x03\x00\x21" + v4()
    yield "PPP_HDLC, Cisco", 50, b"\x0f\x00\x08\x00" + v4()
    yield "PPP_WITH_DIR, sent", 204, b"\x01\xff\x03\x00\x21" + v4()
    yield "PPP_WITH_DIR, received, without framing", 204, b"\x00\x00\x57" + v6()
    yield "C_HDLC", 104, b"\x0f\x00\x08\x00" + v4()
    yield "C_HDLC, multicast", 104, b"\x8f\x00\x86\xdd" + v6()
    yield "FRELAY", 107, b"\x18\x41\x03\xcc" + v4()
    yield "FRELAY, padded SNAP", 107, b"\x18\x41\x03\x00\x80\x00\x00\x00\x08\x00" + v4()
    yield "FRELAY, IPv6", 107, b"\x18\x41\x03\x8e" + v6()
    yield "ATM_RFC1483", 100, snap(v4())
    yield "IP_OVER_FC", 122, bytes(16) + snap(v4())
    yield "FIREWIRE", 138, b"\1" * 8 + b"\2" * 8 + b"\x08\x00" + v4()
    yield "ENC", 109, struct.pack("<III", 2, 0x11223344, 0x800) + v4()
    yield "ENC, big-endian, IPv6", 109, struct.pack(">III", 24, 0x11223344, 0x800) + v6()
    yield "PFLOG", 117, pflog(v4(), 2)
    yield "PFLOG, IPv6, a longer header", 117, pflog(v6(), 24, 69)
    yield "NFLOG", 239, nflog(v4(), 2)
    yield "NFLOG, IPv6", 239, nflog(v6(), 10, hook=False)
    yield "PKTAP, Ethernet", 258, pktap(1, ethernet(v4()))
    yield "PKTAP, raw", 258, pktap(12, v4())
    yield "PKTAP, null", 258, pktap(0, struct.pack("<I", 30) + v6())
    yield "NULL", 0, struct.pack("<I", 2) + v4()
    yield "LOOP", 108, struct.pack(">I", 28) + v6()
    yield "802.11", 105, wifi(v4(), FROM_DS)
    yield "802.11, QoS to the access point", 105, wifi(v4(), TO_DS, 8)
    yield "802.11, ad hoc", 105, wifi(v4(), 0)
    yield "802.11, four addresses", 105, wifi(v4(), TO_DS | FROM_DS)
    yield "802.11, four addresses, QoS", 105, wifi(v4(), TO_DS | FROM_DS, 8)
    yield "802.11, aggregate", 105, aggregate(v4())
    yield "802.11, IPv6 by 802.1H", 105, wifi(b"", FROM_DS)[:24] + snap(v6(), 0x86DD, b"\0\0\xf8")
    yield "radiotap", 127, radio(v4())
    yield "radiotap, padded", 127, radio(v4(), 0x20)
    yield "radiotap, three words", 127, radio(v4(), 0x20, words=3)
    yield "radiotap by scapy", 127, bytes(RadioTap()) + wifi(v4(), FROM_DS)
    yield "PPI", 192, struct.pack("<BBHI", 0, 0, 8, 105) + wifi(v4(), FROM_DS)
    yield "AVS", 163, struct.pack(">II", 0x80211001, 64) + bytes(56) + wifi(v4(), FROM_DS)
    yield "Prism", 119, struct.pack("<II16s", 0x44, 144, b"wlan0") + bytes(120) + wifi(v4(), FROM_DS)


CASES = list(with_ip())
FIELDS = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.length")


def dissected(path: Path) -> list[str]:
    command = ["tshark", "-n", "-r", str(path), "-o", "wlan.defragment:FALSE", "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()


def write_together(path: Path, cases: list[Case]) -> None:
    """One pcapng with an interface for each case."""
    head = section() + b"".join(interface(link) for _, link, _ in cases)
    path.write_bytes(head + b"".join(enhanced(record, i, number=i) for i, (_, _, record) in enumerate(cases)))


@pytest.mark.needs("tshark")
def test_the_ip_in_each_is_what_tshark_finds(tmp_path: Path) -> None:
    path, made = tmp_path / "a.pcapng", tmp_path / "made.pcap"
    write_together(path, CASES)
    made.write_bytes(pcap([Record(frame) for frame, _, _ in frames(str(path))]))
    theirs, ours = dissected(path), dissected(made)
    assert len(theirs) == len(ours) == len(CASES)
    wrong = [(name, a, b) for (name, _, _), a, b in zip(CASES, theirs, ours, strict=True) if a != b]
    assert not wrong
    assert [name for (name, _, _), fields in zip(CASES, theirs, strict=True) if "53" not in fields.split("\t")] == []


@pytest.mark.needs("tshark")
def test_addresses_of_wireless_frames_are_those_that_tshark_names(tmp_path: Path) -> None:
    cases = [case for case in CASES if case[1] in (105, 127, 192) and "aggregate" not in case[0]]
    path = tmp_path / "a.pcapng"
    write_together(path, cases)
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "wlan.da", "-e", "wlan.sa"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    assert listed == [f"{frame[:6].hex(':')}\t{frame[6:12].hex(':')}" for frame, _, _ in frames(str(path))]


ENCRYPTED = bytes(Dot11(type=2, FCfield=FROM_DS | PROTECTED, **MACS) / Dot11CCMP()) + b"secret" * 8
WITHOUT_IP: list[Case] = [
    ("PPP, LCP", 9, b"\xff\x03\xc0\x21" + bytes(20)),
    ("PPP, nothing", 9, b""),
    ("PPP, half a protocol", 50, b"\xff\x03\x00"),
    ("Cisco keepalive", 104, b"\x8f\x00\x00\x01"),
    ("frame relay without an end of its address", 107, b"\x18\x40\x40\x40" + bytes(8)),
    ("frame relay, LMI", 107, b"\x00\x01\x03\x09" + bytes(8)),
    ("LLC, cut", 100, b"\xaa\xaa"),
    ("enc, cut", 109, struct.pack("<II", 2, 1)),
    ("pflog, longer than its record", 117, b"\xf0\x02" + bytes(60)),
    ("ipnet, cut", 226, b"\x01\x02" + bytes(10)),
    ("FireWire, cut", 138, bytes(17)),
    ("NFLOG of another version", 239, b"\x02\x01\0\0" + nflog(ipv4(1), 2)[4:]),
    ("NFLOG without payload", 239, nflog(ipv4(1), 2)[:20]),
    ("NFLOG, attribute of no length", 239, b"\2\0\0\0" + bytes(40)),
    ("PKTAP of a link type that is not read", 258, pktap(220, bytes(64))),
    ("PKTAP in PKTAP in PKTAP in PKTAP", 258, pktap(258, pktap(258, pktap(258, pktap(258, bytes(60)))))),
    ("PKTAP, longer than its record", 258, struct.pack("<III", 400, 1, 1) + bytes(90)),
    ("USER2 that is no PKTAP", 149, b"something of their own, in 40 bytes....."),
    ("802.11, encrypted", 105, ENCRYPTED),
    ("802.11, no data", 105, bytes(Dot11(type=2, subtype=4, **MACS))),
    ("802.11, beacon", 105, bytes(Dot11(type=0, subtype=8, **MACS) / Dot11Beacon())),
    ("802.11, acknowledgement", 105, bytes.fromhex("d40000000200000000010000")),
    ("802.11, later fragment", 105, wifi(ipv4(1), FROM_DS, SC=1)),
    ("802.11, cut in its header", 105, wifi(ipv4(1), TO_DS | FROM_DS)[:28]),
    ("radiotap, longer than its record", 127, b"\0\0\xff\0\0\0\0\0" + bytes(20)),
    ("radiotap, shorter than its header", 127, b"\0\0\4\0\0\0\0\0" + bytes(20)),
    ("radiotap of another version", 127, b"\1" + radio(ipv4(1))[1:]),
    ("PPI, cut", 192, b"\0\0\x08\0"),
    ("AVS, longer than its record", 163, struct.pack(">II", 0x80211001, 1 << 31) + bytes(60)),
    ("Prism, cut", 119, bytes(143)),
    ("a direction without a frame", 204, b"\1"),
    ("nothing at all", 205, b""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "link", "record"), WITHOUT_IP)
def test_what_has_no_ip_is_counted_and_has_no_ethertype(tmp_path: Path, name: str, link: int, record: bytes) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Record(record), Record(record)], link=link))
    read = list(frames(str(path)))
    assert [wire for _, wire, _ in read] == [len(record)] * 2
    assert {frame[12:14] for frame, _, _ in read} == {UNKNOWN}


BY_TCPDUMP = {
    "IPNET": (226, struct.pack(">BBHIIIII", 1, 2, 0, 36, 1, 2, 0, 0) + ipv4(1)),
    "IPNET, IPv6": (226, struct.pack(">BBHIIIII", 1, 26, 0, 52, 1, 2, 0, 0) + ipv6(1)),
    "NETANALYZER": (240, bytes(4) + ethernet(ipv4(1))),
}


@pytest.mark.needs("tcpdump")
@pytest.mark.parametrize("name", BY_TCPDUMP)
def test_the_ip_in_others_is_what_tcpdump_finds(tmp_path: Path, name: str) -> None:
    """Of these, tshark 4.0 finds none in a pcapng."""
    link, record = BY_TCPDUMP[name]
    path, made = tmp_path / "theirs.pcap", tmp_path / "made.pcap"
    path.write_bytes(pcap([Record(record)], link=link))
    made.write_bytes(pcap([Record(frame) for frame, _, _ in frames(str(path))]))
    theirs, ours = (
        subprocess.run(["tcpdump", "-ntr", str(file)], capture_output=True, text=True, check=True).stdout
        for file in (path, made)
    )
    assert theirs == ours
    assert theirs.startswith("IP")


@pytest.mark.parametrize(("link", "head"), [(205, b"\1\x0f\0\x08\0"), (206, b"\0\x18\x41\x03\xcc")])
def test_a_direction_in_front(tmp_path: Path, link: int, head: bytes) -> None:
    """C_HDLC_WITH_DIR and FRELAY_WITH_DIR as tcpdump.org describes them; neither program reads them."""
    assert one(tmp_path, link, head + ipv4(1))[12:] == b"\x08\0" + ipv4(1)


def one(tmp_path: Path, link: int, record: bytes, order: str = LITTLE) -> bytes:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Record(record)], order, link=link))
    ((frame, _, _),) = frames(str(path))
    return frame


def test_payload_behind_other_attributes_is_cut_to_its_length(tmp_path: Path) -> None:
    """NFLOG in both byte orders; of an unknown family, by the ethertype that its hook noted."""
    for order in (LITTLE, BIG):
        assert one(tmp_path, 239, nflog(ipv4(1), 2, order), order) == ZERO * 2 + b"\x08\x00" + ipv4(1)
        assert one(tmp_path, 239, nflog(ipv6(1), 7, order), order) == ZERO * 2 + b"\x86\xdd" + ipv6(1)
    assert one(tmp_path, 239, nflog(ipv4(1), 7, hook=False))[12:14] == UNKNOWN


def test_apples_older_number_of_pktap(tmp_path: Path) -> None:
    assert one(tmp_path, 149, pktap(1, ethernet(ipv4(1)))) == ethernet(ipv4(1))
    assert one(tmp_path, 258, pktap(127, radio(ipv4(1))))[12:] == b"\x08\x00" + ipv4(1)


def test_headers_that_the_decoder_reads_itself(tmp_path: Path) -> None:
    """MPLS and PPPoE stay in the frame, behind their ethertype; so does LLC, behind its length."""
    label, session = bytes.fromhex("00064140"), bytes.fromhex("1100000100280021")
    assert one(tmp_path, 219, label + ipv4(1)) == ZERO * 2 + b"\x88\x47" + label + ipv4(1)
    assert one(tmp_path, 51, session + ipv4(1)) == ZERO * 2 + b"\x88\x64" + session + ipv4(1)
    assert one(tmp_path, 9, b"\x02\x81" + label + ipv4(1)) == ZERO * 2 + b"\x88\x47" + label + ipv4(1)
    assert one(tmp_path, 166, b"\x01\x03\x00\x21" + ipv4(1)) == ZERO * 2 + b"\x08\x00" + ipv4(1)
    spanning = b"\x42\x42\x03" + bytes(35)
    assert one(tmp_path, 100, spanning) == ZERO * 2 + b"\x00\x26" + spanning


# --- Kuznetzov's patched libpcap


def patched(records: list[Record], order: str, link: int = 1) -> bytes:
    """Magic a1b2cd34; a record's header goes on with interface, protocol, packet type and a byte of padding."""
    body = b"".join(
        struct.pack(f"{order}IIIIIHBB", r.ns // 10**9, r.ns % 10**9 // 1000, len(r.data), r.wire_length, 2, 8, 0, 0)
        + r.data
        for r in records
    )
    return struct.pack(f"{order}IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, link) + body


@pytest.mark.parametrize("order", [LITTLE, BIG])
@pytest.mark.parametrize("link", [1, 101])
def test_a_patched_pcap(tmp_path: Path, order: str, link: int) -> None:
    records = [Record(ethernet(ipv4(i))[14 * (link == 101) :], 1_700_000_000 * 10**9 + i * 1000, 99) for i in range(9)]
    path = tmp_path / "a.pcap"
    path.write_bytes(patched(records, order, link))
    read = [(frame[14:], wire, ns) for frame, wire, ns in frames(str(path))]
    assert read == [(ipv4(i), 99, record.ns) for i, record in enumerate(records)]


@pytest.mark.needs("tshark", "tcpdump")
def test_a_patched_pcap_as_editcap_writes_it_and_tcpdump_reads_it(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.pcap", tmp_path / "a.pcap"
    plain.write_bytes(pcap([Record(bytes(IP(dst="192.0.2.1") / UDP() / bytes(i))) for i in range(9)], link=101))
    subprocess.run(["editcap", "-F", "modpcap", str(plain), str(path)], check=True)
    assert path.read_bytes()[:4] == b"\x34\xcd\xb2\xa1"
    assert list(frames(str(path))) == list(frames(str(plain)))
    listed = subprocess.run(["tcpdump", "-nr", str(path)], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == 9
