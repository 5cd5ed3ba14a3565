"""Flows: where one ends and another begins, who asked, ICMP, Community ID; against tshark and the communityid package."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import communityid
import communityid.icmp
import communityid.icmp6
import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.kit.capture_build import Record, pcap
from tests.kit.rig import FIRST_NS, Frame, bound, run
from zcframe.framework.rss import MICROSOFT_KEY
from zcframe.plugins.flows import Flows

SECOND = 10**9
CLIENT, SERVER = "192.0.2.1", "198.51.100.2"
ALL: dict[str, Any] = {"top": 100_000}
ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def tcp(who: str, flags: str, at: float, *, port: int = 40000, size: int = 0, **more: Any) -> Frame:
    """Of the client ("c") or the server, at a time in seconds."""
    src, dst, sport, dport = (CLIENT, SERVER, port, 80) if who == "c" else (SERVER, CLIENT, 80, port)
    packet = ether / IP(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags, **more) / Raw(bytes(size))
    return Frame(raw(packet), FIRST_NS + round(at * SECOND))


def udp(at: float, *, src: str = CLIENT, dst: str = SERVER, sport: int = 5000, dport: int = 53) -> Frame:
    network = IPv6 if ":" in src else IP
    return Frame(raw(ether / network(src=src, dst=dst) / UDP(sport=sport, dport=dport)), FIRST_NS + round(at * SECOND))


def connection(at: float, isn: int, ending: str = "F", **more: Any) -> list[Frame]:
    """A whole connection of a second; ending: F for FINs, R for a RST, "" for none."""
    theirs = isn * 7 & 0xFFFFFFFF
    steps = [("c", "S", isn, 0), ("s", "SA", theirs, isn + 1), ("c", "A", isn + 1, theirs + 1)]
    steps += [("c", "PA", isn + 1, theirs + 1), ("s", "PA", theirs + 1, isn + 11)]
    if ending == "F":
        steps += [
            ("c", "FA", isn + 11, theirs + 11),
            ("s", "FA", theirs + 11, isn + 12),
            ("c", "A", isn + 12, theirs + 12),
        ]
    elif ending == "R":
        steps += [("s", "R", theirs + 11, 0)]
    return [
        tcp(who, flags, at + i * 0.1, seq=seq & 0xFFFFFFFF, ack=ack & 0xFFFFFFFF, size=10 * ("P" in flags), **more)
        for i, (who, flags, seq, ack) in enumerate(steps)
    ]


def report_of(frames: Iterable[Frame], queues: int = 1, key: bytes | None = None, **params: Any) -> dict[str, Any]:
    more = {} if key is None else {"key": key}
    with run([bound("flows", queues, **ALL | params)], frames, queues=queues, **more) as rig:
        report = rig.report("flows")
        assert rig.ledger()["faulted"] == {"flows": 0}
    assert report["packets"] == sum(flow["packets"] for flow in report["top"]) or report["unlisted"]
    return report


def sizes(report: dict[str, Any]) -> list[int]:
    """Packets of each flow in the order of their beginnings."""
    return [flow["packets"] for flow in sorted(report["top"], key=lambda flow: int(flow["first_ns"]))]


FIRST = connection(0, 1000)
KINDS: dict[str, tuple[list[Frame], list[int]]] = {
    "after fin": ([*FIRST, *connection(5, 900_000)], [8, 8]),
    "after fin, same number": ([*FIRST, *connection(5, 1000)], [8, 8]),
    "after one fin": ([*FIRST[:6], *connection(5, 1000)], [6, 8]),
    "after rst": ([*connection(0, 1000, "R"), *connection(5, 1000)], [6, 8]),
    "refused and asked again": (
        [f for at in (0, 1, 2) for f in (tcp("c", "S", at, seq=5), tcp("s", "RA", at + 0.1, seq=0, ack=6))], [2, 2, 2],
    ),
    "another number while open": ([*connection(0, 1000, ""), *connection(5, 1001, "")], [5, 5]),
    "a number that wraps": ([*connection(0, 2**32 - 5, ""), *connection(5, 2**32 - 4, "")], [5, 5]),
    "syn sent again": ([tcp("c", "S", at, seq=77) for at in (0, 1, 3, 7)] + [tcp("s", "SA", 8, seq=1, ack=78)], [5]),
    "syn-ack sent again": ([*FIRST[:2], tcp("s", "SA", 0.15, seq=7000, ack=1001), *FIRST[2:]], [9]),
    "syn cookie of another minute": ([*FIRST[:2], tcp("c", "S", 1, seq=1000), tcp("s", "SA", 1.1, seq=9, ack=1001)], [4]),
    "fast open": (
        [tcp("c", "S", 0, seq=9, size=300), tcp("s", "SA", 0.1, seq=1, ack=310), tcp("c", "A", 0.2, seq=310, ack=2)], [3],
    ),
    "simultaneous open": (
        [tcp("c", "S", 0, seq=9), tcp("s", "S", 0.1, seq=70), tcp("c", "SA", 0.2, seq=9, ack=71),
         tcp("s", "SA", 0.3, seq=70, ack=10), tcp("c", "A", 0.4, seq=10, ack=71)], [5],
    ),
    "answer before the syn": ([FIRST[1], FIRST[0], *FIRST[2:]], [8]),
    "data before the syn": ([FIRST[3], FIRST[0], FIRST[1], FIRST[2], *FIRST[4:]], [8]),
    "one direction behind the other": ([*(f for i, f in enumerate(FIRST) if i in (1, 4, 6)),
                                       *(f for i, f in enumerate(FIRST) if i not in (1, 4, 6))], [8]),
    "refused before it asked": ([tcp("s", "RA", 0, seq=0, ack=6), tcp("c", "S", 0.1, seq=5)], [2]),
    "opened in mid-stream, then again": ([*FIRST[3:5], *connection(5, 3_000_000)], [2, 8]),
    "late packets after the end": ([*FIRST, tcp("s", "R", 3, seq=7012)], [9]),
    "an answer alone, then another": (
        [tcp("s", "SA", 0, seq=5, ack=100), tcp("s", "A", 1, seq=6, ack=101), tcp("s", "SA", 2, seq=9, ack=9_000_000)],
        [2, 1],
    ),
    "rst and syn at once is no syn": ([*connection(0, 1000, ""), tcp("c", "SR", 2, seq=5)], [6]),
}  # fmt: skip


def test_where_a_connection_ends() -> None:
    """Each kind has a client's port of its own."""
    frames, wanted = [], Counter[tuple[str, tuple[int, ...]]]()
    names = {}
    for port, (name, (packets, flows)) in enumerate(KINDS.items(), 20000):
        names[port] = name
        wanted[name, tuple(flows)] += 1
        for frame in packets:
            data = frame.data
            at = 34 if data[34:36] == struct.pack(">H", 40000) else 36
            frames.append(Frame(data[:at] + struct.pack(">H", port) + data[at + 2 :], frame.ts))
    report = report_of(frames)
    found: dict[str, list[int]] = {}
    for flow in sorted(report["top"], key=lambda flow: int(flow["first_ns"])):
        assert (flow["src"], flow["dst"], flow["dport"]) == (CLIENT, SERVER, 80), names[flow["sport"]]
        found.setdefault(names[flow["sport"]], []).append(flow["packets"])
    assert found == {name: flows for name, (_, flows) in KINDS.items()}
    assert (report["count"], report["unlisted"], report["lost"]) == (sum(map(len, found.values())), 0, 0)


