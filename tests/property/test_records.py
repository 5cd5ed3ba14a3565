"""What plugins emit: each record once, with its values, also where a worker is killed after any store."""

from __future__ import annotations

import ctypes
import signal
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.rig import Frame, Rig, bound
from tests.property.test_handover import PCAP, check_each_change, fork_with
from tests.property.test_kill import FRAMES, GATE, STEPPED, Gate, Post, Trial, at_gate, results
from zcframe import DROP, PASS, Array, Records, addr, blob, f64, i64, plugin, text, u8, u16, u32, u64
from zcframe.framework.chain.handover import LINE, ROWS, HandOver
from zcframe.framework.chain.records.tally import AREA, TALLIES, WORDS
from zcframe.framework.chain.workspace import GENERATION
from zcframe.framework.outputs.rows.kind import RecordKind, record_kinds
from zcframe.framework.outputs.writer.account import READS
from zcframe.framework.worker.recover import recover

HANDED = HandOver(ROWS)


@plugin
class Every:
    """A record of every kind of field for each packet."""

    log = Records(a=u8, b=u16, c=u32, d=u64, e=i64, f=f64, src=addr, word=text(3), head=blob(20), whole=text(2048))

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.log.emit(
            whole=pkt.frame,
            a=pkt.ttl,
            b=pkt.sport,
            c=pkt.tcp_seq,
            d=pkt.ts,
            e=-pkt.caplen,
            f=pkt.caplen / 4,
            src=pkt.src,
            word=b"GET",
            head=pkt.frame,
        )
        return PASS


@plugin(per="worker")
class Two:
    """Two kinds of record, some packets of both, some raise after they emitted, some are dropped."""

    seen = Array(u64, 1)
    odd = Records(number=u64, wire=u32)
    all = Records(wire=u32)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.seen[0] += 1
        state.all.emit(wire=pkt.wirelen)
        if pkt.wirelen & 1:
            state.odd.emit(number=state.seen[0], wire=pkt.wirelen)
        if pkt.wirelen % 7 == 0:
            raise ValueError("no")
        return DROP if pkt.wirelen % 5 == 0 else PASS


@plugin
class Many:
    """More records of a packet than any ring holds."""

    log = Records(number=u64, what=blob(2048))

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        for number in range(1000):
            state.log.emit(number=number, what=pkt.frame)
        return PASS


