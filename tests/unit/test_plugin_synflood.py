"""Synflood against a count in plain Python over dpkt's reading, and on made floods."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dpkt
import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from tests.kit.places import BUNDLED
from tests.kit.rig import FIRST_NS, Frame, bound, read_capture, run
from zcframe.framework.rss import MICROSOFT_KEY
from zcframe.plugins.synflood import Synflood

SECOND = 10**9
SYN, RST, ACK = dpkt.tcp.TH_SYN, dpkt.tcp.TH_RST, dpkt.tcp.TH_ACK
VICTIM = "10.0.9.9"

# Few sets of parameters for many tests: each set is compiled for itself.
EVERY: dict[str, Any] = {"window": 0.0, "threshold": 1}

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
Destination = tuple[str, int]


def half_open(frames: Iterable[Frame]) -> dict[Destination, dict[str, int]]:
    """Destinations that got a SYN, counted one packet after the other, nothing forgotten.

    A connection is its ends and the number that it began with; what is known of it is what became of it.
    """
    counts: dict[Destination, dict[str, int]] = {}
    became: dict[tuple[Destination, Destination, int], str] = {}
    for frame in frames:
        ip = dpkt.ethernet.Ethernet(frame.data).data
        tcp = getattr(ip, "data", None)
        if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(tcp, dpkt.tcp.TCP):
            continue
        family = socket.AF_INET if isinstance(ip, dpkt.ip.IP) else socket.AF_INET6
        src = socket.inet_ntop(family, ip.src), tcp.sport
        dst = socket.inet_ntop(family, ip.dst), tcp.dport
        kind = tcp.flags & (SYN | ACK | RST)
        if kind == SYN:
            row = counts.setdefault(dst, {"half_open": 0, "peak": 0, "syns": 0, "answers": 0, "again": 0})
            row["syns"] += 1
            if became.get((src, dst, tcp.seq)) in ("open", "answered"):
                row["again"] += 1
            else:
                became[src, dst, tcp.seq] = "open"
                row["half_open"] += 1
            row["peak"] = max(row["peak"], row["half_open"])
        elif src in counts and (kind == SYN | ACK or (kind == RST | ACK and tcp.seq == 0)):
            asked = dst, src, tcp.ack - 1 & 0xFFFFFFFF
            if became.get(asked, "open") == "open":
                counts[src]["answers"] += 1
                counts[src]["half_open"] = max(0, counts[src]["half_open"] - 1)
                became[asked] = "refused" if kind & RST else "answered"
        elif kind & RST and (asked := (src, dst, tcp.seq - 1 & 0xFFFFFFFF)) in became:
            counts[dst]["half_open"] -= became[asked] == "open"
            became[asked] = "refused"
    return counts


def reported(report: dict[str, Any]) -> dict[Destination, dict[str, int]]:
    fields = ("half_open", "peak", "syns", "answers", "again")
    return {(row["dst"], row["dport"]): {field: row[field] for field in fields} for row in report["top"]}


@pytest.mark.long
def test_bundled_trace_in_one_worker() -> None:
    frames = read_capture(BUNDLED)
    expected = half_open(frames)
    with run([bound("synflood", **EVERY, top=100_000)], frames) as rig:
        report = rig.report("synflood")
    assert reported(report) == {key: row for key, row in expected.items() if row["peak"] > 1}
    assert report["destinations"] == len(expected)
    assert report["syns"] == sum(row["syns"] for row in expected.values())
    assert report["half_open"] == sum(row["half_open"] for row in expected.values())
    assert max(expected.values(), key=lambda row: row["peak"])["peak"] > 300


@pytest.mark.long
def test_shares_of_many_workers_add_up() -> None:
    """What is half-open at the end does not depend on the number of workers; peaks are those of the workers, added."""
    frames = read_capture(BUNDLED)
    expected = half_open(frames)
    with run([bound("synflood", 8, **EVERY, top=100_000)], frames, queues=8) as rig:
        report = rig.report("synflood")
    found = reported(report)
    for key, row in found.items():
        assert {**row, "peak": 0} == {**expected[key], "peak": 0}
        assert row["peak"] >= expected[key]["peak"]
    assert report["half_open"] == sum(row["half_open"] for row in expected.values())


@pytest.mark.needs("captures")
@pytest.mark.parametrize("name", ["443-firefox.pcap", "synscan.pcap", "ftp.pcap"])
def test_real_captures(captures: Path, name: str) -> None:
    frames = read_capture(captures / name)
    with run([bound("synflood", **EVERY, top=100_000)], frames) as rig:
        assert reported(rig.report("synflood")) == {k: row for k, row in half_open(frames).items() if row["peak"] > 1}


def segment(src: str, dst: str, sport: int, dport: int, flags: str, at: float = 0, **more: int) -> Frame:
    network = IPv6 if ":" in src else IP
    packet = ether / network(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags, **more)
    return Frame(raw(packet), FIRST_NS + round(at * SECOND))


def flood(count: int, at: float = 0, step: float = 0, flags: str = "S", **more: int) -> list[Frame]:
    sources = [f"10.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}" for i in range(count)]
    return [segment(source, VICTIM, 1024 + i, 80, flags, at + i * step, **more) for i, source in enumerate(sources)]


def answer(i: int, flags: str = "SA", at: float = 0, **more: int) -> Frame:
    """The victim's, to the number with which `flood` begins."""
    return segment(VICTIM, f"10.1.{i // 250}.{1 + i % 250}", 80, 1024 + i, flags, at, **{"ack": 1, **more})


