"""What the chain hands on: each accepted frame once, whole, in order, also where a worker is killed after any store."""

from __future__ import annotations

import ctypes
import io
import os
import signal
import struct
from collections.abc import Callable, Iterator
from typing import Any

import dpkt
import numpy as np
import pytest

from tests.kit.places import BUNDLED
from tests.kit.rig import Frame, Rig, read_capture
from tests.kit.traced import Traced
from tests.property.test_kill import FRAMES, GATE, PLUGINS, STEPPED, THE_END, Outliving, Post, Trial, at_gate, results
from zcframe.framework.chain.handover import FULL, LINE, HandOver
from zcframe.framework.chain.workspace import GENERATION
from zcframe.framework.outputs.kinds.pcap import pcap_head
from zcframe.framework.outputs.kinds.pcapng import pcapng_head
from zcframe.framework.outputs.output import Input
from zcframe.framework.outputs.writer.account import READS
from zcframe.framework.ring import Mapping
from zcframe.framework.share import Shares
from zcframe.framework.share.choose import share_by
from zcframe.framework.worker import loop as worker_module
from zcframe.framework.worker.loop import Worker
from zcframe.framework.worker.recover import recover

PCAP, PCAPNG = HandOver("pcap"), HandOver("pcapng")
SNAPLEN = 262144


@pytest.fixture(scope="module", autouse=True)
def no_tracer() -> Iterator[None]:
    """The Gate's signal is for tracers."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGUSR1, before)


def read(records: bytes, ng: bool = False) -> list[tuple[int, bytes]]:
    """(time, frame) of records, as dpkt reads them behind the head of a file."""
    head = pcapng_head([Input("soft0", 0)], SNAPLEN, "") if ng else pcap_head(SNAPLEN)
    reader: Any = (dpkt.pcapng.Reader if ng else dpkt.pcap.Reader)(io.BytesIO(head + records))
    return [(round(ts * 10**9) if not ng else 0, bytes(data)) for ts, data in reader]


@pytest.mark.parametrize("output", [PCAP, PCAPNG], ids=["pcap", "pcapng"])
def test_frames_are_handed_on_as_they_came(output: HandOver) -> None:
    frames = read_capture(BUNDLED)[:2000]
    with Rig("sizes", slots=64, outputs=[output]).feed(frames) as rig:
        found = read(rig.handed(), ng=output is PCAPNG)
    assert [data for _, data in found] == [frame.data for frame in frames]
    if output is PCAP:
        assert [ts for ts, _ in found] == [frame.ts for frame in frames]


def test_a_snaplen_cuts_and_the_length_on_the_wire_stays() -> None:
    with Rig("sizes", outputs=[PCAP], snaplen=60).feed(FRAMES[:100]) as rig:
        records = rig.handed()
    at = 0
    for frame in FRAMES[:100]:
        _, _, captured, wire = struct.unpack_from("=IIII", records, at)
        assert (captured, wire) == (min(60, len(frame.data)), len(frame.data))
        assert records[at + 16 : at + 16 + captured] == frame.data[:60]
        at += 16 + captured
    assert at == len(records)


def test_a_tag_that_was_taken_off_is_put_back() -> None:
    plain = FRAMES[0].data
    with Rig("sizes", outputs=[PCAP]).feed([Frame(plain, 1, vlan_tci=0x2064)]) as rig:
        ((_, data),) = read(rig.handed())
    assert data == plain[:12] + b"\x81\x00\x20\x64" + plain[12:]


@pytest.mark.long
def test_what_a_plugin_drops_is_not_handed_on() -> None:
    with Rig(*PLUGINS, outputs=[PCAP]).feed(FRAMES[:500]) as rig:
        ledger = rig.ledger()
        assert len(read(rig.handed())) == ledger["accepted"] < 500


def test_shares_have_both_directions_of_all_frames_between_two_addresses() -> None:
    frames = read_capture(BUNDLED)[:4000]
    output = HandOver("pcap", share_by("ip-pair"), "ip-pair")
    with Rig("sizes", outputs=[output], shares=Shares.parse("ip-pair", "3")).feed(frames) as rig:
        shares = [read(rig.handed(share)) for share in range(3)]
    owners: dict[frozenset[bytes], set[int]] = {}
    for share, found in enumerate(shares):
        for _, data in found:
            ip = dpkt.ethernet.Ethernet(data).data
            if isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
                owners.setdefault(frozenset((ip.src, ip.dst)), set()).add(share)
    assert sum(map(len, shares)) == len(frames)
    assert all(len(found) == 1 for found in owners.values())
    assert all(len(found) > 100 for found in shares)


def test_a_worker_waits_for_room_and_loses_nothing() -> None:
    """The ring holds some hundreds of frames; the reader takes what lies there whenever the chain returns."""
    frames = FRAMES[:3000]
    taken = b""
    with Rig("sizes", slots=4096, outputs=[PCAP], ring_bytes=1 << 17) as rig:
        for frame in frames:
            rig.put(frame)
        rings, worker = rig.outputs[0], rig.workers[0]
        accounts = rings.map_accounts(writable=True)
        reads = accounts.view("u8", rings.account_offset(0) + READS, 1)
        while worker.chain.run(worker.ctx, 1 << 16) or worker._crowded_out():
            end = _end(rig)
            start = int(reads[0])
            taken += bytes(_ring_bytes(rig, start, end))
            reads[0] = end
        assert rig.ledger()["packets"] == len(frames)
        del reads
        accounts.close()
    assert [data for _, data in read(taken)] == [frame.data for frame in frames]


def test_without_waiting_frames_are_dropped_whole_and_counted() -> None:
    frames = FRAMES[:3000]
    with Rig("sizes", slots=4096, outputs=[PCAP], ring_bytes=1 << 17, waits=False).feed(frames) as rig:
        found = read(rig.handed())
        full = int(_line(rig)[FULL // 8])
    assert full and len(found) + full == len(frames)
    # In order; a short one may find room where a long one did not.
    left = (frame.data for frame in frames)
    assert all(data in left for _, data in found)


def _line(rig: Rig) -> Any:
    generation = int(rig.posts[0].progress.view("u8", GENERATION)[0])
    books: Mapping = rig.workers[0]._handed[0][0]
    return books.view("u8", (generation & 1) * LINE, LINE // 8)


def _end(rig: Rig) -> int:
    return int(_line(rig)[0])


def _ring_bytes(rig: Rig, start: int, end: int) -> Iterator[int]:
    size = rig.outputs[0].size
    at = rig.workers[0]._handed[0][1].at(0) + (start & size - 1)
    return iter(ctypes.string_at(at, end - start))


# --- kills


class HandingPost(Post):
    """A post whose worker hands on by two outputs."""

    def __init__(self, trial: Trial) -> None:
        self.rig = Rig(*trial.plugins, slots=trial.slots, outputs=[PCAP, PCAPNG], ring_bytes=1 << 17)
        for frame in trial.frames:
            self.rig.put(frame)

    def fork(self, before: Any, run: Any) -> int:
        return fork_with(self.rig, before, run)


def fork_with(rig: Rig, before: Any, run: Any) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            vars(worker_module)["recover"] = lambda *arguments: (before(), recover(*arguments))
            run(Worker(rig.posts[0], rig.chain, rig.memory, 0, rig.outputs))
            os._exit(0)
        finally:
            os._exit(1)
    return pid


class OutlivingAll(Outliving):
    """With the books and rings."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig)
        for rings, (books, mirror, _) in zip(rig.outputs, rig.workers[0]._handed, strict=True):
            self._small.append(books.view("u1", 0, books.size))
            held = (ctypes.c_uint8 * rings.size).from_address(mirror.at(0))
            self._small.append(np.frombuffer(held, np.uint8))