@pytest.fixture(scope="module", autouse=True)
def no_tracer() -> Iterator[None]:
    """The Gate's signal is for tracers."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGUSR1, before)


def read(kinds: tuple[RecordKind, ...], data: bytes) -> list[tuple[Any, ...]]:
    """(name, cut, time, *values) of each record."""
    found, at = [], 0
    while at < len(data):
        number, size, cut, high, low, _ = struct.unpack_from("=6I", data, at)
        found.append((kinds[number].name, cut, high << 32 | low, *kinds[number].reader()(data, at, size)))
        at += size
    return found


def emitted(rig: Rig, output: int = 0) -> list[tuple[Any, ...]]:
    return read(record_kinds(rig.plugins), rig.handed(output=output))


def tallies(rig: Rig, output: int = 0) -> list[list[int]]:
    """(made, full, cut) of each kind, as committed."""
    generation = int(rig.posts[0].progress.view("u8", GENERATION)[0])
    books, _, _ = rig.workers[0]._handed[output]
    kinds = len(record_kinds(rig.plugins))
    return books.view("u8", TALLIES + (generation & 1) * AREA, kinds * WORDS).reshape(-1, WORDS).tolist()


def test_values_of_every_kind_arrive() -> None:
    frames = [frame for frame in FRAMES[:400] if frame.data[12:14] == b"\x08\x00"]
    with Rig(Every, slots=64, outputs=[HANDED]).feed(frames) as rig:
        found, counts = emitted(rig), tallies(rig)
    assert len(found) == len(frames) and counts == [[len(frames), 0, len(frames)]]
    for frame, (name, cut, ts, *values) in zip(frames, found, strict=True):
        data = frame.data
        assert (name, cut, ts) == ("every.log", 1, frame.ts)
        a, _, _, d, e, f, src, word, head, whole = values
        assert (a, d, e, f) == (data[22], frame.ts, -len(data), len(data) / 4)
        assert (src, word, head) == (socket.inet_ntoa(data[26:30]), "GET", data[:20])
        assert whole == data.rstrip(b"\0").decode(errors="backslashreplace")


def test_what_a_plugin_emitted_before_it_raised_is_void() -> None:
    with Rig(Two, slots=64, outputs=[HANDED]).feed(FRAMES[:500]) as rig:
        ledger, found = rig.ledger(), emitted(rig)
    kept = [len(frame.data) for frame in FRAMES[:500] if len(frame.data) % 7]
    assert 0 < len(kept) < 500 and ledger["faulted"]["two"] == 500 - len(kept)
    assert ledger["dropped"]["two"] == sum(wire % 5 == 0 for wire in kept) > 0
    assert [wire for name, _, _, wire, *_ in found if name == "two.all"] == kept
    odd = [values for name, _, _, *values in found if name == "two.odd"]
    # State that was rolled back was not counted.
    assert odd == [[i + 1, wire] for i, wire in enumerate(kept) if wire & 1]


def test_two_outputs_get_the_same() -> None:
    with Rig(Two, slots=64, outputs=[PCAP, HANDED, HANDED]).feed(FRAMES[:200]) as rig:
        assert rig.handed(output=1) == rig.handed(output=2) != b""


def test_nothing_is_handed_on_where_there_is_no_output() -> None:
    with Rig(Two, slots=64).feed(FRAMES[:200]) as rig:
        assert int(rig.state("two").seen[0]) + rig.ledger()["faulted"]["two"] == 200


def _drained(rig: Rig) -> bytes:
    """Run the chain over what is in the ring, and take what it emits whenever it returns."""
    rings, worker = rig.outputs[0], rig.workers[0]
    accounts = rings.map_accounts(writable=True)
    reads, taken = accounts.view("u8", rings.account_offset(0) + READS, 1), b""
    while worker.chain.run(worker.ctx, 1 << 16) or worker._crowded_out():
        generation = int(rig.posts[0].progress.view("u8", GENERATION)[0])
        books, mirror, _ = worker._handed[0]
        start, end = int(reads[0]), int(books.view("u8", (generation & 1) * LINE, 1)[0])
        taken += ctypes.string_at(mirror.at(0) + (start & rings.size - 1), end - start)
        reads[0] = end
    del reads
    accounts.close()
    return taken


def test_a_worker_waits_for_room_and_loses_nothing() -> None:
    frames = FRAMES[:1000]
    with Rig(Every, slots=4096, outputs=[HANDED], ring_bytes=1 << 17) as rig:
        for frame in frames:
            rig.put(frame)
        found = read(record_kinds(rig.plugins), _drained(rig))
        assert rig.ledger()["accepted"] == len(frames) and tallies(rig)[0][:2] == [len(frames), 0]
    assert [values[-2] for values in found] == [frame.data[:20] for frame in frames]


def test_without_waiting_records_are_dropped_whole_and_counted() -> None:
    frames = FRAMES[:3000]
    with Rig(Every, slots=4096, outputs=[HANDED], ring_bytes=1 << 17, waits=False).feed(frames) as rig:
        found, ((made, full, _),) = emitted(rig), tallies(rig)
    assert full and (made, len(found) + full) == (len(frames), len(frames))


def test_a_packet_with_more_records_than_the_ring_holds_does_not_wait_for_ever() -> None:
    frames = [Frame(bytes(12) + b"\x08\x00" + bytes(1486), 1), Frame(bytes(12) + b"\x08\x00" + bytes(1486), 2)]
    with Rig(Many, slots=64, outputs=[HANDED], ring_bytes=1 << 17) as rig:
        for frame in frames:
            rig.put(frame)
        found = read(record_kinds(rig.plugins), _drained(rig))
        assert rig.ledger()["accepted"] == 2
        ((made, full, _),) = tallies(rig)
    assert made == 2000 and full == made - len(found) and {ts for _, _, ts, *_ in found} == {1, 2}


# --- kills


class EmittingPost(Post):
    """A post whose worker hands frames on, and records by two outputs."""

    def __init__(self, trial: Trial) -> None:
        self.rig = Rig(*trial.plugins, slots=trial.slots, outputs=[PCAP, HANDED, HANDED], ring_bytes=1 << 17)
        for frame in trial.frames:
            self.rig.put(frame)

    def fork(self, before: Any, run: Any) -> int:
        return fork_with(self.rig, before, run)


def all_emitted(rig: Rig) -> dict[str, Any]:
    made = {"frames": rig.handed(), "records": emitted(rig, 1), "again": emitted(rig, 2), "tallies": tallies(rig, 1)}
    return results(rig, lambda _: {**made, "two": int(rig.state("two").seen[0])})


def _succeed(rig: Rig) -> dict[str, Any]:
    worker = rig.workers[0]
    recover(worker.ctx, rig.chain.codes, 0)
    while worker.chain.run(worker.ctx, 1 << 16):
        pass
    return all_emitted(rig)


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store() -> None:
    """In the middle of a burst in which a plugin raises after it emitted: each record is there once, in order."""
    frames = FRAMES[:STEPPED]
    plugins = (bound(Gate, ts=FRAMES[GATE].ts), bound(Two), bound(Every))
    with Rig(*plugins, slots=64, outputs=[PCAP, HANDED, HANDED], ring_bytes=1 << 17).feed(frames) as rig:
        expected = all_emitted(rig)
        assert rig.ledger()["faulted"]["two"] and len({name for name, *_ in emitted(rig, 1)}) == 3
    post = EmittingPost(Trial(frames, 64, expected, plugins))
    try:
        with at_gate(post) as traced:
            changes = check_each_change(post.rig, traced, _succeed, expected)
        assert changes > 20 * (STEPPED - GATE)
        assert _succeed(post.rig) == expected
    finally:
        post.rig.close()
