"""A worker is killed between any two instructions: each packet counts exactly once.

What a kill leaves behind is compared with a run that nobody disturbed: every plugin's state, the ledger, `read`. Some
kills come after a random time, as in life. The others are complete: a worker is led through its code from store to store
(ptrace), and whenever it has changed anything that outlives it, a successor takes over from there and goes on to the end;
then the memory is put back, and the worker goes on to its next store.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import types

from tests.kit import rig as rig_module
from tests.kit.places import BUNDLED
from tests.kit.rig import Frame, Rig, bound, read_capture
from tests.kit.traced import Traced, trace_me
from zcframe import (
    DROP,
    PASS,
    Array,
    Bloom,
    Distinct,
    Ewma,
    LogHist,
    Moments,
    Param,
    Reservoir,
    Table,
    TopK,
    addr,
    blob,
    f64,
    i64,
    plugin,
    text,
    u8,
    u16,
    u32,
    u64,
)
from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.build import Chain, build_chain
from zcframe.framework.chain.workspace import STOP_DRAIN
from zcframe.framework.filters.libpcap import compile_expression
from zcframe.framework.filters.program import Program
from zcframe.framework.state.layout import SHARDS, ObjectLayout, TableLayout
from zcframe.framework.state.merge import State
from zcframe.framework.state.shared import data_extents
from zcframe.framework.worker import loop as worker_module
from zcframe.framework.worker.loop import Worker
from zcframe.framework.worker.recover import recover

# Packets of a trial from store to store, and the one of them at whose arrival that begins.
STEPPED, GATE = 12, 6

SIGUSR1 = int(signal.SIGUSR1)
# The end of what is stepped through. The Gate may tell of its packet twice, since a burst in which one faults is redone.
THE_END = signal.SIGUSR2

raise_signal: Any = types.ExternalFunction("raise", types.int32(types.int32))


@plugin
class Gate:
    """Tells a tracer that a certain packet has come; without one, the signal is ignored."""

    ts = Param(0, "the packet's time")

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        if pkt.ts == params.ts:
            raise_signal(SIGUSR1)
        return PASS


@plugin
class Writes:
    """Several writes a packet, in arrays and a table, some of them to the same place."""

    counts = Array(u64, 4)
    lengths = Array(u32, 2048)
    rows = Table(key={"wire": u32}, value={"packets": u64, "bytes": u64}, capacity=2048)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.counts[0] += 1
        row = state.rows.upsert(pkt.wirelen)
        if row:
            row.packets += 1
            row.bytes += pkt.wirelen
        state.counts[1] += pkt.wirelen
        state.lengths[min(pkt.wirelen, 2047)] += 1
        state.counts[0] += 1
        return PASS


@plugin
class Picky:
    """Raises on some packets and drops some, after it wrote."""

    counts = Array(u64, 2)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.counts[0] += 1
        state.counts[1] += pkt.wirelen
        if pkt.wirelen % 7 == 0:
            raise ValueError("no")
        return DROP if pkt.wirelen % 5 == 0 else PASS


@plugin
class Fussy:
    """Raises on some packets of the same bursts."""

    counts = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.counts[0] += 1
        if pkt.wirelen % 11 == 0:
            raise IndexError("no")
        return PASS


FIELDS = [f"f{i}" for i in range(100)]


@plugin
class Wide:
    """Changes so much that the journal holds eight packets of it, not a burst."""

    rows = Table(key={"number": u8}, value=dict.fromkeys(FIELDS, u64), capacity=2048)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        for number in range(10):
            row = state.rows.upsert(number)
            if row:
                row.f0 += 1
                row.f99 += pkt.wirelen
        return PASS


@plugin(per="worker")
class Sketched:
    """Objects in the state and in rows: small ones are journaled with their row, of large ones the words that change."""

    sizes = LogHist(error=1 / 4)
    hosts = Distinct(precision=4, exact=4)
    top = TopK(key=("host",), k=3)
    sample = Reservoir(fields=("ts", "wire"), k=3)
    recent = Ewma(seconds=1)
    rows = Table(
        key={"part": u8},
        value={"done": u8.max, "wire": Moments(), "sizes": LogHist(error=1 / 4), "seen": Bloom(capacity=8)},
        capacity=16,
        done="done",
        least="done",
    )
    parts = Table(
        key={"part": u8},
        value={"packets": u64, "name": text(40), "wire": Moments(), "sizes": LogHist(error=1 / 4), "ports": u16[3]},
        capacity=16,
    )

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.sizes.add(pkt.wirelen)
        state.hosts.add(pkt.src_hi, pkt.src_lo)
        state.top.add(pkt.wirelen, pkt.src_lo)
        state.sample.add(pkt.ts, pkt.wirelen)
        state.recent.add(pkt.ts, pkt.wirelen)
        # More keys than a window has slots: rows take the place of others.
        for part in range(9):
            row = state.rows.upsert(pkt.wirelen * 9 + part)
            if row:
                row.done = 1
                row.wire.add(pkt.wirelen)
                row.sizes.add(pkt.wirelen)
                row.seen.add(pkt.sport)
        row = state.parts.upsert(0)
        row.packets += 1
        row.name = pkt.frame[pkt.wirelen % 30 :]
        row.ports[pkt.wirelen % 3] += 1
        row.wire.add(pkt.wirelen)
        row.sizes.add(pkt.wirelen)
        if pkt.wirelen % 7 == 0:
            raise ValueError("no")
        return PASS


@plugin
class Wordy:
    """Strings, addresses and rows that come and go; it raises on some packets after all that."""

    names = Table(
        key={"src": addr, "name": text(3)},
        value={"packets": u64, "path": text(200), "raw": blob(7), "ports": u16[2], "mean": f64, "low": i64.min},
        capacity=2048,
    )
    last = Array(addr, 2)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        row = state.names.upsert(pkt.src, pkt.l4[:2])
        if row:
            row.packets += 1
            row.path = pkt.frame[pkt.wirelen % 50 :]
            row.raw = row.path[2:11]
            row.ports[pkt.wirelen & 1] += 1
            row.mean += 0.5
            row.low -= pkt.wirelen
        state.last[1] = pkt.dst
        if pkt.wirelen & 1:
            state.names.delete(state.last[0], pkt.l4[:2])
        if pkt.wirelen % 4 != 0:
            state.names.delete(pkt.src, pkt.l4[:2])
            again = state.names.upsert(pkt.src, pkt.l4[:1])
            if again:
                again.path = pkt.payload[:20]
        state.last[0] = pkt.src
        if pkt.wirelen % 7 == 0:
            raise ValueError("no")
        return PASS


@plugin
class Full:
    """More keys a packet than a window has slots: rows in the overflow, and some that go; then it raises on some."""

    rows = Table(key={"part": u16}, value={"packets": u64}, capacity=2048)
    tried = Array(u64, 2)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        for part in range(19):
            row = state.rows.upsert(pkt.wirelen % 3 * 5 + part)
            row.packets += pkt.wirelen
        for part in range(17):
            if (pkt.wirelen + part) % 5 == 0:
                state.tried[0] += state.rows.delete(part)
        if pkt.wirelen % 7 == 0:
            raise ValueError("no")
        return PASS


# Every fifth frame is none of IP: such packets are counted apart from what plugins see.
LLDP = b"\x88\xcc"


def _without_ip(frame: Frame) -> Frame:
    return frame._replace(data=frame.data[:12] + LLDP + frame.data[14:])


FRAMES = tuple(_without_ip(frame) if number % 5 == 3 else frame for number, frame in enumerate(read_capture(BUNDLED)))
PLUGINS: tuple[BoundPlugin, ...] = (
    *(bound(Gate, ts=FRAMES[GATE].ts), bound(Writes), bound(Picky), bound(Fussy)),
    *(bound("flows", capacity=2048), bound("sizes")),
)


WORDY: tuple[BoundPlugin, ...] = (bound(Gate, ts=FRAMES[GATE].ts), bound(Wordy))
OVERFLOWING: tuple[BoundPlugin, ...] = (bound(Gate, ts=FRAMES[GATE].ts), bound(Wide))
FULL: tuple[BoundPlugin, ...] = (bound(Gate, ts=FRAMES[GATE].ts), bound(Full))
SKETCHED: tuple[BoundPlugin, ...] = (bound(Gate, ts=FRAMES[GATE].ts), bound(Sketched))


# Some packets pass both filters, some the run's alone, some none.
FILTER = "not ether proto 0x88cc and ether[len - 1] & 1 = 0"


@functools.cache
def filtered_plugins() -> tuple[BoundPlugin, ...]:
    own = compile_expression("len & 2 = 0", "Writes")
    return PLUGINS[0], replace(bound(Writes), program=own), bound(Picky)


@functools.cache
def _compiled(names: tuple[str, ...], program: Program | None) -> Chain:
    chains = (PLUGINS, OVERFLOWING, SKETCHED, WORDY, FULL) if program is None else (filtered_plugins(),)
    return build_chain(next(some for some in chains if tuple(one.name for one in some) == names), program=program)


def compiled_chain(plugins: Sequence[BoundPlugin], *, program: Program | None = None) -> Chain:
    return _compiled(tuple(one.name for one in plugins), program)


@pytest.fixture(scope="module", autouse=True)
def one_chain() -> Iterator[None]:
    """All rigs of this file share it. The Gate's signal is for tracers."""
    before = signal.signal(SIGUSR1, signal.SIG_IGN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig_module, "build_chain", compiled_chain)
        yield
    signal.signal(SIGUSR1, before)


