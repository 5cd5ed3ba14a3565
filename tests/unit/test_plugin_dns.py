"""Dns against tshark on real captures, against scapy on made ones, and on streams cut into segments."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scapy.compat import raw
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.kit.places import BUNDLED
from tests.kit.rig import Rig, bound, read_capture, run
from zcframe.framework.state.merge import merge_states
from zcframe.plugins.dns import RCODES, TYPES, Dns

REAL = [
    "bad-dns-traffic.pcap", "bt-dns.pcap", "dns-exf.pcap", "dns_ambiguous_names.pcap",
    "dns_exfiltration.pcap", "dns_invert_query.pcapng", "dns_long_domainname.pcap", "netbios_wildcard_dns_query.pcap",
]  # fmt: skip

# One set of parameters for several tests: each set is compiled for itself.
SMALL = {"capacity": 2048, "letters_room": 32, "mdns": True}

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
CLIENT, SERVER = "10.0.0.1", "10.0.0.53"


def by_tshark(path: Path) -> dict[str, Any]:
    """Queries, responses, names, types and codes of the messages on port 53 that are not in an ICMP error."""
    wanted = "dns && !icmp && !icmpv6 && (udp.port == 53 || tcp.port == 53)"
    fields = ["dns.flags.response", "dns.flags.rcode", "dns.qry.name", "dns.qry.type"]
    shown = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-r", str(path), "-Y", wanted, "-T", "fields", "-E", "aggregator=|", *shown]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[str, Any] = {"queries": 0, "responses": 0, "names": Counter(), "types": Counter(), "rcodes": Counter()}
    for line in lines:
        responses, rcodes, names, types = (cell.split("|") if cell else [] for cell in line.split("\t"))
        found["responses"] += sum(flag in ("1", "True") for flag in responses)
        found["queries"] += sum(flag in ("0", "False") for flag in responses)
        found["rcodes"].update(RCODES[int(code)] for code in rcodes)
        found["names"].update(name.lower().replace("<root>", ".") for name in names)
        if not rcodes:
            found["types"].update(TYPES[int(number)] for number in types)
    return found


def by_plugin(rig: Rig) -> dict[str, Any]:
    report = rig.report("dns")
    names = Counter({row["name"]: row["queries"] + row["responses"] for row in report["names"]})
    assert report["count"] == len(names)
    assert report["malformed"] == report["cut"] == report["lost"] == 0
    counted = {"names": names, "types": Counter(report["types"]), "rcodes": Counter(report["rcodes"])}
    return {"queries": report["queries"], "responses": report["responses"], **counted}


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("queues", [1, 4])
def test_bundled_trace(queues: int) -> None:
    expected = by_tshark(BUNDLED)
    assert expected["queries"] > 400
    with run([bound("dns", queues, top=100_000)], read_capture(BUNDLED), queues=queues) as rig:
        assert by_plugin(rig) == expected


@pytest.mark.needs("tshark", "captures")
@pytest.mark.parametrize("name", REAL)
def test_real_captures(captures: Path, name: str) -> None:
    with run([bound("dns", top=100_000)], read_capture(captures / name)) as rig:
        assert by_plugin(rig) == by_tshark(captures / name)


@pytest.mark.needs("captures")
def test_a_name_that_is_too_long_is_malformed(captures: Path) -> None:
    """tshark shows "<Name too long>" for the name of all four responses."""
    with run(["dns"], read_capture(captures / "malformed_dns.pcap")) as rig:
        report = rig.report("dns")
    assert (report["queries"], report["responses"], report["malformed"]) == (2, 0, 4)


def datagram(message: bytes, sport: int = 4000, dport: int = 53) -> bytes:
    return raw(ether / IP(src=CLIENT, dst=SERVER) / UDP(sport=sport, dport=dport) / message)


def query(name: str, qtype: str | int = "A") -> bytes:
    return raw(DNS(rd=1, qd=DNSQR(qname=name, qtype=qtype)))


def report_of(frames: Sequence[bytes], **params: Any) -> dict[str, Any]:
    with run([bound("dns", **params)], frames) as rig:
        assert rig.ledger()["faulted"]["dns"] == 0
        return rig.report("dns")


def test_queries_and_responses_of_one_name() -> None:
    question = DNSQR(qname="WWW.Example.org", qtype="AAAA")
    frames = [
        datagram(raw(DNS(qd=question))),
        datagram(raw(DNS(qd=DNSQR(qname="www.example.ORG", qtype="AAAA")))),
        datagram(raw(DNS(qr=1, qd=question, an=DNSRR(rrname="www.example.org", type="A", rdata="1.2.3.4"))), 53, 4000),
        datagram(raw(DNS(qr=1, rcode=3, qd=question)), 53, 4000),
        datagram(raw(DNS(qr=1, rcode=15, qd=question)), 53, 4000),
    ]
    report = report_of(frames)
    assert report["names"] == [{"name": "www.example.org", "queries": 2, "responses": 3, "failures": 2}]
    assert report["types"] == {"AAAA": 2}
    assert report["rcodes"] == {"NOERROR": 1, "NXDOMAIN": 1, "RCODE15": 1}
    assert Dns.lines(report) == [
        "2 queries, 3 responses, 0 malformed",
        "types  AAAA 2",
        "codes  NOERROR 1  NXDOMAIN 1  RCODE15 1",
        "names  www.example.org 5",
    ]


def wire(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def message(questions: bytes, count: int = 1, flags: int = 0x0100) -> bytes:
    return b"\x12\x34" + flags.to_bytes(2) + count.to_bytes(2) + bytes(6) + questions


IN_A = b"\0\1\0\1"
LONGEST = wire(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"\0", "."),
        (wire(b"a"), "a"),
        (wire(b"_sip", b"_udp", b"x-y", b"org"), "_sip._udp.x-y.org"),
        (wire(b"a.b", b"c\\d"), "a\\.b.c\\\\d"),
        (wire(b"\x00\xff ", b"\xc3\xbc"), "\\000\\255\\032.\\195\\188"),
        (wire(b"sevenby", b""[:0] + b"eight888"), "sevenby.eight888"),
        (LONGEST, ".".join(letter * n for letter, n in (("a", 63), ("b", 63), ("c", 63), ("d", 61)))),
    ],
)
def test_names_are_held_whole(name: bytes, text: str) -> None:
    assert [row["name"] for row in report_of([datagram(message(name + IN_A))])["names"]] == [text]


def test_the_longest_name_has_253_letters() -> None:
    assert len(LONGEST) == 255
    assert len(report_of([datagram(message(LONGEST + IN_A))])["names"][0]["name"]) == 253


def test_pointers_lead_backwards() -> None:
    """The second question's name is a label and a pointer to the second label of the first."""
    first = wire(b"www", b"example", b"org")
    second = b"\x04mail\xc0" + bytes([12 + 4])
    report = report_of([datagram(message(first + IN_A + second + IN_A, 2))])
    assert {row["name"] for row in report["names"]} == {"www.example.org", "mail.example.org"}
    assert report["queries"] == 1
    assert report["types"] == {"A": 2}


