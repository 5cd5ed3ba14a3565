"""Flows and their streams against a model, for any segments: repeated, reordered, overlapping, of ports used again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.flow.analyzers import IDLE, LIMIT, Few, Told
from tests.kit import rig as rig_module
from tests.kit.command import zcframe
from tests.kit.flowbook import ACK, FIN, RST, SYN, Book, Sent
from tests.kit.flowbook import Told as Expected
from tests.kit.places import ROOT
from tests.kit.rig import FIRST_NS, Frame, Rig, run
from tests.kit.segments import frame_of
from zcframe import Flows
from zcframe.framework.chain.build import build_chain
from zcframe.framework.state.merge import merge_states

MAPPED = bytes(10) + b"\xff\xff"
CLIENT, SERVER = (MAPPED + bytes([10, 0, 0, 9]), 40000), (MAPPED + bytes([10, 0, 0, 2]), 80)
SECOND = 10**9
CONTENT = bytes(range(256))


@pytest.fixture(scope="module", autouse=True)
def one_chain() -> Iterator[None]:
    """The rigs of this file share their chain."""
    chains: dict[Any, Any] = {}

    def built(plugins: Sequence[Any], **more: Any) -> Any:
        names = tuple(one.name for one in plugins)
        if names not in chains:
            chains[names] = build_chain(plugins, **more)
        return chains[names]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig_module, "build_chain", built)
        yield


def told(rig: Rig) -> dict[int, Expected]:
    """What the filter was told, by the packets' times."""
    found = {}
    for row in rig.state("told").told:
        bits = [bool(int(row.bits) >> i & 1) for i in range(5)]
        new, forward, established, closing, closed = bits
        end = bytes(row.src), int(row.sport)
        found[int(row.ts)] = Expected(row.octets, int(row.gap), new, forward, established, closing, closed, end)
    return found


@st.composite
def segments(draw: st.DrawFn) -> list[Sent]:
    """Packets of one pair of ends by TCP and UDP: connections after each other, whose segments come as they like."""
    sent, at = [], FIRST_NS
    base = {CLIENT: draw(st.integers(0, (1 << 32) - 1)), SERVER: (1 << 32) - 20}
    for _ in range(draw(st.integers(1, 40) | st.integers(20, 60))):
        at += draw(st.sampled_from([1, 1000, SECOND, SECOND, (IDLE + 1) * SECOND]) if sent else st.just(1))
        src, dst = draw(st.sampled_from([(CLIENT, SERVER), (SERVER, CLIENT)]))
        begin, length = draw(st.integers(-8, LIMIT + 8)), draw(st.integers(0, 24))
        kind = draw(st.sampled_from(["data"] * 24 + ["udp", "udp", "syn", "again", "answer", "fin", "rst", "null"]))
        # What is sent again may differ: the first to come holds.
        first = (src == SERVER) * 100 + draw(st.sampled_from([0, 0, 0, 50]))
        data = bytes(CONTENT[(first + begin + i) & 255] for i in range(length))
        if kind == "udp":
            sent.append(Sent(at, src, dst, 17, data, wire=length + draw(st.sampled_from([0, 0, 3]))))
            continue
        if kind == "again":
            base[src] = draw(st.integers(0, (1 << 32) - 1))
        flags = {"syn": SYN, "again": SYN, "answer": SYN | ACK, "fin": FIN | ACK, "rst": RST, "null": 0}.get(kind, ACK)
        seq = base[src] + (begin if kind in ("data", "fin", "null") else -1)
        sent.append(Sent(at, src, dst, 6, b"" if flags & (SYN | RST) else data, flags, seq % (1 << 32)))
    return sent


def frames(sent: Sequence[Sent]) -> list[Frame]:
    wire = [max(one.wire, 0) - len(one.data) if one.wire >= 0 else 0 for one in sent]
    return [
        Frame(frame_of(one), one.ts, len(frame_of(one)) + more if more else 0)
        for one, more in zip(sent, wire, strict=True)
    ]


@given(sent=segments())
@settings(max_examples=200, deadline=None)
def test_any_segments(sent: list[Sent]) -> None:
    book = Book(IDLE * SECOND, LIMIT)
    expected = {one.ts: book.take(one) for one in sent}
    with run([Told], frames(sent)) as rig:
        assert told(rig) == expected
        state = rig.state("told")
        assert not any(rig.ledger()["faulted"].values())
        rows = {int(row.proto): row for row in state.flows}
        assert rows.keys() == {proto for _, proto in book.living}
        for (_, proto), flow in book.living.items():
            row = rows[proto]
            assert (int(row.first_ns), int(row.last_ns)) == (flow.first, flow.last)
            assert (bytes(row.src), int(row.sport), bytes(row.dst), int(row.dport)) == (*flow.src, *flow.dst)
        assert state.expired["flows"] == len(book.over)
        # Nothing is lost of flows that ended.
        assert int(state.flows["packets"].sum()) + state.given_up["flows"]["packets"] == len(sent)