def _plain(state: State) -> dict[str, Any]:
    """A state as it compares."""
    found: dict[str, Any] = {"lost": state.lost, "expired": state.expired}
    for member in state.layout.members:
        values = getattr(state, member.name)
        if isinstance(member, TableLayout):
            found[member.name] = sorted(_comparable(row, member) for row in values)
        else:
            found[member.name] = values.tobytes() if isinstance(member, ObjectLayout) else values.tolist()
    return found


def _comparable(row: Any, member: TableLayout) -> tuple[Any, ...]:
    objects = {one.name for one in member.objects}
    names = row.dtype.names
    return tuple(row[name].tobytes() if name in objects else np.asarray(row[name]).tolist() for name in names)


def states(rig: Rig) -> dict[str, Any]:
    return {"no IP": rig.no_ip()} | {one.name: _plain(rig.state(one.name)) for one in rig.chain.plugins}


def results(rig: Rig, read_states: Callable[[Rig], dict[str, Any]] = states) -> dict[str, Any]:
    read = int(rig.producers[0].user["read"][0])
    found = {"ledger": rig.ledger(), "done": rig.posts[0].done, "read": read, "states": read_states(rig)}
    return found | {"faults": rig.faults()}


@dataclass(frozen=True)
class Trial:
    """Frames, and what an undisturbed worker makes of them."""

    # Not in what hypothesis prints of a failure.
    frames: tuple[Frame, ...] = field(repr=False)
    slots: int
    expected: dict[str, Any] = field(repr=False)
    plugins: tuple[BoundPlugin, ...] = field(default=PLUGINS, repr=False)
    filter: str = ""