def report_of(frames: list[Frame], **params: Any) -> dict[str, Any]:
    with run([bound("synflood", **params)], frames) as rig:
        return rig.report("synflood")


def test_answers_take_one_each() -> None:
    frames = [*flood(200), *[answer(i) for i in range(50)], *[answer(i, "RA", seq=0) for i in range(50, 60)]]
    frames += [answer(60, "R", seq=0), answer(61, "RA", seq=7), answer(62, "A"), answer(63, "PA")]
    (row,) = report_of(frames)["top"]
    assert (row["half_open"], row["peak"], row["syns"], row["answers"]) == (140, 200, 200, 60)


def between(port: int, packets: Iterable[tuple[str, str, dict[str, Any]]]) -> list[Frame]:
    """Packets of a client and a port of the victim, a second apart: who sends ("c" or "v"), flags, other fields."""
    ends = {"c": ("10.1.0.1", VICTIM, 1024, port), "v": (VICTIM, "10.1.0.1", port, 1024)}
    return [segment(*ends[who], flags, 1 + i, **more) for i, (who, flags, more) in enumerate(packets)]


MSS = {"options": [("MSS", 1460), ("SAckOK", b"")]}
ASKED_BY_TWO: dict[str, tuple[list[tuple[str, str, dict[str, Any]]], int, int, int, int]] = {
    # name: (packets, half-open in the end, peak, answers, SYNs sent again)
    "sent again": ([("c", "S", {"seq": 9})] * 6, 1, 1, 0, 5),
    "sent again with other options": ([("c", "SEC", {"seq": 9, **MSS}), ("c", "S", {"seq": 9})], 1, 1, 0, 1),
    "answered once, twice": ([("c", "S", {"seq": 9}), *[("v", "SA", {"ack": 10})] * 3], 0, 1, 1, 0),
    "sent again after the answer": (
        [("c", "S", {"seq": 9}), ("v", "SA", {"ack": 10}), ("c", "S", {"seq": 9})], 0, 1, 1, 1,
    ),
    "answer first": ([("v", "SA", {"ack": 10}), ("c", "S", {"seq": 9})], 0, 0, 1, 0),
    "answer to another one first": (
        [("c", "S", {"seq": 7}), ("v", "SA", {"ack": 10}), ("c", "S", {"seq": 9}), ("v", "SA", {"ack": 8})], 0, 1, 2, 0,
    ),
    "another number": ([("c", "S", {"seq": 9}), ("c", "S", {"seq": 10})], 2, 2, 0, 0),
    "another number, both answered": (
        [("c", "S", {"seq": n}) for n in (9, 10)] + [("v", "SA", {"ack": n}) for n in (10, 11)], 0, 2, 2, 0,
    ),
    "refused, again": (
        [("c", "S", {"seq": 9}), ("v", "RA", {"seq": 0, "ack": 10}), ("c", "S", {"seq": 9})], 1, 1, 1, 0,
    ),
    "refused twice": (
        [("c", "S", {"seq": 9}), *[("v", "RA", {"seq": 0, "ack": 10})] * 2], 0, 1, 1, 0,
    ),
    "given up": ([("c", "S", {"seq": 9}), ("c", "R", {"seq": 10})], 0, 1, 0, 0),
    "scanned twice": (
        [("c", "S", {"seq": 9}), ("v", "SA", {"ack": 10}), ("c", "R", {"seq": 10}), ("c", "S", {"seq": 9})], 1, 1, 1, 0,
    ),
}  # fmt: skip