def tshark(path: Path, *words: str) -> list[list[str]]:
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *(w for word in words for w in ("-e", word))]
    command += ["--enable-protocol", "communityid"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def id_field() -> str:
    """What this tshark calls the Community ID: its name changed in 4.6."""
    fields = subprocess.run(["tshark", "-G", "fields"], capture_output=True, text=True, check=True).stdout
    return "communityid.hash" if "\tcommunityid.hash\t" in fields else "communityid"


def written(path: Path, frames: Sequence[Frame]) -> Path:
    path.write_bytes(pcap([Record(frame.data, frame.ts) for frame in frames], nano=True))
    return path


@pytest.mark.needs("tshark")
def test_as_many_connections_as_tshark_has_streams(tmp_path: Path) -> None:
    """Connections of random endings over few ports, interleaved, with SYNs that are sent again."""
    dice = random.Random(82576)
    frames: list[Frame] = []
    for port in range(30000, 30060):
        at = dice.random()
        for _ in range(dice.randrange(1, 6)):
            packets = connection(at, dice.randrange(2**32), dice.choice(["F", "R", ""]), port=port)
            keep = dice.randrange(1, len(packets) + 1)
            syns = [packets[0]._replace(ts=packets[0].ts + i) for i in range(dice.randrange(3))]
            frames += [packets[0], *syns, *packets[1:keep]]
            at += 1 + dice.random() * 20
    frames.sort(key=lambda frame: frame.ts)
    streams = Counter(row[0] for row in tshark(written(tmp_path / "many.pcap", frames), "tcp.stream"))
    assert len(streams) > 120
    for queues, key in ((1, None), (4, None), (4, MICROSOFT_KEY)):
        report = report_of(frames, queues, key)
        if key is None:
            assert sorted(sizes(report)) == sorted(streams.values())
        # Where directions are seen apart, one that had nothing but an end does not tell of a SYN after it.
        assert (report["count"], report["packets"]) == (len(streams), len(frames))


# --- time


@pytest.mark.long
def test_silence_ends_a_flow() -> None:
    frames = [udp(0), udp(100), udp(220), udp(340.1), udp(4000)]
    assert sizes(report_of(frames)) == [3, 1, 1]
    assert sizes(report_of(frames, idle=0)) == [4, 1]  # by `active`
    assert sizes(report_of(frames, idle=0, active=0)) == [5]
    assert sizes(report_of(frames, idle=60)) == [1] * 5


@pytest.mark.long
def test_a_long_flow_is_split() -> None:
    """As exporters do: the packet that comes more than `active` after the first begins the next part."""
    frames = [udp(at) for at in range(0, 3700, 100)]
    report = report_of(frames)
    assert sizes(report) == [19, 18]
    assert [flow["first_ns"] for flow in sorted(report["top"], key=lambda f: int(f["first_ns"]))] == [
        FIRST_NS, FIRST_NS + 1900 * SECOND,
    ]  # fmt: skip
    assert sizes(report_of(frames, active=1000)) == [11, 11, 11, 4]
    assert sizes(report_of(frames, active=0)) == [37]


def test_who_asked_is_known_after_a_silence_and_a_split() -> None:
    frames = [*connection(0, 1000, ""), tcp("s", "PA", 200, seq=7100, ack=1011), tcp("c", "A", 201, seq=1011, ack=7100)]
    for params in ({"idle": 60}, {"active": 60}):
        report = report_of(frames, **params)
        assert [(flow["src"], flow["packets"]) for flow in report["top"]] == [(CLIENT, 5), (CLIENT, 2)], params


@pytest.mark.parametrize("seed", range(3))
def test_packets_out_of_order_do_not_split_a_flow(seed: int) -> None:
    """Gaps of up to the idle time, in any order: one flow, and another one that begins later than that."""
    dice = random.Random(seed)
    times = [100.0 * i for i in range(12)]
    dice.shuffle(times)
    frames = [udp(at) for at in [*times, *(5000.0 + i for i in range(4))]]
    assert sizes(report_of(frames, active=0)) == [12, 4]


def test_one_wrong_time_is_a_flow_of_its_own_and_no_more() -> None:
    frames = [udp(at) for at in (0, 1, 2)]
    frames += [frames[0]._replace(ts=0), *[udp(at) for at in (3, 4)], frames[0]._replace(ts=FIRST_NS + 10**15), udp(5)]
    assert sorted(sizes(report_of(frames))) == [1, 1, 6]


# --- shards, workers, files


def many(seed: int) -> list[Frame]:
    dice = random.Random(seed)
    frames = [udp(dice.random() * 500, sport=5000 + dice.randrange(8)) for _ in range(150)]
    for port in range(41000, 41008):
        at = dice.random() * 50
        for _ in range(4):
            frames += connection(at, dice.randrange(2**32), dice.choice(["F", "R", ""]), port=port)
            at += 2 + dice.random() * 150
    return sorted(frames, key=lambda frame: frame.ts)


@pytest.mark.parametrize("seed", range(2))
def test_files_in_any_order_and_grouping_are_one_run(seed: int) -> None:
    """A capture cut at any packets, its parts read for themselves: merged, they are what one run over it reports."""
    frames, dice = many(seed), random.Random(seed)
    whole = report_of(frames, active=0)
    cuts = sorted(dice.sample(range(1, len(frames)), 5))
    plugin = bound("flows", active=0, **ALL)
    states = []
    for start, end in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        with run([plugin], frames[start:end]) as rig:
            states.append(rig.state("flows"))
    for _ in range(4):
        parts = list(states)
        dice.shuffle(parts)
        while len(parts) > 1:
            at, size = dice.randrange(len(parts) - 1), dice.randrange(2, 4)
            parts[at : at + size] = [Flows.merge(parts[at : at + size])]
        assert Flows.report(parts[0], plugin.params_tuple()) == whole
    backwards = [
        frame
        for start, end in zip([*cuts[::-1], 0], [len(frames), *cuts[::-1]], strict=True)
        for frame in frames[start:end]
    ]
    assert report_of(backwards, active=0) == whole


def test_directions_seen_by_different_workers_are_one_flow() -> None:
    frames = many(7)
    apart, together = (report_of(frames, 8, key) for key in (MICROSOFT_KEY, None))
    assert apart["count"] == together["count"]
    assert sizes(apart) == sizes(together)
    assert [f["src"] for f in apart["top"] if f["proto"] == 6] == [CLIENT] * sum(f["proto"] == 6 for f in apart["top"])


# --- room


def test_flows_without_room_are_counted() -> None:
    """All in one bucket of 16 slots: closed flows give up theirs to others, open ones do not."""
    closed = [f for i in range(100) for f in connection(i * 0.01, 1000 + i, port=42000 + i)]
    frames = sorted(closed, key=lambda frame: frame.ts)
    with run([bound("flows", capacity=2048, **ALL)], frames, fields="ip-pair", key=bytes(40)) as rig:
        report = rig.report("flows")
    assert report["count"] > 16
    assert report["packets"] + report["lost"] == len(frames)
    assert report["unlisted"] == report["count"] - len(report["top"])


@pytest.mark.long
def test_a_port_used_again_and_again_takes_no_room_from_others() -> None:
    """One pair of ends a thousand times: all are counted, the largest stay listed, the table has one row of it."""
    frames = []
    for i in range(1000):
        frames += connection(i * 2, 1000 + 99_999 * i)
        if i % 100 == 0:
            frames.append(tcp("c", "PA", i * 2 + 0.9, size=500 + i))
    with run([bound("flows", ended=16, **ALL)], frames) as rig:
        report, rows = rig.report("flows"), rig.state("flows").flows
        assert len(rows) == 1
    octets = sum(len(frame.data) for frame in frames)
    assert (report["count"], report["packets"], report["bytes"]) == (1000, len(frames), octets)
    assert (len(report["top"]), report["unlisted"]) == (17, 983)
    assert [flow["packets"] for flow in report["top"][:10]] == [9] * 10


# --- ICMP and Community ID


def icmp(kind: int, code: int = 0, *, back: bool = False, v6: bool = False, at: float = 0) -> Frame:
    """ICMP by hand: type, code, id and sequence number."""
    body = bytes([kind, code]) + bytes(6) + bytes(40)
    if v6:
        ends = ("2001:db8::2", "2001:db8::1") if back else ("2001:db8::1", "2001:db8::2")
        addresses = b"".join(socket.inet_pton(socket.AF_INET6, end) for end in ends)
        head = struct.pack(">IHBB", 6 << 28, len(body), 58, 64) + addresses
        return Frame(bytes(12) + b"\x86\xdd" + head + body, FIRST_NS + round(at * SECOND))
    ends = (SERVER, CLIENT) if back else (CLIENT, SERVER)
    head = struct.pack(">BBHIBBH", 0x45, 0, 20 + len(body), 0, 64, 1, 0) + b"".join(map(socket.inet_aton, ends))
    return Frame(bytes(12) + b"\x08\x00" + head + body, FIRST_NS + round(at * SECOND))


PAIRS = [(False, a, b) for a, b in ((8, 0), (13, 14), (15, 16), (17, 18), (10, 9))]
PAIRS += [(True, a, b) for a, b in ((128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145))]


def test_a_request_and_its_answer_are_one_flow() -> None:
    """Of every pair, whichever came first; the one who was answered asked."""
    frames = []
    for i, (v6, asks, answers) in enumerate(PAIRS):
        both = [icmp(asks, v6=v6, at=i), icmp(answers, v6=v6, back=True, at=i + 0.1)]
        frames += both if i % 2 else both[::-1]
    report = report_of(frames)
    found = {(":" in f["src"], f["sport"], f["dport"], f["packets"], f["one_sided"]) for f in report["top"]}
    assert found == {(v6, asks, answers, 2, False) for v6, asks, answers in PAIRS}
    assert {flow["src"] for flow in report["top"]} == {CLIENT, "2001:db8::1"}


def test_each_other_type_and_code_is_a_flow_of_one_direction() -> None:
    messages = [(3, 1), (3, 3), (11, 0), (5, 0), (0, 0)]
    frames = [icmp(kind, code, back=back) for kind, code in messages for back in (False, True)]
    report = report_of([*frames, icmp(1, 4, v6=True), icmp(1, 3, v6=True), icmp(3, 0, v6=True, back=True)])
    # Echo replies of both ends are two flows, too: each has a request of its own.
    assert report["count"] == len(frames) + 3
    assert {flow["packets"] for flow in report["top"]} == {1}


@pytest.mark.needs("tshark")
def test_every_community_id_is_that_of_tshark(tmp_path: Path) -> None:
    """Every ICMP type, and protocols with and without ports in their ID, ports of 0 among them, each in both ways."""
    frames = [
        icmp(kind, kind % 5, v6=v6, back=back) for kind in range(256) for v6 in (False, True) for back in (False, True)
    ]
    ports = [(0, 0), (0, 7), (9, 9), (40000, 80)]
    for proto in (6, 17, 33, 132, 47, 50, 103):
        for sport, dport in ports:
            for src, dst in ((CLIENT, SERVER), (SERVER, CLIENT)):
                rest = struct.pack(">HHHH", sport, dport, 16, 0) + bytes([0, 0, 0, 0, 0x50, 2]) + bytes(10)
                packet = raw(IP(src=src, dst=dst, proto=proto) / Raw(rest))
                frames.append(Frame(bytes(12) + b"\x08\x00" + packet, FIRST_NS))
    rows = tshark(written(tmp_path / "kinds.pcap", frames), id_field())
    # A few messages are malformed to tshark and have no ID: they are left out.
    known = [(frame, row[0].split(",")[0]) for frame, row in zip(frames, rows, strict=True) if row[0]]
    assert len(known) > len(frames) - 5
    report = report_of(frame for frame, _ in known)
    assert {flow["community_id"] for flow in report["top"]} == {value for _, value in known}


def test_ports_of_other_protocols_are_not_in_the_id() -> None:
    """tshark takes UDP-Lite for UDP; the specification names TCP, UDP, SCTP and ICMP alone."""
    ports = struct.pack(">HHHH", 40000, 53, 16, 0) + bytes(16)
    packets = [IP(src=CLIENT, dst=SERVER, proto=proto) / Raw(ports) for proto in (33, 136)]
    report = report_of(Frame(raw(ether / packet), FIRST_NS) for packet in packets)
    for flow in report["top"]:
        assert (flow["sport"], flow["dport"]) == (40000, 53)
        plain = communityid.FlowTuple(flow["proto"], CLIENT, SERVER)
        assert flow["community_id"] == communityid.CommunityID().calc(plain)


def test_types_are_paired_as_community_id_has_them() -> None:
    for module, v6 in ((communityid.icmp, False), (communityid.icmp6, True)):
        report = report_of([icmp(kind, 3, v6=v6) for kind in range(256)])
        found = {(flow["sport"], flow["dport"]) for flow in report["top"]}
        expected = {module.get_port_equivalents(kind, 3)[:2] for kind in range(256)}
        # A flow shows the type that asked.
        assert {frozenset(pair) for pair in found} == {frozenset(pair) for pair in expected}


def test_fragments_have_no_ports_and_an_id_without_them() -> None:
    whole = IP(src=CLIENT, dst=SERVER, id=7, flags="MF") / UDP(sport=1, dport=2, chksum=1) / Raw(bytes(16))
    later = IP(src=CLIENT, dst=SERVER, id=7, frag=3, proto=17) / Raw(bytes(16))
    zero = IP(src=CLIENT, dst=SERVER) / UDP(sport=0, dport=0)
    frames = [Frame(raw(ether / packet), FIRST_NS) for packet in (whole, later, zero)]
    report = report_of(frames)
    assert sorted((flow["sport"], flow["dport"], flow["packets"]) for flow in report["top"]) == [(0, 0, 1), (0, 0, 2)]
    # The package refuses UDP without ports; the ID is that of another protocol's form.
    tuples = communityid.FlowTuple(17, CLIENT, SERVER, 0, 0)
    ids = {flow["packets"]: flow["community_id"] for flow in report["top"]}
    assert ids[1] == communityid.CommunityID().calc(tuples) != ids[2]


def test_a_header_that_is_cut_has_no_ports() -> None:
    packet = raw(ether / IP(src=CLIENT, dst=SERVER) / UDP(sport=0, dport=0))
    frames = [Frame(packet, FIRST_NS), Frame(packet[:36], FIRST_NS, wire=42)]
    frames += [icmp(0), Frame(icmp(0).data[:35], FIRST_NS, wire=82)]
    assert report_of(frames)["count"] == 4


def test_lines_name_ports_of_those_that_have_them() -> None:
    report = report_of([icmp(8), tcp("c", "S", 0, size=99)])
    lines = Flows.lines(report)
    assert lines[1].startswith(f"{CLIENT}:40000 > {SERVER}:80  proto 6")
    assert lines[2].startswith(f"{CLIENT} > {SERVER}  proto 1")
