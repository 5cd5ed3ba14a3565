"""State of a plugin from filter to report: bounds, widths, faults and what they undo, prefetch, expiry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scapy.compat import raw
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether

from tests.kit.rig import FIRST_NS, Frame, bound, run
from zcframe import DROP, PASS, Array, Param, Table, addr, i64, plugin, text, u8, u16, u32, u64

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def udp(dport: int, at: int = 0) -> Frame:
    return Frame(raw(ether / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=dport)), FIRST_NS + at)


@plugin(per="worker")
class Guarded:
    """Counts by port number: ports from 8 on are out of range; marks are set before and after."""

    counts = Array(u64, 8)
    before = Array(u64, 1)
    after = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.before[0] += 1
        state.counts[pkt.dport - 4] += 1
        state.after[0] += 1
        return PASS


def test_an_index_out_of_range_is_a_fault_of_that_plugin_alone() -> None:
    ports = [4, 5, 11, 12, 3, 65535, 4]
    with run([Guarded, "sizes"], [udp(port) for port in ports]) as rig:
        state, ledger, sizes = rig.state("guarded"), rig.ledger(), rig.report("sizes")
    assert state.counts.tolist() == [2, 1, 0, 0, 0, 0, 0, 1]
    # What the packet had changed before its fault is undone.
    assert (state.before[0], state.after[0]) == (4, 4)
    assert ledger["faulted"] == {"guarded": 3, "sizes": 0}
    assert (ledger["accepted"], ledger["packets"]) == (4, 7)
    assert sizes["packets"] == 4


def test_plugins_before_a_fault_keep_their_counts() -> None:
    with run(["sizes", Guarded], [udp(port) for port in (4, 12)]) as rig:
        assert rig.report("sizes")["packets"] == 2
        assert rig.state("guarded").before[0] == 1


@plugin(per="worker")
class Overflowing:
    """An index that overflows 64 bits to -2: positive for LLVM, which trusts that sums of positive numbers are."""

    first = Array(u64, 8)
    second = Array(u64, 8)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        most = 0x7FFFFFFFFFFFFFFF
        state.second[(pkt.src_lo & most) + (pkt.dst_lo & most)] = 0x1234
        return PASS


def test_an_index_that_overflowed_is_out_of_range() -> None:
    packet = raw(ether / IPv6(src="::7fff:ffff:ffff:ffff", dst="::7fff:ffff:ffff:ffff") / UDP())
    with run([Overflowing], [packet]) as rig:
        assert rig.ledger()["faulted"] == {"overflowing": 1}
        # No page was ever written to.
        assert rig.states("overflowing") == []


@plugin(per="worker")
class Careless:
    """Uses rows without asking whether they are there."""

    ports = Table(key={"port": u64}, value={"packets": u64})
    found = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.dport == 1:
            state.ports.find(99).packets += 1
        elif pkt.dport == 2:
            state.found[0] = state.ports.find(99).packets
        elif pkt.dport == 3:
            state.ports.find(99).packets = 5
        else:
            state.ports.upsert(pkt.dport).packets += 1
        return PASS


def test_a_row_that_is_not_there_is_a_fault_not_a_crash() -> None:
    with run([Careless], [udp(port) for port in (1, 2, 3, 80, 80)]) as rig:
        assert rig.ledger()["faulted"] == {"careless": 3}
        (row,) = rig.state("careless").ports
    assert (int(row["port"]), int(row["packets"])) == (80, 2)


@plugin(per="worker")
class Widths:
    bytes1 = Array(u8, 1)
    bytes2 = Array(u16, 1)
    bytes4 = Array(u32, 1)
    bytes8 = Array(u64, 1)
    rows = Table(key={"k1": u8, "k2": u16, "k4": u32}, value={"v1": u8, "v2": u16, "v4": u32, "v8": u64})

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.bytes1[0] += 250
        state.bytes2[0] += 65000
        state.bytes4[0] -= 1
        state.bytes8[0] -= 1
        row = state.rows.upsert(0x1FF, 0x1FFFF, -1)
        if row:
            row.v1 += 200
            row.v2 -= 1
            row.v4 = -2
            row.v8 -= 1
        return PASS


def test_scalars_wrap_at_their_width() -> None:
    with run([Widths], [udp(1), udp(1)]) as rig:
        state = rig.state("widths")
    assert [int(a[0]) for a in (state.bytes1, state.bytes2, state.bytes4, state.bytes8)] == [
        500 % 2**8, 130000 % 2**16, 2**32 - 2, 2**64 - 2,
    ]  # fmt: skip
    (row,) = state.rows
    assert row.tolist() == (0xFF, 0xFFFF, 2**32 - 1, 400 % 2**8, 2**16 - 2, 2**32 - 2, 2**64 - 2)


@plugin(per="worker")
class Greedy:
    """Changes as much state for a packet as its port says."""

    words = Array(u64, 4096)
    packets = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[0] += 1
        for i in range(pkt.dport):
            state.words[i] += 1
        return PASS


def test_a_transaction_has_room_for_64_kib() -> None:
    """An entry of a word takes 16 bytes of the journal. What is too much for a burst is not too much for its packets."""
    room = 64 * 1024 // 16
    with run([Greedy], [udp(room - 1), udp(room), udp(room + 1), udp(5)]) as rig:
        assert rig.ledger()["faulted"] == {"greedy": 2}
        state = rig.state("greedy")
    assert state.packets[0] == 2
    assert int(state.words.sum()) == room - 1 + 5


@plugin(per="worker")
class Verdicts:
    strict = Param(False)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.dport == 1 or (params.strict and pkt.dport == 2):
            return DROP
        return PASS


@pytest.mark.parametrize(("strict", "dropped"), [(False, 1), (True, 2)])
def test_verdicts(strict: bool, dropped: int) -> None:
    with run([bound(Verdicts, strict=strict), "sizes"], [udp(port) for port in (1, 2, 3, 4)]) as rig:
        assert rig.ledger()["dropped"] == {"verdicts": dropped, "sizes": 0}
        assert rig.report("sizes")["packets"] == 4 - dropped


@plugin(per="worker")
class Peeking:
    """A prefetch that faults for some packets and reads an Array."""

    limits = Array(u64, 4)
    packets = Array(u64, 1)

    @staticmethod
    def prefetch(pkt, state, params):  # type: ignore[no-untyped-def]
        state.limits[pkt.dport + state.limits[0]]

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[0] += 1
        return PASS


def test_a_fault_in_prefetch_is_nothing_to_the_packet() -> None:
    with run([Peeking], [udp(port) for port in (1, 1000, 2)]) as rig:
        assert rig.ledger()["faulted"] == {"peeking": 0}
        assert rig.state("peeking").packets[0] == 3


@plugin
class ByBucket:
    packets = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[0] += 1
        return PASS


@plugin(per="worker")
class ByWorker:
    packets = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[0] += 1
        return PASS


def test_state_by_bucket_and_by_worker() -> None:
    """Each bucket has a shard of its own, packets without hash the 129th; or each worker has one."""
    frames = [udp(port).data for port in range(300)] + [raw(ether / ARP())] * 3
    with run([ByBucket, bound(ByWorker, 4)], frames, queues=4) as rig:
        shards = [rig.memory.copy(0, shard) for shard in range(129)]
        by_bucket = [0 if shard is None else int(shard.view("u8")[0]) for shard in shards]
        by_worker = [int(state.packets[0]) for state in rig.states("byworker")]
        packets = [int(post.ledger()[0]) for post in rig.posts]
        assert rig.state("bybucket").packets[0] == rig.state("byworker").packets[0] == 303
    assert by_bucket[128] == 3
    assert sum(n > 0 for n in by_bucket) > 60
    assert by_worker == packets
    assert [sum(by_bucket[q:128:4]) + (3 if q == 0 else 0) for q in range(4)] == packets


@plugin(per="worker")
class Times:
    idle = Param(10.0)
    ports = Table(key={"port": u64}, value={"packets": u64, "last": u64.max}, capacity=16, idle=idle, last="last")

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.ports.upsert(pkt.dport)
        if row:
            row.packets += 1
            row.last = pkt.ts
        return PASS


def test_idle_rows_give_up_their_room() -> None:
    """16 slots are one window: the row that was idle for longest goes, if it was for more than 10 s."""
    second = 10**9
    frames = [udp(port, port * second) for port in range(16)]
    with run([Times], frames) as rig:
        rig.feed([udp(100, 10 * second), udp(0, 10 * second + 1)])
        assert (rig.state("times").lost["ports"], len(rig.state("times").ports)) == (1, 16)
        rig.feed([udp(101, 12 * second)])
        state = rig.state("times")
        assert (state.lost["ports"], state.expired["ports"], len(state.ports)) == (1, 1, 16)
        assert set(state.ports["port"].tolist()) == {0, *range(2, 16), 101}
        rig.feed([udp(102, 12 * second + 1)])
        assert set(rig.state("times").ports["port"].tolist()) == {0, *range(3, 16), 101, 102}


def test_tables_of_equal_keys_have_secret_orders() -> None:
    """The slot of a key is another in each run: nobody outside can choose keys that collide."""
    orders = set()
    for _ in range(4):
        with run([Times], [udp(port) for port in range(12)]) as rig:
            orders.add(tuple(rig.states("times")[0].ports["port"].tolist()))
            names: Any = rig.state("times").ports.dtype.names
    assert names == ("port", "packets", "last")
    assert len(orders) > 1


def test_states_in_report_are_numpy_arrays() -> None:
    with run([Times, "sizes"], [udp(5)]) as rig:
        assert isinstance(rig.state("times").ports, np.ndarray)
        assert rig.state("sizes").lengths.dtype == np.uint64
        assert repr(rig.state("times")) == "State(ports: 1)"


@plugin(per="worker")
class CarelessWords:
    """Strings and several numbers of rows that are not there, indices that are out of range, too much for a packet."""

    names = Table(key={"name": text(8)}, value={"packets": u64, "path": text(4096), "ports": u16[2], "who": addr})
    seen = Array(i64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.names.upsert(b"mine")
        row.packets += 1
        row.path = b"before"
        state.seen[0] -= 1
        none = state.names.find(b"none")
        if pkt.dport == 1:
            state.seen[0] += len(none.path)
        elif pkt.dport == 2:
            none.path = pkt.frame
        elif pkt.dport == 3:
            row.ports[pkt.dport] = 1
        elif pkt.dport == 4:
            state.seen[0] += none.ports[0]
        elif pkt.dport == 5:
            state.seen[0] += none.who.lo
        elif pkt.dport == 6:
            for _ in range(100):
                row.path = pkt.frame
        row.path = pkt.payload
        return PASS


def test_strings_of_a_row_that_is_not_there_are_faults() -> None:
    frames = [udp(port) for port in (1, 2, 3, 4, 5)]
    frames += [raw(ether / IP() / UDP(dport=port) / (b"x" * 1400)) for port in (6, 7)]
    with run([CarelessWords], frames) as rig:
        assert rig.ledger()["faulted"] == {"carelesswords": 6}
        state = rig.state("carelesswords")
    (row,) = state.names
    assert (row["packets"], row["path"], row["ports"].tolist(), state.seen.tolist()) == (1, b"x" * 1400, [0, 0], [-1])