def _trial(count: int, slots: int) -> Trial:
    frames = FRAMES[:count]
    with Rig(*PLUGINS, slots=slots).feed(frames) as rig:
        expected = results(rig)
    assert expected["ledger"]["packets"] == count
    assert expected["states"]["no IP"][0x88CC] == (count + 1) // 5
    assert expected["ledger"]["faulted"]["picky"] and expected["ledger"]["dropped"]["picky"]
    assert expected["ledger"]["faulted"]["fussy"]
    assert {name: packets for name, (packets, _) in expected["faults"].items()} == {
        name: packets for name, packets in expected["ledger"]["faulted"].items() if packets
    }
    return Trial(frames, slots, expected)


@pytest.fixture(scope="module")
def few() -> Trial:
    return _trial(STEPPED, 64)


@pytest.fixture(scope="module")
def overflowing() -> Trial:
    with Rig(*OVERFLOWING, slots=64).feed(FRAMES[:STEPPED]) as rig:
        expected = results(rig)
    # None of these is too much by itself.
    assert not any(expected["ledger"]["faulted"].values())
    assert {rows[1] for rows in expected["states"]["wide"]["rows"]} == {STEPPED}
    return Trial(FRAMES[:STEPPED], 64, expected, OVERFLOWING)


@pytest.fixture(scope="module")
def sketched() -> Trial:
    with Rig(*SKETCHED, slots=64).feed(FRAMES[:STEPPED]) as rig:
        expected = results(rig)
    assert expected["ledger"]["faulted"]["sketched"]
    assert expected["states"]["sketched"]["expired"]["rows"] > 20
    return Trial(FRAMES[:STEPPED], 64, expected, SKETCHED)