MALFORMED = {
    "no header": b"\x12\x34\x01\x00\x00",
    "no question": message(b""),
    "no type": message(wire(b"a", b"org")),
    "name without end": message(b"\x03www\x07exam"),
    "pointer to itself": message(b"\xc0\x0c" + IN_A),
    "pointer forward": message(b"\xc0\x20" + IN_A + wire(b"org") * 5),
    "pointer into the header": message(b"\x01a\xc0\x04" + IN_A),
    "pointer cut in two": message(b"\x01a\xc0"),
    "two pointers at each other": message(b"\x01a\xc0\x10\xc0\x0e" + IN_A),
    "label type 01": message(b"\x41" + b"a" * 65 + b"\0" + IN_A),
    "name of 256": message(wire(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 62) + IN_A),
    "second question missing": message(wire(b"a") + IN_A, 2),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_messages_are_counted_as_such(name: str) -> None:
    report = report_of([datagram(MALFORMED[name])])
    assert (report["queries"], report["responses"], report["malformed"], report["cut"]) == (0, 0, 1, 0)


def test_truncation_at_every_length_never_faults() -> None:
    whole = message(wire(b"www", b"example", b"org") + IN_A)
    frames = [datagram(whole[:length]) for length in range(len(whole))]
    report = report_of(frames)
    # Without payload there is no message.
    assert report["malformed"] == len(whole) - 1
    assert report["queries"] == 0


def test_a_question_that_the_capture_lacks_is_cut() -> None:
    frame = datagram(query("a-long-name.example.org"))
    first_fragment = raw(ether / IP(src=CLIENT, dst=SERVER, flags="MF") / UDP(dport=53) / query("www.example.org")[:20])
    short = [(frame[:60], len(frame))]
    with Rig("dns") as rig:
        rig.feed([rig_frame(data, wire) for data, wire in short])
        rig.feed([first_fragment])
        report = rig.report("dns")
    assert (report["queries"], report["malformed"], report["cut"]) == (0, 0, 2)


def rig_frame(data: bytes, length: int) -> Any:
    from tests.kit.rig import FIRST_NS, Frame

    return Frame(data, FIRST_NS, length)


def test_unknown_types_have_a_name() -> None:
    frames = [datagram(query("x", qtype)) for qtype in (4, 65, 99, 262, 65280, 65535)]
    assert report_of(frames)["types"] == {"OTHER": 2, "TYPE4": 1, "HTTPS": 1, "SPF": 1, "TYPE262": 1}


def test_multicast_dns_is_read_when_asked_for() -> None:
    frames = [datagram(query("printer.local"), 5353, 5353), datagram(query("example.org"))]
    assert [row["name"] for row in report_of(frames)["names"]] == ["example.org"]
    assert {row["name"] for row in report_of(frames, **SMALL)["names"]} == {"example.org", "printer.local"}


def test_names_without_room_are_counted_as_lost() -> None:
    """One flow is one bucket, which has all of the least capacity."""
    report = report_of([datagram(query(f"host{i}.example.org")) for i in range(2100)], **SMALL)
    assert (report["queries"], report["count"], report["lost"]) == (2100, 2048, 52)


def test_names_whose_letters_find_no_room_are_shown_as_such() -> None:
    report = report_of([datagram(query(f"host{i}.example.org")) for i in range(15)], **SMALL, top=100)
    names = [row["name"] for row in report["names"]]
    assert len(names) == 15
    assert names.count("?") == 15 - 32 // 3


def tcp(payload: bytes, seq: int, flags: str = "PA") -> bytes:
    return raw(ether / IP(src=CLIENT, dst=SERVER) / TCP(sport=4000, dport=53, seq=seq % 2**32, flags=flags) / payload)


def prefixed(message: bytes) -> bytes:
    return len(message).to_bytes(2) + message


@pytest.mark.parametrize("start", [0, 1000, 2**32 - 200, 2**31 - 100])
@pytest.mark.parametrize("seed", range(6))
def test_a_stream_in_any_segments(seed: int, start: int) -> None:
    """Messages over TCP are counted once, however they lie in segments, and whatever is sent twice."""
    dice = random.Random(seed)
    messages = [query(f"host{i}.example.org") + bytes(dice.randrange(3000)) for i in range(30)]
    starts, stream = [], b""
    for each in messages:
        starts.append(len(stream))
        stream += prefixed(each)
    # A segment may end anywhere but within a length, or within header and question.
    allowed = [at for at in range(len(stream)) if not any(s < at < s + 2 or s + 2 < at < s + 60 for s in starts)]
    cuts = [0, *sorted(dice.sample(allowed[1:], 60)), len(stream)]
    segments = [(a, b) for lo, hi in pairwise(cuts) for a, b in split(lo, hi, allowed)]
    frames = [tcp(b"", start, "S")]
    for at, end in segments:
        frames += [tcp(stream[at:end], start + 1 + at)] * dice.choice([1, 1, 2])
    report = report_of(frames, top=100)
    assert (report["queries"], report["malformed"], report["cut"]) == (30, 0, 0)
    assert {row["name"]: row["queries"] for row in report["names"]} == {f"host{i}.example.org": 1 for i in range(30)}


def split(lo: int, hi: int, allowed: Sequence[int]) -> list[tuple[int, int]]:
    """[lo, hi) in pieces that an Ethernet frame can carry."""
    pieces = []
    while hi - lo > 1400:
        end = max(at for at in allowed if lo < at <= lo + 1400)
        pieces.append((lo, end))
        lo = end
    return [*pieces, (lo, hi)]


def test_a_stream_joined_in_the_middle() -> None:
    """Without its SYN, a stream is taken up where a segment looks like the beginning of a message."""
    frames = [
        tcp(b"\xff" * 700, 5000),
        tcp(prefixed(query("one.example.org")), 5700),
        tcp(prefixed(query("two.example.org")), 5700 + len(prefixed(query("one.example.org")))),
    ]
    report = report_of(frames)
    assert (report["queries"], report["malformed"], report["cut"]) == (2, 0, 0)


def test_a_stream_with_a_hole() -> None:
    first = prefixed(query("one.example.org"))
    frames = [
        tcp(b"", 99, "S"),
        tcp(first, 100),
        tcp(prefixed(query("two.example.org")), 100 + len(first) + 900),
        tcp(b"\x00" * 1200, 100 + len(first) + 5000),
    ]
    report = report_of(frames)
    assert (report["queries"], report["malformed"]) == (2, 0)


def test_merge_is_associative() -> None:
    """Any grouping of the shards' states gives the same report, and names keep their letters."""
    with run([bound("dns", top=1000)], read_capture(BUNDLED)) as rig:
        states, expected, params = rig.states("dns"), rig.report("dns"), rig.plugins[0].params_tuple()
    dice = random.Random(4)
    for _ in range(5):
        parts = list(states)
        while len(parts) > 1:
            at, size = dice.randrange(len(parts) - 1), dice.randrange(2, 6)
            parts[at : at + size] = [Dns.merge(parts[at : at + size])]
        assert Dns.report(parts[0], params) == expected
    assert merge_states([parts[0]]).names.dtype == parts[0].names.dtype
