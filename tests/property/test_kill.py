"""A worker is killed between any two instructions, again and again: each packet counts exactly once.

What a kill leaves behind is compared with a run that nobody disturbed: every plugin's state, the ledger, `read`. Some
kills come after a number of microseconds, as in life; others after a number of machine instructions, by single steps
(ptrace), so that every place of the protocol is hit sooner or later: a packet's transaction, the commit of a burst, the
recovery of a predecessor's packet.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import rig as rig_module
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba.core import types
from rig import BUNDLED, Frame, Rig, bound, read_capture

from zcframe import DROP, PASS, Array, Param, Table, plugin, u32, u64
from zcframe.framework.chain.bind import BoundPlugin
from zcframe.framework.chain.build import Chain, build_chain
from zcframe.framework.chain.progress import ORDER_PAUSE, STOP_DRAIN
from zcframe.framework.state.merge import State
from zcframe.framework.worker import worker as worker_module
from zcframe.framework.worker.worker import Worker

PTRACE_TRACEME, PTRACE_CONT, PTRACE_SINGLESTEP = 0, 7, 9
# Packets of a trial by instructions, and the one of them at whose arrival the stepping begins.
STEPPED, GATE = 12, 6

SIGUSR1 = int(signal.SIGUSR1)

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


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
    rows = Table(key={"wire": u32}, value={"packets": u64, "bytes": u64})

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


FRAMES = tuple(read_capture(BUNDLED))
PLUGINS: tuple[BoundPlugin, ...] = (
    *(bound(Gate, ts=FRAMES[GATE].ts), bound(Writes), bound(Picky)),
    *(bound("flows"), bound("sizes")),
)


@functools.cache
def compiled_chain() -> Chain:
    return build_chain(PLUGINS)


@pytest.fixture(scope="module", autouse=True)
def one_chain() -> Iterator[None]:
    """All rigs of this file share it. The Gate's signal is for tracers."""
    before = signal.signal(SIGUSR1, signal.SIG_IGN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig_module, "build_chain", lambda plugins: compiled_chain())
        yield
    signal.signal(SIGUSR1, before)


def _plain(state: State) -> dict[str, Any]:
    """A state as it compares: a table's rows in an order of their own, since its seed decides theirs."""
    found: dict[str, Any] = {"lost": state.lost, "expired": state.expired}
    for member in state.layout.members:
        values = getattr(state, member.name)
        found[member.name] = sorted(values.tolist()) if values.dtype.names else values.tolist()
    return found


def results(rig: Rig) -> dict[str, Any]:
    read = int(rig.producers[0].user["read"][0])
    states = {one.name: _plain(rig.state(one.name)) for one in PLUGINS}
    return {"ledger": rig.ledger(), "done": rig.posts[0].done, "read": read, "states": states}


@dataclass(frozen=True)
class Trial:
    """Frames, and what an undisturbed worker makes of them."""

    frames: tuple[Frame, ...]
    slots: int
    expected: dict[str, Any]


def _trial(count: int, slots: int) -> Trial:
    frames = FRAMES[:count]
    with Rig(*PLUGINS, slots=slots).feed(frames) as rig:
        expected = results(rig)
    assert expected["ledger"]["packets"] == count
    assert expected["ledger"]["faulted"]["picky"] and expected["ledger"]["dropped"]["picky"]
    return Trial(frames, slots, expected)


@pytest.fixture(scope="module")
def few() -> Trial:
    return _trial(STEPPED, 64)


@pytest.fixture(scope="module")
def many() -> Trial:
    return _trial(8000, 16384)


class Post:
    """A ring full of frames and no worker yet. `disturb(body)` starts one in a child process that runs `body(worker)`."""

    def __init__(self, trial: Trial) -> None:
        self.rig = Rig(*PLUGINS, slots=trial.slots)
        for frame in trial.frames:
            self.rig.put(frame)

    def fork(self, before: Callable[[], object], run: Callable[[Worker], None]) -> int:
        """Pid of a worker that calls `before` ahead of its recovery, and `run` in place of its endless loop."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                recover: Callable[..., object] = vars(worker_module)["recover"]
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


# --- after so many instructions


def _trace_me() -> None:
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)


def _can_trace() -> bool:
    """Containers may forbid it, and not every machine can step."""
    if platform.machine() not in ("x86_64", "aarch64"):
        return False
    pid = os.fork()
    if pid == 0:
        _trace_me()
        os._exit(0)
    _, status = os.waitpid(pid, os.WUNTRACED)
    stepped = os.WIFSTOPPED(status) and libc.ptrace(PTRACE_SINGLESTEP, pid, None, None) == 0
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return bool(stepped)


def _wait_stop(pid: int) -> int:
    """The signal that the traced child stopped at; 0 where it ended, as it should."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return os.WSTOPSIG(status)
    assert status == 0
    return 0


def _step(pid: int, instructions: int) -> int:
    """Let the stopped child run so many instructions, or to its next signal, then kill it; returns how many it ran."""
    done = 0
    while done < instructions:
        libc.ptrace(PTRACE_SINGLESTEP, pid, None, None)
        if _wait_stop(pid) != signal.SIGTRAP:
            break
        done += 1
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return done


def _mark_end(_: Worker) -> None:
    os.kill(os.getpid(), SIGUSR1)


def kill_in_recovery(made: Post, instructions: int) -> int:
    """Kill a worker so many instructions after it began to recover, or at the end of that."""
    pid = made.fork(_trace_me, _mark_end)
    assert _wait_stop(pid) == signal.SIGSTOP
    return _step(pid, instructions)


def _take_and_mark(worker: Worker) -> None:
    worker.chain.run(worker.ctx, STEPPED)
    _mark_end(worker)


def kill_in_chain(made: Post, instructions: int) -> int:
    """Kill a worker so many instructions after it met the Gate, or at the end of the chain; it may be past the Gate."""
    pid = made.fork(_trace_me, _take_and_mark)
    while _wait_stop(pid) != SIGUSR1:
        libc.ptrace(PTRACE_CONT, pid, None, None)
    return _step(pid, instructions)


Kill = Callable[[Post, int], int]
KILLS: tuple[Kill, ...] = (kill_in_recovery, kill_in_chain)


@pytest.fixture(scope="module")
def lengths(few: Trial) -> dict[Kill, int]:
    """Instructions from the beginning of a recovery, and from the Gate, to the end."""
    if not _can_trace():
        pytest.skip("no process may be traced here")
    found = {}
    for kill in KILLS:
        with post(few) as made:
            found[kill] = kill(made, 1 << 20)
    return found


def test_an_undisturbed_worker_in_a_process_of_its_own(few: Trial) -> None:
    with post(few) as made:
        assert made.finish() == few.expected


@given(kills=st.lists(st.tuples(st.sampled_from(KILLS), st.floats(0, 1)), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
@example(kills=[(kill_in_chain, 0.0), (kill_in_recovery, 0.0), (kill_in_recovery, 1.0)])
def test_killed_after_any_number_of_instructions(
    few: Trial, lengths: dict[Kill, int], kills: list[tuple[Kill, float]]
) -> None:
    with post(few) as made:
        for kill, share in kills:
            kill(made, int(share * lengths[kill]))
        assert made.finish() == few.expected


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
        assert not int(made.rig.posts[0]._orders[ORDER_PAUSE // 4]) & 1
        assert results(made.rig) == few.expected