@pytest.fixture(scope="module")
def wordy() -> Trial:
    with Rig(*WORDY, slots=64).feed(FRAMES[:STEPPED]) as rig:
        expected = results(rig)
    assert expected["ledger"]["faulted"]["wordy"] and expected["states"]["wordy"]["names"]
    return Trial(FRAMES[:STEPPED], 64, expected, WORDY)


@pytest.fixture(scope="module")
def full() -> Trial:
    with Rig(*FULL, slots=64).feed(FRAMES[:STEPPED]) as rig:
        expected = results(rig)
        (table,) = rig.memory.layouts[1].tables
        shards = [rig.memory.copied(1, shard) for shard in range(SHARDS)]
    nodes = [table.nodes(shard) for shard in shards if shard is not None]
    assert expected["ledger"]["faulted"]["full"] and expected["states"]["full"]["tried"][0]
    assert max(nodes) > 2, "there are rows in the overflow"
    return Trial(FRAMES[:STEPPED], 64, expected, FULL)


@pytest.fixture(scope="module")
def filtered() -> Trial:
    # The gate's packet has to match, and others behind it not.
    frames = tuple(frame._replace(data=frame.data[:-1] + bytes([i == 9])) for i, frame in enumerate(FRAMES[:STEPPED]))
    with Rig(*filtered_plugins(), slots=64, filter=FILTER).feed(frames) as rig:
        expected = results(rig)
    written = int(expected["states"]["writes"]["counts"][0]) // 2
    assert 0 < written < STEPPED - expected["ledger"]["dropped"]["filter"]
    assert expected["ledger"]["dropped"]["filter"] == 3 and 0x88CC not in expected["states"]["no IP"]
    assert expected["ledger"]["faulted"]["picky"]
    return Trial(frames, 64, expected, filtered_plugins(), FILTER)


@pytest.fixture(scope="module")
def many() -> Trial:
    return _trial(8000, 16384)


