"""A worker is killed after any store while flows begin, end and begin anew, and their streams fill."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.flow.analyzers import LIMIT
from tests.kit.flowbook import ACK, FIN, SYN, End, Sent
from tests.kit.rig import FIRST_NS, Frame, Rig, bound
from tests.kit.segments import frame_of
from tests.property.test_kill import GATE, STEPPED, Gate, Trial, at_gate, check_each_change, post, results, succeed
from zcframe import PASS, Flows, LogHist, Moments, Table, blob, plugin, text, u16, u64

CLIENT, SERVER = (bytes(10) + b"\xff\xff\x0a\0\0\x09", 40000), (bytes(10) + b"\xff\xff\x0a\0\0\x02", 80)
HALF = LIMIT // 2


@plugin(per="worker")
class Kept:
    """All that a flow may hold, and what its stream was at each packet. It raises on a payload that begins with a !."""

    flows = Flows(
        {"bytes": u64, "name": text(40), "ports": u16[3], "wire": Moments(), "sizes": LogHist(error=1 / 4)},
        capacity=16,
        stream=LIMIT,
    )
    seen = Table({"ts": u64}, {"octets": blob(LIMIT), "gap": u64, "packets": u64}, capacity=64)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        f = state.flows.of(pkt)
        row = state.seen.upsert(pkt.ts)
        if f and row:
            f.bytes += pkt.wirelen
            f.ports[2] += 1
            f.wire.add(pkt.wirelen)
            f.sizes.add(pkt.wirelen)
            row.octets = f.stream(pkt)
            if pkt.payload:
                f.name = pkt.payload
            row.gap = f.gap
            row.packets = f.ports[2]
        if pkt.payload[0] == 33:
            raise ValueError("no")
        return PASS


def of(number: int, src: End, dst: End, seq: int, data: bytes = b"", flags: int = ACK, proto: int = 6) -> Frame:
    return Frame(frame_of(Sent(FIRST_NS + number, src, dst, proto, data, flags, seq)), FIRST_NS + number)


# The third one raises, so that what was before it is committed when the others, up to the last, are taken back.
FRAMES = (
    of(0, CLIENT, SERVER, 99, flags=SYN),
    of(1, CLIENT, SERVER, 100, b"a" * HALF),
    of(2, CLIENT, SERVER, 100, b"!"),
    of(3, SERVER, CLIENT, 500, b"b" * 8),
    of(4, CLIENT, SERVER, 100 + HALF, b"c" * 4),
    of(5, CLIENT, SERVER, 140, b"d" * 4),
    of(6, CLIENT, SERVER, 138, b"e" * 4, ACK | FIN),
    of(7, CLIENT, SERVER, 9999, flags=SYN),
    of(8, CLIENT, SERVER, 10010, b"f" * HALF),
    of(9, CLIENT, SERVER, 10000, b"g" * HALF),
    of(10, SERVER, CLIENT, 0, b"u" * 5, proto=17),
    of(11, SERVER, CLIENT, 0, b"!", proto=17),
)
PLUGINS = bound(Gate, ts=FRAMES[GATE].ts), bound(Kept)


@pytest.fixture(autouse=True)
def no_tracer() -> Iterator[None]:
    """The Gate's signal is for tracers."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_flows() -> None:
    assert len(FRAMES) == STEPPED
    with Rig(*PLUGINS, slots=64).feed(FRAMES) as rig:
        expected, state = results(rig), rig.state("kept")
    seen = {int(row.ts) - FIRST_NS: (row.octets, int(row.gap)) for row in state.seen}
    assert seen[4] == (b"a" * HALF + b"cccc", 0) and seen[5] == (b"a" * HALF + b"cccc", 4)
    assert seen[6] == (b"a" * HALF + b"cccc", 2) and seen[9] == (b"g" * 10 + b"f" * HALF, 0)
    assert state.expired["flows"] == 1 and len(state.flows) == 2
    assert expected["ledger"]["faulted"]["kept"] == 2
    trial = Trial(FRAMES, 64, expected, PLUGINS)
    with post(trial) as made:
        with at_gate(made) as traced:
            changes = check_each_change(made.rig, traced, expected)
        assert changes > 100
        assert succeed(made.rig) == expected
