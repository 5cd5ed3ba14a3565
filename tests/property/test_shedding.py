"""What of each flow goes on: the same as dictionaries in plain Python say, and also where a worker is killed."""

from __future__ import annotations

import ctypes
import random
import signal
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tests.kit.flowmodel import Model
from tests.kit.places import BUNDLED
from tests.kit.reference import headers
from tests.kit.rig import Frame, Rig, bound, read_capture
from tests.property.test_handover import check_each_change, fork_with, read
from tests.property.test_kill import GATE, STEPPED, Gate, Post, Trial, at_gate, results
from zcframe.framework.chain.generate import chain_source
from zcframe.framework.chain.handover import BOOK, END, FULL, LINE, TALLY, HandOver, Shedding
from zcframe.framework.chain.shedding import FLOWS, ONE_SIDED, REASONS
from zcframe.framework.chain.workspace import GENERATION
from zcframe.framework.outputs.writer.account import READS
from zcframe.framework.rss import SYMMETRIC_KEY
from zcframe.framework.rss.keys import rss_key
from zcframe.framework.rss.toeplitz import hash_frame
from zcframe.framework.share import Shares
from zcframe.framework.share.choose import share_by
from zcframe.framework.state.flows import IDLE_NS
from zcframe.framework.state.merge import merge_states, read_shard
from zcframe.framework.supervisor.flows import flows_seen
from zcframe.framework.worker.recover import recover

RING = 1 << 17
SECOND = 10**9


def hashed_alike(frame: Frame) -> bool:
    """Not so few packets of multicast groups, which lie in another bucket than the rest of their flow."""
    return headers(frame.data) is None or hash_frame(frame.data, SYMMETRIC_KEY, "ip-pair")[0] != 0


TRACE = [frame for frame in read_capture(BUNDLED) if hashed_alike(frame)]


def later(frames: Sequence[Frame], ns: int) -> list[Frame]:
    return [frame._replace(ts=frame.ts + ns) for frame in frames]


# Connections that come back at once, behind their ends, and flows that come back when they were forgotten.
SPAN = TRACE[-1].ts - TRACE[0].ts
FRAMES = [*TRACE, *later(TRACE, SPAN + SECOND), *later(TRACE, 2 * SPAN + IDLE_NS + SECOND)]