class Post:
    """A ring full of frames and no worker yet. `disturb(body)` starts one in a child process that runs `body(worker)`."""

    def __init__(self, trial: Trial) -> None:
        self.rig = Rig(*trial.plugins, slots=trial.slots, filter=trial.filter)
        for frame in trial.frames:
            self.rig.put(frame)

    def fork(self, before: Callable[[], object], run: Callable[[Worker], None]) -> int:
        """Pid of a worker that calls `before` ahead of its recovery, and `run` in place of its endless loop."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                vars(worker_module)["recover"] = lambda *arguments: (before(), recover(*arguments))
                run(Worker(self.rig.posts[0], self.rig.chain, self.rig.memory))
                code = 0
            finally:
                os._exit(code)
        return pid

    def finish(self) -> dict[str, Any]:
        """Let a last worker take what is left."""
        self.rig.posts[0].stop(STOP_DRAIN)
        _, status = os.waitpid(self.fork(lambda: None, Worker.run), 0)
        assert status == 0
        return results(self.rig)


@contextlib.contextmanager
def post(trial: Trial) -> Iterator[Post]:
    made = Post(trial)
    try:
        yield made
    finally:
        made.rig.close()


def _take_all(worker: Worker) -> None:
    while worker.chain.run(worker.ctx, 1 << 16):
        pass


# --- from store to store


def traced_worker(made: Post, run: Callable[[Worker], None]) -> Traced:
    """A worker that stands still at the beginning of its recovery."""
    return Traced(made.fork(trace_me, run))


class Outliving:
    """The memory that outlives a worker: it can be compared, kept, and put back."""

    def __init__(self, rig: Rig) -> None:
        self._memory = rig.memory
        self._state: np.ndarray[Any, Any] = rig.memory._mapping.view("u1", 0, rig.memory.high - rig.memory.low)
        progress = rig.posts[0].progress
        user = rig.workers[0].ring._mappings[1]
        self._small = [progress.view("u1", 0, progress.size), user.view("u1", 0, user.size)]
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}

    def _parts(self) -> list[tuple[int, int]]:
        """(begin, end) of what was written, from the beginning of the state: plugins' shards, and their overflow."""
        behind, base = self._memory._mapping.behind, self._memory._memory.size
        more = data_extents(self._memory._more, behind, behind + len(self._state) - base)
        shards = data_extents(self._memory._fd, 0, base)
        return [*shards, *((begin - behind + base, end - behind + base) for begin, end in more)]

    def _content(self) -> dict[tuple[int, int], bytes]:
        return {(begin, end): self._state[begin:end].tobytes() for begin, end in self._parts()}

    def keep(self) -> tuple[list[bytes], dict[tuple[int, int], bytes]]:
        return [view.tobytes() for view in self._small], self._content()

    def states(self, rig: Rig) -> dict[str, Any]:
        """What the plugins' memory means. Nearly every successor leaves the same bytes, which are read once."""
        content = tuple(sorted(self._content().items()))
        if content not in self._known:
            self._known[content] = states(rig)
        return self._known[content]

    def put_back(self, kept: tuple[list[bytes], dict[tuple[int, int], bytes]]) -> None:
        for view, content in zip(self._small, kept[0], strict=True):
            view[:] = np.frombuffer(content, np.uint8)
        for begin, end in self._parts():
            self._state[begin:end] = 0
        for (begin, end), content in kept[1].items():
            self._state[begin:end] = np.frombuffer(content, np.uint8)

    def close(self) -> None:
        del self._state, self._small


def succeed(rig: Rig, read_states: Callable[[Rig], dict[str, Any]] = states) -> dict[str, Any]:
    """Take over from whoever stands still, and go on to the end."""
    worker = rig.workers[0]
    recover(worker.ctx, rig.chain.codes, 0)
    _take_all(worker)
    return results(rig, read_states)


def check_each_change(rig: Rig, traced: Traced, expected: dict[str, Any]) -> int:
    """Step to the end; after each change, let a successor finish, and undo what it did. Returns the changes."""
    memory, changes = Outliving(rig), 0
    try:
        before = memory.keep()
        while traced.to_store() or traced.signal != THE_END:
            now = memory.keep()
            if now != before:
                before, changes = now, changes + 1
                # What stands between the ledger and `done` is still in the ring, for the successor to read.
                assert int(rig.producers[0].user["read"][0]) <= int(rig.posts[0].ledger()[0])
                assert succeed(rig, memory.states) == expected, f"after {changes} changes"
                memory.put_back(now)
        assert memory.keep() == before, "it stored unseen"
    finally:
        memory.close()
    return changes


def _take_and_tell(worker: Worker) -> None:
    worker.chain.run(worker.ctx, STEPPED)
    _tell(worker)


def _tell(_: Worker) -> None:
    os.kill(os.getpid(), THE_END)


def at_gate(made: Post) -> Traced:
    """A worker that has just met the Gate."""
    traced = traced_worker(made, _take_and_tell)
    assert traced.go_on() == SIGUSR1
    return traced


