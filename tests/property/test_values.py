"""Values of all kinds: compiled filters against the same filters run as plain Python, over one queue and eight."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.kit.places import BUNDLED
from tests.kit.plainly import Packet, has_ports, run_plainly
from tests.kit.rig import FIRST_NS, Frame, read_capture, run
from zcframe import PASS, Array, Table, addr, blob, f64, i64, plugin, text, u8, u16, u32, u64
from zcframe.framework.state.columns import python_value
from zcframe.framework.state.kinds import Addr
from zcframe.framework.state.kinds import text as text_kind

WORDS = (b"GET /index.html", b"", b"a\0b\0\0", b"\xff\xfe", b"x" * 60, b"hello hello", b"Host: example.org\r\n")


@plugin
class Values:
    """All kinds, in keys and values; rows are deleted and come again."""

    ends = Table(
        key={"low": addr, "high": addr, "name": text(7)},
        value={
            "packets": u64, "first": u64.min, "balance": i64, "least": i64.min, "mean": f64, "who": addr,
            "path": text(40), "head": blob(5), "ports": u16[4], "seen": u8.bits,
        },
    )  # fmt: skip
    heads = Table(key={"head": blob(3), "port": u16}, value={"bytes": u32, "largest": u64.max}, capacity=1 << 18)
    totals = Array(f64, 2)
    signed = Array(i64, 4)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        view = pkt.payload
        low, high = min(pkt.src, pkt.dst), max(pkt.src, pkt.dst)
        row = state.ends.upsert(low, high, view[:9])
        if row:
            if row.new:
                row.first = pkt.ts
                row.who = pkt.src
                row.path = view[4:]
            if pkt.ts % 3 == 0:
                row.path = view[-len(view) // 2 :]
                row.head = row.path[1:7]
            row.packets += 1
            row.balance += pkt.wirelen if pkt.src < pkt.dst else -pkt.wirelen
            row.least = min(row.least, row.balance)
            row.mean += len(view) / 4
            row.ports[view[1] & 3] += pkt.sport
            row.seen |= 1 << (view[0] & 7)
            if row.path == b"x" * 36 or row.head.startswith(b"lo"):
                state.signed[0] -= 1
        if pkt.ts % 5 == 0:
            state.signed[1] += state.ends.delete(low, high, view)
        second = state.heads.upsert(view, pkt.dport)
        if second:
            second.bytes += pkt.payload_wirelen
            second.largest = max(second.largest, view.u32(0))
        state.totals[1] += 0.25 * len(view)
        total = 0
        for byte in view[2:20]:
            total += byte
        state.signed[2] += total if b"o" in view else -total
        state.signed[3] += view.find(b"lo", 3) + view.find(view[2:4]) * 100
        return PASS


def mapped(number: int, kind: Any) -> Any:
    return number.to_bytes(16, "big") if isinstance(kind, Addr) else number


def compiled_rows(values: np.ndarray[Any, Any], kinds: dict[str, Any]) -> list[list[Any]]:
    """As the plain run has them: addresses as numbers, text as bytes."""

    def one(kind: Any, value: Any) -> Any:
        if isinstance(kind, Addr):
            return int.from_bytes(bytes(value), "big")
        return bytes(value) if isinstance(kind, text_kind) else python_value(kind, value)

    return sorted([one(kind, row[name]) for name, kind in kinds.items()] for row in values)


def udp(random: Random, number: int) -> Frame:
    hosts = [bytes(10) + b"\xff\xff\x0a\x00\x00" + bytes([i]) for i in range(4)]
    source, target = random.sample(hosts, 2)
    payload = random.choice(WORDS) + random.choice(WORDS)[: random.randrange(4)]
    datagram = struct.pack("!4H", random.randrange(5), 53 + random.randrange(2), 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0, source[12:], target[12:])
    return Frame(bytes(12) + b"\x08\x00" + head + datagram, FIRST_NS + number * 7)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    random = Random(5)
    made = [udp(random, number) for number in range(1500)]
    return made + [frame for frame in read_capture(BUNDLED)[:3000] if has_ports(frame.data) and len(frame.data) < 2000]


@pytest.mark.parametrize("queues", [1, 8])
def test_compiled_values_are_those_of_plain_python(frames: list[Frame], queues: int) -> None:
    state = run_plainly(Values, [Packet(frame.data, frame.ts) for frame in frames])
    with run([Values], frames, queues=queues, fields="ip-pair") as rig:
        assert rig.ledger()["faulted"] == {"values": 0}
        found = rig.state("values")
    assert found.lost == {"ends": 0, "heads": 0}
    for name in ("ends", "heads"):
        member = next(member for member in found.layout.members if member.name == name)
        expected = getattr(state, name).rows()
        assert len(expected) > 20
        assert compiled_rows(getattr(found, name), member.kinds) == expected
    assert found.signed.tolist() == state.signed
    assert found.totals.tolist() == state.totals
    assert found.signed[1] > 50