def test_what_is_sent_again_is_the_same_connection() -> None:
    """Each kind has a port of its own, with another connection that stays open and must not be taken for it."""
    frames, wanted = [], {}
    for port, (packets, left, peak, answers, again) in enumerate(ASKED_BY_TWO.values(), 1000):
        frames += [segment("10.1.9.9", VICTIM, 999, port, "S", seq=1), *between(port, packets)]
        syns = 1 + sum("S" in flags for who, flags, _ in packets if who == "c")
        wanted[VICTIM, port] = {
            "half_open": 1 + left, "peak": 1 + peak, "syns": syns, "answers": answers, "again": again,
        }  # fmt: skip
    rows = reported(report_of(frames, window=0.0, threshold=1, top=1000))
    assert rows == {key: row for key, row in wanted.items() if row["peak"] > 1}


def test_a_dead_server_is_no_flood() -> None:
    """20 clients, each SYN sent six times as systems do (1, 2, 4, 8, 16 s); 101 clients are a flood."""
    times = (0, 1, 3, 7, 15, 31)
    frames = [frame for at in times for frame in flood(20, at, 0.01)]
    report = report_of(frames)
    assert (report["over"], report["half_open"], report["syns"], report["again"]) == (0, 20, 120, 100)
    many = [frame for at in times for frame in flood(101, at, 0.001)]
    report = report_of(many)
    assert (report["over"], report["top"][0]["peak"], report["again"]) == (1, 101, 505)


def test_a_flood_with_numbers_of_its_own_is_one() -> None:
    """One 4-tuple, a number for each SYN."""
    frames = [segment("10.1.0.1", VICTIM, 1024, 80, "S", i * 0.001, seq=1 + 77 * i) for i in range(150)]
    assert report_of(frames)["top"][0]["half_open"] == 150


def test_answers_alone_are_nothing() -> None:
    report = report_of([answer(i) for i in range(10)])
    assert (report["destinations"], report["answers"], report["half_open"]) == (0, 0, 0)


def test_ipv6_destinations() -> None:
    frames = [segment(f"2001:db8::{i:x}", "2001:db8:1::1", 2000 + i, 443, "S") for i in range(1, 120)]
    report = report_of(frames)
    assert [(row["dst"], row["dport"], row["half_open"]) for row in report["top"]] == [("2001:db8:1::1", 443, 119)]
    assert Synflood.lines(report)[1].startswith("[2001:db8:1::1]:443  119 half-open, peak 119, ")


def test_drop_above_the_threshold_when_asked() -> None:
    frames = [*flood(150), *[answer(i) for i in range(40)], *flood(170)[150:]]
    with run([bound("synflood", threshold=100, drop=True), "sizes"], frames) as rig:
        ledger, report = rig.ledger(), rig.report("synflood")
        assert rig.report("sizes")["packets"] == ledger["accepted"]
    # 50 SYNs of the first 150; after 40 answers 110 are open, so that all 20 of the last are above the threshold.
    assert ledger["dropped"] == {"synflood": 70, "sizes": 0}
    assert report["dropped"] == 70


def test_nothing_is_dropped_unless_asked() -> None:
    with run(["synflood"], flood(150)) as rig:
        assert rig.ledger()["dropped"] == {"synflood": 0}
        assert rig.report("synflood")["over"] == 1