@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_the_chain(few: Trial) -> None:
    """From the middle of a burst to its end: what raises, what is dropped, new flows and old ones, the commit."""
    with post(few) as made:
        with at_gate(made) as traced:
            changes = check_each_change(made.rig, traced, few.expected)
        assert changes > 20 * (STEPPED - GATE)
        assert succeed(made.rig) == few.expected


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_strings_and_of_rows_that_go(wordy: Trial) -> None:
    with post(wordy) as made:
        with at_gate(made) as traced:
            changes = check_each_change(made.rig, traced, wordy.expected)
        assert changes > 100
        assert succeed(made.rig) == wordy.expected


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_rows_whose_window_is_full(full: Trial) -> None:
    with post(full) as made:
        with at_gate(made) as traced:
            changes = check_each_change(made.rig, traced, full.expected)
        assert changes > 100
        assert succeed(made.rig) == full.expected


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_a_burst_that_the_journal_cannot_hold(overflowing: Trial) -> None:
    with post(overflowing) as made:
        with at_gate(made) as traced:
            changes = check_each_change(made.rig, traced, overflowing.expected)
        assert changes > 300
        assert succeed(made.rig) == overflowing.expected


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_sketches(sketched: Trial) -> None:
    with post(sketched) as made:
        with at_gate(made) as traced:
            changes = check_each_change(made.rig, traced, sketched.expected)
        assert changes > 300
        assert succeed(made.rig) == sketched.expected


@pytest.mark.long
@pytest.mark.needs("tracing", "libpcap")
def test_killed_after_any_store_of_a_chain_with_filters(filtered: Trial) -> None:
    with post(filtered) as made:
        with at_gate(made) as traced:
            changes = check_each_change(made.rig, traced, filtered.expected)
        assert changes > 20
        assert succeed(made.rig) == filtered.expected


@pytest.mark.needs("tracing")
@pytest.mark.parametrize("stores", [3, 40, 70, 100])
def test_killed_after_any_store_of_a_recovery(few: Trial, stores: int) -> None:
    """The successor of a worker that was killed in the middle of a burst is killed itself while it undoes that burst."""
    with post(few) as made:
        memory = Outliving(made.rig)
        before = memory.keep()
        with at_gate(made) as first:
            while stores:
                assert first.to_store() or first.signal != THE_END
                now = memory.keep()
                before, stores = now, stores - (now != before)
        memory.close()
        with traced_worker(made, _tell) as second:
            changes = check_each_change(made.rig, second, few.expected)
        assert changes > 2
        assert succeed(made.rig) == few.expected


# --- after so much time


def kill_after_time(made: Post, seconds: float) -> None:
    read, write = os.pipe()
    pid = made.fork(lambda: os.write(write, b"!"), _take_all)
    os.read(read, 1)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(read)
    os.close(write)


@pytest.mark.long
@given(microseconds=st.lists(st.integers(0, 3000), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_killed_after_any_time(many: Trial, microseconds: list[int]) -> None:
    with post(many) as made:
        for wait in microseconds:
            kill_after_time(made, wait / 1e6)
        assert made.finish() == many.expected


# --- the end of a run


class Paused:
    """A chain that finds nothing the first time, since it is told to stand still, and may go on right after that."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.run: Callable[[np.ndarray[Any, Any], int], int] = self._nothing

    def _nothing(self, context: np.ndarray[Any, Any], budget: int) -> int:
        self._rig.posts[0].pause()
        taken = int(self._rig.chain.run(context, budget))
        self._rig.posts[0].resume()
        self.run = self._rig.chain.run
        return taken


def test_a_pause_in_the_last_moment_keeps_no_packet_back(few: Trial) -> None:
    """The order to drain is there, the chain took nothing because of a pause that is over: the ring is not empty yet."""
    with post(few) as made:
        made.rig.posts[0].stop(STOP_DRAIN)
        worker = made.rig.workers[0]
        worker.chain = Paused(made.rig)  # type: ignore[assignment]
        worker.run()
        assert not int(made.rig.posts[0]._orders["pause"][0]) & 1
        assert results(made.rig) == few.expected