@given(sent=segments(), cuts=st.lists(st.integers(1, 40), max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_bursts(sent: list[Sent], cuts: list[int]) -> None:
    """However the ring is filled, and over several queues."""
    with run([Told], frames(sent)) as rig:
        expected = told(rig), [row.tobytes() for row in rig.state("told").flows]
    with Rig(Told) as rig:
        for number, frame in enumerate(frames(sent)):
            rig.put(frame)
            if number in cuts:
                rig.drain(0)
        rig.drain(0)
        assert (told(rig), [row.tobytes() for row in rig.state("told").flows]) == expected


def test_islands() -> None:
    """Four pieces behind a gap are held on to, and a fifth is not; the gap is told until it is filled."""
    data = lambda begin, end: Sent(FIRST_NS + next(clock), CLIENT, SERVER, 6, CONTENT[begin:end], ACK, 1000 + begin)  # noqa: E731
    clock = iter(range(1, 100))
    sent = [Sent(FIRST_NS, CLIENT, SERVER, 6, flags=SYN, seq=999)]
    sent += [data(at, at + 2) for at in (8, 4, 16, 12, 20)]
    sent += [data(0, 4), data(6, 8), data(10, 20), data(20, 90)]
    with run([Told], frames(sent)) as rig:
        found = told(rig)
    assert [found[one.ts].gap for one in sent] == [0, 8, 4, 4, 4, 4, 2, 2, 0, 0]
    assert [len(found[one.ts].data) for one in sent][6:] == [6, 10, 20, LIMIT]
    assert found[sent[-1].ts].data == CONTENT[:LIMIT]


def test_the_first_bytes_to_come_hold() -> None:
    """Over an island from the front, from within, over two of them, and over what is in order."""
    pieces = [(20, 24, 0), (18, 22, 1), (23, 26, 2), (30, 32, 3), (16, 34, 4), (0, 4, 5), (2, 40, 6)]
    sent = [Sent(FIRST_NS, CLIENT, SERVER, 6, flags=SYN, seq=999)]
    for number, (begin, end, letter) in enumerate(pieces, 1):
        data = bytes([ord("a") + letter]) * (end - begin)
        sent.append(Sent(FIRST_NS + number, CLIENT, SERVER, 6, data, ACK, 1000 + begin))
    with run([Told], frames(sent)) as rig:
        found = told(rig)[sent[-1].ts].data
    assert found == b"f" * 4 + b"g" * 12 + b"ee" + b"bb" + b"aaaa" + b"cc" + b"eeee" + b"dd" + b"ee" + b"g" * 6


def test_merge_sees_a_flow_from_the_end_that_began() -> None:
    """Two interfaces, of which each saw one direction: one row, in any order of the states."""
    sent = [
        Sent(FIRST_NS, SERVER, CLIENT, 6, flags=SYN, seq=5),
        Sent(FIRST_NS + 1, CLIENT, SERVER, 6, flags=SYN | ACK, seq=7),
        Sent(FIRST_NS + 2, CLIENT, SERVER, 6, b"x", flags=ACK, seq=8),
    ]
    halves = []
    for half in (sent[:1], sent[2:]):
        with run([Told], frames(half)) as rig:
            halves.append(rig.state("told"))
    for order in (halves, halves[::-1]):
        (row,) = merge_states(order).flows
        assert (bytes(row.src), bytes(row.dst), int(row.packets)) == (SERVER[0], CLIENT[0], 2)
    with run([Told], frames(sent[1:])) as rig:
        (row,) = rig.state("told").flows
    # An answer names the end that began.
    assert (bytes(row.src), int(row.sport)) == SERVER


def test_a_full_table_gives_the_room_of_flows_that_are_over() -> None:
    """First that of closed ones, after `idle` that of silent ones; their streams are nobody else's."""
    client = [(CLIENT[0], 1000 + number) for number in range(40)]

    def udp(number: int, seconds: int = 0) -> Sent:
        return Sent(FIRST_NS + number + seconds * SECOND, client[number], SERVER, 17, b"%02d" % number)

    reset = Sent(FIRST_NS + 15, client[15], SERVER, 6, flags=RST)
    full = [*(udp(number) for number in range(15)), reset]
    # The first finds the room of the connection, the next is in the overflow, those after `idle` have that of silent ones.
    sent = [*full, udp(16), udp(17), *(udp(number, 2 * IDLE) for number in range(20, 30))]
    with run([Few], frames(sent)) as rig:
        state = rig.state("few")
    assert {row.octets for row in state.flows} == {
        *(b"%02d" % number for number in (*range(10, 15), 16, 17)),
        *(b"%02d" % number for number in range(20, 30)),
    }
    assert (state.lost["flows"], state.expired["flows"]) == (0, 11)
    assert state.given_up["flows"]["packets"] == 11


def test_what_is_no_ip() -> None:
    with run([Told], [bytes(12) + b"\x88\xcc" + bytes(40)]) as rig:
        assert len(rig.state("told").flows) == 0


def test_needs_a_flow_in_one_place() -> None:
    assert Told.__zcframe__.needs == "5-tuple"  # type: ignore[attr-defined]
    assert isinstance(Told.flows, Flows)


def test_a_run_that_would_part_directions_is_refused() -> None:
    done = zcframe("run", "--rss-key", "microsoft", "--plugin", ROOT / "examples" / "plugins" / "tls_names.py")
    assert done.code == 2
    assert "plugin tlsnames needs all packets of a flow in one place" in done.stderr