@pytest.mark.parametrize(
    ("silence", "left"),
    [(0, 200), (4.9, 200), (5.1, 200), (9.9, 200), (10.1, 0), (100, 0)],
)
def test_the_window_forgets(silence: float, left: int) -> None:
    """200 SYNs at the start of a half window of 5 s, and one packet elsewhere that tells what time it is."""
    start = 10 - FIRST_NS / SECOND % 10
    clock = segment("10.7.7.7", "10.8.8.8", 999, 22, "S", start + silence)
    report = report_of([*flood(200, start), clock], window=10.0)
    (row,) = report["top"]
    assert (row["half_open"], row["peak"]) == (left, 200)
    assert report["half_open"] == left + 1


@pytest.mark.parametrize(("silence", "left"), [(4.9, 201), (9.9, 201), (10.1, 1), (14.9, 1), (15.1, 1), (60, 1)])
def test_a_destination_forgets_when_it_is_asked_again(silence: float, left: int) -> None:
    start = 10 - FIRST_NS / SECOND % 10
    late = segment("10.7.7.7", VICTIM, 999, 80, "S", start + silence)
    assert report_of([*flood(200, start), late], window=10.0)["half_open"] == left


def test_old_and_recent_answers() -> None:
    """Answers take of the recent first; those of the old window go when it is forgotten."""
    start = 10 - FIRST_NS / SECOND % 10
    frames = [*flood(200, start)[:150], *flood(200, start + 6)[150:]]
    frames += [answer(i, at=start + 7) for i in (*range(10), *range(150, 200))]
    assert report_of(frames, window=10.0)["half_open"] == 140
    clock = segment("10.7.7.7", "10.8.8.8", 999, 22, "S", start + 11)
    assert report_of([*frames, clock], window=10.0)["half_open"] == 1


@pytest.mark.parametrize("count", [1, 2, 30, 300, 900])
def test_estimate_of_sources(count: int) -> None:
    twice = [*flood(count), *flood(count, flags="SE", seq=7)]
    (row,) = report_of(twice, **EVERY)["top"]
    assert abs(row["sources"] - count) <= max(1, count * 0.2)
    assert not row["sources_at_least"]


def test_estimate_of_very_many_sources() -> None:
    (row,) = report_of(flood(8000))["top"]
    assert row["sources_at_least"]
    assert row["sources"] > 1000


def test_an_asymmetric_key_leaves_syns_open() -> None:
    """As the docstring says: answers reach workers that know nothing of the SYN."""
    hosts = [f"10.3.{i // 250}.{1 + i % 250}" for i in range(200)]
    frames = [segment("10.1.1.1", host, 5000 + i, 80, "S") for i, host in enumerate(hosts)]
    frames += [segment(host, "10.1.1.1", 80, 5000 + i, "SA") for i, host in enumerate(hosts)]
    with run([bound("synflood", 8, **EVERY)], frames, queues=8) as rig:
        assert rig.report("synflood")["half_open"] == 0
    with run([bound("synflood", 8, **EVERY)], frames, queues=8, key=MICROSOFT_KEY) as rig:
        assert rig.report("synflood")["half_open"] > 100


def test_merge_is_associative() -> None:
    """States of different windows merge to the same in any grouping."""
    dice = random.Random(1)
    start = 10 - FIRST_NS / SECOND % 10
    states = []
    for i in range(6):
        frames = [*flood(50 + i, start + 3 * i), *[answer(j, at=start + 3 * i + 1) for j in range(10)]]
        with run([bound("synflood", window=10.0)], frames) as rig:
            states.append(rig.state("synflood"))
            params = rig.plugins[0].params_tuple()
    expected = Synflood.report(Synflood.merge(states), params)
    assert 0 < expected["half_open"] < sum(50 + i - 10 for i in range(6))
    for _ in range(5):
        parts = list(states)
        while len(parts) > 1:
            at, size = dice.randrange(len(parts) - 1), dice.randrange(2, 4)
            parts[at : at + size] = [Synflood.merge(parts[at : at + size])]
        assert Synflood.report(parts[0], params) == expected