class Reading:
    """A rig whose output has a reader in this process: `take(position)` reads up to there."""

    def __init__(self, shedding: Shedding) -> None:
        output = HandOver("pcap", shedding=shedding)
        options = {"outputs": [output], "ring_bytes": RING, "waits": False, "fields": "ip-pair"}
        self.rig = Rig("sizes", slots=256, **options)
        rings = self.rig.outputs[0]
        self._accounts = rings.map_accounts(writable=True)
        self._reads = self._accounts.view("u8", rings.account_offset(0) + READS, 1)
        self.records = b""

    @property
    def position(self) -> int:
        return int(self._reads[0])

    def line(self, at: int) -> Any:
        generation = int(self.rig.posts[0].progress.view("u8", GENERATION)[0])
        return self.rig.workers[0]._handed[0][0].view("i8", at + (generation & 1) * LINE, LINE // 8)

    @property
    def end(self) -> int:
        return int(self.line(0)[END // 8])

    def take(self, position: int) -> None:
        data = self.rig.workers[0]._handed[0][1].at(0)
        self.records += ctypes.string_at(data + (self.position & RING - 1), position - self.position)
        self._reads[0] = position

    def counts(self) -> dict[str, int]:
        tally = self.line(TALLY)
        shed = {reason: int(count) for reason, count in zip(REASONS, tally, strict=False)}
        found = shed | {"ring_full": int(self.line(0)[FULL // 8])}
        return {name: count for name, count in found.items() if count}

    def close(self) -> None:
        del self._reads
        self._accounts.close()
        self.rig.close()


def compare(shedding: Shedding, seed: int) -> Model:
    """Frames go through both, with a reader that stalls now and then; returns what the model knows."""
    rng, expected = random.Random(seed), []
    reading = Reading(shedding)
    model = Model(RING, lambda: reading.position, *shedding)
    try:
        at = stalled = 0
        while at < len(FRAMES):
            some = FRAMES[at : at + rng.randrange(1, 200)]
            at += len(some)
            expected += [frame.data for frame in some if model.offer(frame.data, frame.ts) == "written"]
            reading.rig.feed(some)
            assert reading.end == model.end
            stalled = stalled - 1 if stalled else rng.choice((0, 0, 0, 40))
            if not stalled:
                reading.take(reading.position + (reading.end - reading.position if rng.random() < 0.7 else 0))
        reading.take(reading.end)
        # In order; and what was left out is counted by its reason.
        assert [data for _, data in read(reading.records)] == expected
        assert reading.counts() == {name: count for name, count in model.counts.items() if name != "written"}
        tally = reading.line(TALLY)
        assert (tally[FLOWS // 8], tally[ONE_SIDED // 8]) == (len(model.all), model.one_sided)
        assert reading.rig.ledger()["accepted"] == len(FRAMES)
    finally:
        reading.close()
    return model


@pytest.mark.parametrize(("mode", "keep"), [("new", 10), ("new", 0), ("elephants", 3)])
def test_whole_flows_are_shed(mode: str, keep: int) -> None:
    model = compare(Shedding(mode, keep), keep)
    assert model.counts[mode] > 100
    for flow in model.all:
        assert "written" not in flow.fates[flow.fates.index(mode) :] if mode in flow.fates else True
        assert mode not in flow.fates[:keep]


@pytest.mark.parametrize("octets", [1, 2000])
def test_a_flow_is_shunted_behind_its_first_bytes(octets: int) -> None:
    """Exactly these go on: the frames that the first BYTES are in, whole."""
    model = compare(Shedding("off", 10, octets), octets)
    assert model.counts["shunt"] > 50
    assert all(flow.bytes > octets for flow in model.all if "shunt" in flow.fates)


def test_an_output_that_knows_no_flows_has_nothing_of_it() -> None:
    plugins = [bound("sizes")]
    plain, knowing = (chain_source(plugins, [HandOver("pcap", shedding=one)]) for one in (None, Shedding()))
    assert not any(word in plain for word in ("shed", "tally", "bucket,"))
    assert "shed(" in knowing and "take_up_tally(" in knowing


def test_both_at_once() -> None:
    model = compare(Shedding("new", 2, 3000), 5)
    assert model.counts["new"] and model.counts["shunt"]


def _udp(port: int, number: int, *, back: bool = False, size: int = 100) -> bytes:
    ends = (0x0A000001, 0x0A000002) if not back else (0x0A000002, 0x0A000001)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, size - 14, number & 0xFFFF, 0, 64, 17, 0, *ends)
    ports = (port, 53) if not back else (53, port)
    head = bytes(12) + b"\x08\0" + ip + struct.pack(">HHHH", *ports, size - 34, 0)
    return head + bytes(size - len(head))


def _tables(rig: Rig) -> list[Any]:
    place = len(rig.plugins) + 1
    layout = rig.memory.layouts[place]
    copies = [rig.memory.copy(place, shard) for shard in range(layout.shards)]
    return [read_shard(layout, copy) for copy in copies if copy is not None]


def test_the_table_stays_bounded_and_the_silent_give_way() -> None:
    """More flows than places in one bucket: one that goes on is never forgotten, and none blocks."""
    output = HandOver("pcap", shedding=Shedding("off", 10, 1000))
    with Rig("sizes", slots=256, outputs=[output], ring_bytes=1 << 23, fields="ip-pair") as rig:
        frames = []
        for number in range(6000):
            frames.append(_udp(number + 1000, number))
            if number % 100 == 0:
                frames.append(_udp(7, number))
        rig.feed(frames)
        handed = [data for _, data in read(rig.handed())]
        seen = flows_seen(_tables(rig))
    assert sum(data[34:36] == b"\0\7" for data in handed) == 10
    assert len(handed) == 6000 + 10
    assert 3000 < seen.replaced < 6000
    (one,) = seen.largest
    assert (one.a_port, one.b_port, one.packets, one.bytes) == (7, 53, 60, 6000)
    assert (one.a, one.b, one.proto, one.reason) == ("10.0.0.1", "10.0.0.2", 17, "shunt")


def test_parts_of_a_flow_that_two_workers_saw_count_once() -> None:
    """The published key scatters directions over the queues: each half is one-sided, the flow is not."""
    output = HandOver("pcap", share_by("ip-pair"), "ip-pair", shedding=Shedding())
    shares = Shares.parse("ip-pair", "2")
    options: dict[str, Any] = {"outputs": [output], "shares": shares, "queues": 4, "key": rss_key("microsoft")}
    frames = [_udp(port, n, back=bool(n & 1)) for n in range(4) for port in range(1000, 1100)]
    with Rig("sizes", **options).feed(frames) as rig:
        seen, merged = flows_seen(_tables(rig)), merge_states(_tables(rig))
        counted = sum(_tally(rig, queue, share)[FLOWS // 8] for queue in range(4) for share in range(2))
        one_sided = sum(_tally(rig, queue, share)[ONE_SIDED // 8] for queue in range(4) for share in range(2))
    assert len(merged.rows) == 100 < counted
    twice = np.sum(list(seen.twice.values()), axis=0)
    assert (counted - twice[0], one_sided - twice[1]) == (100, 0)


def _tally(rig: Rig, queue: int, share: int) -> Any:
    generation = int(rig.posts[queue].progress.view("u8", GENERATION)[0])
    books = rig.workers[queue]._handed[0][0]
    return books.view("i8", share * BOOK + TALLY + (generation & 1) * LINE, LINE // 8).copy()


# --- kills


@pytest.fixture(scope="module", autouse=True)
def no_tracer() -> Iterator[None]:
    """The Gate's signal is for tracers."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGUSR1, before)


SHEDDING = [HandOver("pcap", shedding=Shedding("new", 1, 250)), HandOver("pcapng", shedding=Shedding("off", 1, 150))]
# Flows that began before the gate and behind it, in both directions, some of them too long.
KILLED = tuple(Frame(_udp(1000 + n % 4, n, back=n % 3 == 0), SECOND + n * 1000) for n in range(STEPPED))
KILL_PLUGINS = (bound(Gate, ts=KILLED[GATE].ts), bound("sizes"))


class SheddingPost(Post):
    """A post whose worker sheds, since the reader of its first output is far behind."""

    def __init__(self, trial: Trial) -> None:
        self.rig = pressed_rig()
        for frame in trial.frames:
            self.rig.put(frame)

    def fork(self, before: Any, run: Any) -> int:
        return fork_with(self.rig, before, run)


def pressed_rig() -> Rig:
    rig = Rig(*KILL_PLUGINS, slots=64, outputs=SHEDDING, ring_bytes=RING, waits=False)
    # As if more than half of the ring had been filled before.
    for at in (0, LINE):
        rig.workers[0]._handed[0][0].view("u8", at, 1)[0] = RING // 2 + 64
    return rig


def outcome(rig: Rig) -> dict[str, Any]:
    def all_of_it(rig: Rig) -> dict[str, Any]:
        rows = sorted(row for state in _tables(rig) for row in state.rows.tolist())
        more = sorted(row for k in (3, 4) for row in _rows(rig, k))
        tallies = [_tally(rig, 0, 0).tolist(), rig.workers[0]._handed[1][0].view("i8", 0, BOOK // 8)[32:].tolist()]
        return {"rows": rows, "more": more, "tally": tallies[0], "pcap": rig.handed(), "ng": rig.handed(output=1)}

    return results(rig, all_of_it)


def _rows(rig: Rig, place: int) -> list[Any]:
    layout = rig.memory.layouts[place]
    copies = [rig.memory.copy(place, shard) for shard in range(layout.shards)]
    return [row for copy in copies if copy is not None for row in read_shard(layout, copy).rows.tolist()]


def _succeed(rig: Rig) -> dict[str, Any]:
    worker = rig.workers[0]
    recover(worker.ctx, rig.chain.codes, 0)
    while worker.chain.run(worker.ctx, 1 << 16):
        pass
    return outcome(rig)


@pytest.mark.needs("tracing")
def test_killed_after_any_store_while_flows_are_shed() -> None:
    """What goes on, what is left out, each flow's row and every count are the same to the byte."""
    with pressed_rig() as rig:
        expected = outcome(rig.feed(KILLED))
    assert expected["states"]["tally"][0] and expected["states"]["tally"][FLOWS // 8] == 4
    post = SheddingPost(Trial(KILLED, 64, expected, KILL_PLUGINS))
    try:
        with at_gate(post) as traced:
            changes = check_each_change(post.rig, traced, _succeed, expected)
        assert changes > 20 * (STEPPED - GATE)
        assert _succeed(post.rig) == expected
    finally:
        post.rig.close()