def handed(rig: Rig) -> dict[str, Any]:
    return results(rig, lambda _: {"pcap": rig.handed(), "pcapng": rig.handed(output=1)})


def _succeed(rig: Rig) -> dict[str, Any]:
    worker = rig.workers[0]
    recover(worker.ctx, rig.chain.codes, 0)
    while worker.chain.run(worker.ctx, 1 << 16):
        pass
    return handed(rig)


def check_each_change(
    rig: Rig, traced: Traced, succeed: Callable[[Rig], dict[str, Any]], expected: dict[str, Any]
) -> int:
    """Step to the end; after each change, let a successor finish, and undo what it did. Returns the changes."""
    memory, changes = OutlivingAll(rig), 0
    try:
        before = memory.keep()
        while traced.to_store() or traced.signal != THE_END:
            now = memory.keep()
            if now != before:
                before, changes = now, changes + 1
                assert succeed(rig) == expected, f"after {changes} changes"
                memory.put_back(now)
    finally:
        memory.close()
    return changes


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store() -> None:
    """In the middle of a burst with faults: what is handed on, and in which order, is the same to the byte."""
    frames = FRAMES[:STEPPED]
    with Rig(*PLUGINS, slots=64, outputs=[PCAP, PCAPNG], ring_bytes=1 << 17).feed(frames) as rig:
        expected = handed(rig)
        accepted = rig.ledger()["accepted"]
    assert len(read(expected["states"]["pcap"])) == accepted
    post = HandingPost(Trial(frames, 64, expected))
    try:
        with at_gate(post) as traced:
            changes = check_each_change(post.rig, traced, _succeed, expected)
        assert changes > 20 * (STEPPED - GATE)
        assert _succeed(post.rig) == expected
    finally:
        post.rig.close()
