"""Rules of sharing: what belongs together reaches one share; those that must not do so are caught by the same checks."""

from __future__ import annotations

import ipaddress
import itertools
import random
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.compat import raw
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from tests.kit.capture_build import Record, pcap
from tests.kit.places import BUNDLED
from tests.kit.reference import read
from tests.kit.sharing import Chooser, chooser, documented_bucket
from tests.property.test_tunnel import HEAD, TUNNELS, WHOLE, A, B, at_tshark
from zcframe.framework.errors import UsageError
from zcframe.framework.share import BUCKETS, MAX_SHARES, NOBODY, RULES, Shares, share_table

SYMMETRIC = [rule for rule in RULES if rule != "queue"]
SHARES = "5"


# --- what belongs together, as (frames, whether `rule` promises it)


def conversation(dice: random.Random, kind: int) -> tuple[Packet, Packet]:
    """A packet of each direction."""
    sport, dport = dice.randrange(1, 1 << 16), dice.randrange(1, 1 << 16)
    low = dice.randrange(1 << 16)
    four = IP(src=f"10.1.{low >> 8}.{low & 255}", dst=f"192.0.2.{dice.randrange(256)}")
    six = IPv6(src=f"2001:db8::{low:x}", dst=f"2001:db8:9::{dice.randrange(1 << 16):x}")
    ip = four if kind % 2 == 0 else six
    back = type(ip)(src=ip.dst, dst=ip.src)
    layer = (TCP, UDP, SCTP)[kind // 2 % 3]
    return ip / layer(sport=sport, dport=dport), back / layer(sport=dport, dport=sport)


def plain(dice: random.Random) -> Iterator[list[bytes]]:
    for kind in range(24):
        there, back = conversation(dice, kind)
        tag = HEAD / Dot1Q(vlan=kind + 1) if kind > 11 else HEAD
        yield [raw(tag / there / Raw(b"x" * 9)), raw(tag / back), raw(tag / there)]


def without_ports(dice: random.Random) -> Iterator[list[bytes]]:
    for last in range(1, 20):
        asked = IP(src="10.0.0.1", dst=f"10.9.0.{last}") / ICMP(type=8, id=last)
        yield [raw(HEAD / asked), raw(HEAD / IP(src=f"10.9.0.{last}", dst="10.0.0.1") / ICMP(type=0, id=last))]
        six = IPv6(src="2001:db8::1", dst=f"2001:db8::{last}00") / ICMPv6EchoRequest()
        yield [raw(HEAD / six), raw(HEAD / IPv6(src=six.dst, dst=six.src) / ICMPv6EchoRequest())]


def pieces(packet: Packet, number: int) -> list[bytes]:
    """A large datagram of these headers, in fragments."""
    if isinstance(packet, IP):
        found = fragment(packet / Raw(bytes(3000)), fragsize=1000)
    else:
        head = IPv6(src=packet.src, dst=packet.dst) / IPv6ExtHdrFragment(id=number)
        found = fragment6(head / packet.payload / Raw(bytes(3000)), 1280)
    assert len(found) > 2
    return [raw(HEAD / piece) for piece in found]


def fragments(dice: random.Random) -> Iterator[list[bytes]]:
    """Those of a datagram, and of its answer."""
    for number in range(20):
        yield [frame for packet in conversation(dice, number % 2 + 2) for frame in pieces(packet, number)]


def datagrams_and_fragments(dice: random.Random) -> Iterator[list[bytes]]:
    """A whole flow of UDP, of which only large datagrams are in fragments."""
    for number in range(20):
        there, back = conversation(dice, number % 2 + 2)
        yield [raw(HEAD / there), raw(HEAD / back), *pieces(there, number)]


def flows_of_a_pair(dice: random.Random) -> Iterator[list[bytes]]:
    for kind in range(20):
        there, _ = conversation(dice, kind % 2)
        head = type(there)(src=there.src, dst=there.dst)
        yield [raw(HEAD / head / TCP(sport=port, dport=80)) for port in range(20)]


def in_tunnels(dice: random.Random) -> Iterator[list[bytes]]:
    """A conversation in tunnels between one pair of addresses; UDP's have a source port each way."""
    for name, kind in itertools.product(TUNNELS, range(4)):
        state = dice.getstate()
        frames = []
        for packet in conversation(dice, kind):
            dice.setstate(state)
            outer = TUNNELS[name](dice, packet)
            frames.append(raw(HEAD / outer))
            outer.src, outer.dst = outer.dst, outer.src
            frames.append(raw(HEAD / outer))
        yield frames


def in_other_tunnels(dice: random.Random) -> Iterator[list[bytes]]:
    """A conversation, in fragments too, of which each packet takes another tunnel."""
    for kind in range(12):
        there, back = conversation(dice, kind)
        packets = [there, back, *(fragment(there / Raw(bytes(900)), 400) if isinstance(there, IP) else [])]
        yield [raw(HEAD / tunnel(dice, packet)) for packet in packets for tunnel in TUNNELS.values()]


def of_a_vlan(dice: random.Random) -> Iterator[list[bytes]]:
    for vlan in range(1, 30):
        yield [raw(HEAD / Dot1Q(vlan=vlan) / packet) for kind in range(6) for packet in conversation(dice, kind)]


ALL = set(SYMMETRIC)
# Which rules keep these together.
TOGETHER: dict[str, tuple[Callable[[random.Random], Iterator[list[bytes]]], set[str]]] = {
    "directions": (plain, ALL),
    "no ports": (without_ports, ALL),
    "fragments": (fragments, ALL),
    "a flow with fragments": (datagrams_and_fragments, ALL - {"5-tuple"}),
    "flows of two hosts": (flows_of_a_pair, ALL - {"5-tuple"}),
    "directions in a tunnel": (in_tunnels, ALL - {"5-tuple"}),
    "a conversation in several tunnels": (in_other_tunnels, {"inner", "vlan"}),
    "a VLAN": (of_a_vlan, {"vlan"}),
}


def splits(share_of: Chooser, name: str) -> int:
    """How many groups do not reach one share."""
    groups = list(TOGETHER[name][0](random.Random(4)))
    return sum(len({share_of(frame) for frame in frames}) > 1 for frames in groups)


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize("rule", SYMMETRIC)
def test_what_is_kept_together(rule: str, name: str) -> None:
    """What docs/sharing.md says that a rule keeps together, it does; what it does not keep, is seen to be split."""
    found = splits(chooser(rule, SHARES), name)
    assert (found == 0) == (rule in TOGETHER[name][1]), found


# --- negative controls


def ends_of(frame: bytes) -> tuple[bytes, bytes, int, int, int]:
    """Both addresses (16 bytes), both ports, and the protocol."""
    packet = Ether(frame)
    ip = packet[IP] if IP in packet else packet[IPv6]
    src, dst = (ipaddress.ip_address(text) for text in (ip.src, ip.dst))
    src_bytes, dst_bytes = (
        bytes(10) + b"\xff\xff" + address.packed if address.version == 4 else address.packed for address in (src, dst)
    )
    layer = next((ip[kind] for kind in (TCP, UDP, SCTP) if kind in ip), None)
    ports = (layer.sport, layer.dport) if layer else (0, 0)
    return src_bytes, dst_bytes, *ports, 6 if TCP in ip else 17


def directional(frame: bytes) -> int:
    src, _, sport, dport, proto = ends_of(frame)
    return documented_bucket(src, bytes(16), sport, dport, proto) % 5


def naive(frame: bytes) -> int:
    """A symmetric 5-tuple that takes the ports of a first fragment."""
    return documented_bucket(*ends_of(frame)) % 5


def test_a_directional_hash_is_caught() -> None:
    assert splits(directional, "directions") > 10


def test_a_5_tuple_that_is_naive_about_fragments_is_caught() -> None:
    assert splits(naive, "directions") == 0
    assert splits(naive, "fragments") > 10


# --- the documented numbers


@pytest.mark.parametrize("rule", ["ip-pair", "5-tuple"])
def test_documented_numbers(rule: str) -> None:
    share_of = chooser(rule, "7")
    table = share_table(Shares.parse(rule, "7"))
    for frame in itertools.chain.from_iterable(plain(random.Random(2))):
        src, dst, sport, dport, proto = ends_of(frame)
        if SCTP in Ether(frame):
            proto = 132
        more = (sport, dport, proto) if rule == "5-tuple" else ()
        assert share_of(frame) == table[documented_bucket(src, dst, *more)]


def test_fragments_and_other_protocols_go_by_ip_pair() -> None:
    pair, five = chooser("ip-pair", "7"), chooser("5-tuple", "7")
    dice = random.Random(2)
    for frame in itertools.chain(*fragments(dice), *without_ports(dice)):
        assert five(frame) == pair(frame)


def test_without_ip_there_is_one_share() -> None:
    frames = [raw(HEAD / ARP(psrc=f"10.0.0.{last}")) for last in range(9)] + [
        raw(Ether(src=A, dst=B, type=0x88CC)),
        b"",
        bytes(9),
    ]
    for rule in ("ip-pair", "5-tuple", "inner"):
        share_of = chooser(rule, "9")
        assert {share_of(frame) for frame in frames} == {int(share_table(Shares.parse(rule, "9"))[documented_empty()])}


def documented_empty() -> int:
    from tests.kit.sharing import KEY, fold

    return fold(KEY[2], KEY[3]) >> 52


def test_queue_by_number() -> None:
    frame = raw(HEAD / ARP())
    assert [chooser("queue", "3", queue=queue)(frame) for queue in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert [chooser("queue", "3", queue=queue, alive={0, 2})(frame) for queue in (0, 2, 3)] == [0, 2, 0]
    assert chooser("queue", "3", queue=1, alive={0, 2})(frame) in (0, 2)


# --- the table


WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=12).map(tuple)


@settings(deadline=None)
@given(WEIGHTS, st.data())
def test_only_buckets_of_the_dead_move(weights: tuple[int, ...], data: st.DataObject) -> None:
    shares = Shares("ip-pair", weights)
    everyone = set(range(len(weights)))
    alive = data.draw(st.sets(st.sampled_from(sorted(everyone))))
    fewer = data.draw(st.sets(st.sampled_from(sorted(alive)))) if alive else set()
    before, after = share_table(shares, alive), share_table(shares, fewer)
    moved = before != after
    assert set(before[moved].tolist()) <= (alive - fewer) | ({NOBODY} if not alive else set())
    assert np.isin(before, sorted(alive - fewer)).sum() == moved.sum()
    assert set(after.tolist()) <= (fewer or {NOBODY})
    assert (share_table(shares, everyone) == share_table(shares)).all()


@settings(deadline=None)
@given(WEIGHTS, st.integers(1, 9))
def test_another_share_and_more_weight_take_only_for_themselves(weights: tuple[int, ...], more: int) -> None:
    before = share_table(Shares("ip-pair", weights))
    grown = share_table(Shares("ip-pair", (*weights, more)))
    assert set(grown[before != grown].tolist()) <= {len(weights)}
    heavier = share_table(Shares("ip-pair", (weights[0] + more, *weights[1:])))
    assert set(heavier[before != heavier].tolist()) <= {0}


def most(freedom: int) -> float:
    """What chi-square exceeds once in a thousand times. (Wilson and Hilferty, 1931)"""
    nines = NormalDist().inv_cdf(0.999)
    return float(freedom * (1 - 2 / (9 * freedom) + nines * (2 / (9 * freedom)) ** 0.5) ** 3)


def chi_square(counts: Iterable[int], weights: Iterable[float]) -> float:
    found, parts = np.array(list(counts), float), np.array(list(weights), float)
    expected = found.sum() * parts / parts.sum()
    return float(((found - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("weights", ["2", "3", "8", "16", "64", "1:2:3:4", "1:9", "5:1:1:1:2"])
def test_buckets_follow_the_weights(weights: str) -> None:
    shares = Shares.parse("ip-pair", weights)
    counts = np.bincount(share_table(shares), minlength=shares.count)
    assert chi_square(counts.tolist(), shares.weights) < most(shares.count - 1)


ADDRESSES = {
    "one server, a network": lambda i: (f"10.0.{i >> 8}.{i & 255}", "192.0.2.1"),
    "pairs in step": lambda i: (f"10.0.{i >> 8}.{i & 255}", f"10.1.{i >> 8}.{i & 255}"),
    "a network with itself": lambda i: (f"10.0.0.{i & 127}", f"10.0.0.{128 + (i >> 7) % 128}"),
    "a prefix of IPv6": lambda i: (f"2001:db8::{i:x}", "2001:db8::1"),
    "hosts with 64 bits of prefix": lambda i: (f"2001:db8:{i:x}::1", "2001:db8::1"),
}


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("shares", ["2", "3", "8"])
def test_addresses_in_a_row_spread_evenly(name: str, shares: str) -> None:
    """Over shares as the table has them: hosts in a network differ by few bits."""
    table = share_table(Shares.parse("ip-pair", shares))
    owned = np.bincount(table)
    counts: Counter[int] = Counter()
    for number in range(1, 8193):
        src, dst = (ipaddress.ip_address(text) for text in ADDRESSES[name](number))
        packed = [bytes(10) + b"\xff\xff" + a.packed if a.version == 4 else a.packed for a in (src, dst)]
        counts[int(table[documented_bucket(*packed)])] += 1
    assert chi_square([counts[share] for share in range(int(shares))], owned.tolist()) < most(int(shares) - 1)


# --- conversations as tshark has them


ADDRESS_FIELDS = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst")
PORT_FIELDS = ("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport")
FIELDS = (*ADDRESS_FIELDS, *PORT_FIELDS, "tcp.stream", "ip.flags.mf", "ip.frag_offset", "frame.protocols")


def tshark_rows(path: Path) -> list[dict[str, str]]:
    """Of each frame: addresses and ports, tshark's number of the TCP stream, whether it is a fragment."""
    command = ["tshark", "-n", "-r", str(path), *WHOLE, "-T", "fields", *(w for name in FIELDS for w in ("-e", name))]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines]


def keys(row: dict[str, str], rule: str) -> Iterator[tuple[Any, ...]]:
    """Conversations of the frame that `rule` keeps whole: by the outermost addresses, and ports."""
    layers = row["frame.protocols"].split(":")
    packets = [layer for layer in layers if layer in ("ip", "ipv6")]
    if not packets:
        return
    ends = [row[f"{packets[0]}.{end}"].split(",")[0] for end in ("src", "dst")]
    if rule == "ip-pair":
        yield tuple(sorted(ends))
    in_pieces = row["ip.flags.mf"] not in ("", "0", "False") or row["ip.frag_offset"] not in ("", "0")
    if rule != "5-tuple" or len(packets) > 1 or in_pieces or "ipv6.fraghdr" in layers:
        return
    if row["tcp.stream"]:
        yield ("tcp", row["tcp.stream"])
    # What tshark calls a stream of UDP is more than one where it knows the protocol (TFTP).
    if row["udp.srcport"]:
        yield tuple(sorted(zip(ends, (row["udp.srcport"], row["udp.dstport"]), strict=True)))


def divided(frames: list[bytes], rows: list[dict[str, str]], rule: str, share_of: Chooser) -> tuple[int, int]:
    """(conversations, those of them in several shares)."""
    seen = defaultdict(set)
    for frame, row in zip(frames, rows, strict=True):
        for key in keys(row, rule):
            seen[key].add(share_of(frame))
    return len(seen), sum(len(shares) > 1 for shares in seen.values())


def frames_of(paths: Iterable[Path]) -> list[bytes]:
    return [packet.frame for path in paths for packet in read(path).packets]


def check_conversations(frames: list[bytes], path: Path, least: int) -> None:
    path.write_bytes(pcap([Record(frame) for frame in frames]))
    rows = tshark_rows(path)
    for rule in ("ip-pair", "5-tuple"):
        count, torn = divided(frames, rows, rule, chooser(rule))
        assert (count > least, torn) == (True, 0), (rule, count)
    assert divided(frames, rows, "5-tuple", lambda frame: frame[29] % 3)[1] > 0
    inner, seen = chooser("inner"), defaultdict(set)
    for frame, (src, dst, *_) in zip(frames, at_tshark(path), strict=True):
        seen[min(src, dst), max(src, dst)].add(inner(frame))
    assert max(len(shares) for shares in seen.values()) == 1


@pytest.mark.needs("tshark")
def test_conversations_of_the_bundled_trace(tmp_path: Path) -> None:
    check_conversations(frames_of([BUNDLED]), tmp_path / "all.pcap", 40)


@pytest.mark.long
@pytest.mark.needs("tshark", "captures")
def test_conversations_of_real_captures(captures: Path, tmp_path: Path) -> None:
    check_conversations(frames_of(sorted(captures.glob("*.pcap*"))), tmp_path / "all.pcap", 1000)


# --- what is refused


@pytest.mark.parametrize(
    ("rule", "shares", "says"),
    [
        ("ip-pairs", "2", "did you mean ip-pair"),
        ("ip-pair", "0", f"1 to {MAX_SHARES} shares"),
        ("ip-pair", "129", f"1 to {MAX_SHARES} shares"),
        ("ip-pair", "x", "a number is needed, or weights"),
        ("ip-pair", "1:0", "whole numbers from 1"),
        ("ip-pair", "1:2000", "1024 together"),
        ("ip-pair", ":".join("1" * 129), f"1 to {MAX_SHARES} shares"),
        ("queue", "2:1", "takes no weights"),
    ],
)
def test_refused(rule: str, shares: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Shares.parse(rule, shares)


def test_queues_that_are_too_few_are_refused() -> None:
    Shares.parse("queue", "4").require_queues(4)
    Shares.parse("inner", "5").require_queues(4)
    with pytest.raises(UsageError, match="can fill 4 only"):
        Shares.parse("queue", "5").require_queues(4)


def test_text_is_what_parse_takes() -> None:
    for text in ("1", "4", "2:1:1", "128"):
        assert Shares.parse("ip-pair", text).text == text
    assert len(share_table(Shares())) == BUCKETS
