"""`tick(state, now, params)` against a model in plain Python: however packets are spread, whatever raises or is killed."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.places import BUNDLED, ROOT
from tests.kit.rig import Frame, Rig, bound, read_capture, run
from tests.property.test_handover import check_each_change, fork_with
from tests.property.test_kill import GATE, STEPPED, THE_END, Gate, Post, Trial, at_gate, results, traced_worker
from tests.property.test_records import HANDED, PCAP, emitted, tallies
from zcframe import PASS, Array, Records, Table, plugin, u64
from zcframe.framework.chain.build import build_chain
from zcframe.framework.chain.workspace import PACKET, STAGE
from zcframe.framework.errors import DeclarationError, PluginCompileError
from zcframe.framework.rss.toeplitz import hash_frame
from zcframe.framework.supervisor.faults import read_faults
from zcframe.framework.worker.loop import Worker
from zcframe.framework.worker.raised import KILLED
from zcframe.framework.worker.recover import recover
from zcframe.testing import interpret_plugin, run_plugin

S = 10**9


@pytest.fixture(scope="module", autouse=True)
def no_tracer() -> Iterator[None]:
    """The Gate's signal is for tracers."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGUSR1, before)


FRAMES = read_capture(BUNDLED)


@plugin(tick=1.0)
class Seconds:
    """Packets by the end of the second that they came in; how often a second's end was told."""

    packets = Array(u64, 1)
    ends = Table(key={"now": u64}, value={"ticks": u64, "packets": u64}, capacity=1 << 18)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.packets[0] += 1
        return PASS

    @staticmethod
    def tick(state, now, params):  # type: ignore[no-untyped-def]
        row = state.ends.upsert(now)
        if row:
            row.ticks += 1
            row.packets += state.packets[0]
        state.packets[0] = 0


def ends_of(times: Iterable[int], interval: int = S, back: int = S) -> list[tuple[int, int]]:
    """(time of the tick, packets since the one before) of a shard's packets, as docs/plugins.md tells it."""
    found: list[tuple[int, int]] = []
    end = count = 0
    for ts in times:
        begun = ts // interval * interval
        if end and not end - interval - back <= ts < end:
            found.append((end, count))
            if begun > end:
                found.append((begun, 0))
            end = count = 0
        end, count = end or begun + interval, count + 1
    return [*found, (end, count)] if end else found


def expected_ends(frames: Iterable[Frame], shard_of: Any) -> dict[int, tuple[int, int]]:
    shards: dict[Any, list[int]] = defaultdict(list)
    for frame in frames:
        shards[shard_of(frame)].append(frame.ts)
    ticks, packets = Counter[int](), Counter[int]()
    for times in shards.values():
        for now, count in ends_of(times):
            ticks[now] += 1
            packets[now] += count
    return {now: (ticks[now], packets[now]) for now in ticks}


def found_ends(rig: Rig) -> dict[int, tuple[int, int]]:
    rows = rig.state("seconds").ends
    return {int(row["now"]): (int(row["ticks"]), int(row["packets"])) for row in rows}


def bucket_of(rig: Rig) -> Any:
    def shard(frame: Frame) -> int:
        kind, found = hash_frame(frame.data, rig.key, rig.fields)
        return found & 127 if kind else 128

    return shard


def spaced(steps: Iterable[int], first: int = 1_700_000_000 * S) -> list[Frame]:
    """Frames of the trace, so many nanoseconds apart."""
    frames, ts = [], first
    for number, step in enumerate(steps):
        ts += step
        frames.append(FRAMES[number % len(FRAMES)]._replace(ts=ts))
    return frames


STEPS = st.lists(st.sampled_from([0, 1000, S // 3, S, S + 1, 7 * S, -S // 2, -3 * S]), max_size=200)


@pytest.mark.parametrize("queues", [1, 2, 8])
@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_a_tick_ends_each_interval_of_each_shard(queues: int, steps: list[int]) -> None:
    frames = spaced(steps)
    with run([Seconds], frames, queues=queues) as rig:
        rig.finish()
        assert found_ends(rig) == expected_ends(frames, bucket_of(rig))
        assert rig.finish() and found_ends(rig) == expected_ends(frames, bucket_of(rig))


def test_the_trace_by_any_number_of_queues_and_as_plain_python() -> None:
    frames = [(frame.ts, frame.data) for frame in FRAMES]
    one, *others = (run_plugin(Seconds, frames, queues) for queues in (1, 2, 8))
    assert len(one.state.ends) > 3 and one.state.ends["packets"].sum() == len(frames)
    for other in (*others, interpret_plugin(Seconds, frames)):
        assert sorted(other.state.ends.tolist()) == sorted(one.state.ends.tolist())


@plugin(per="worker", tick=1.0)
class OneClock:
    """The same by worker."""

    packets = Seconds.packets
    ends = Seconds.ends
    filter = Seconds.filter
    tick = Seconds.tick


def test_state_per_worker_has_one_clock() -> None:
    frames = spaced([S // 3] * 40)
    with run([OneClock], frames) as rig:
        rig.finish()
        rows = rig.state("oneclock").ends
        found = {int(row["now"]): (int(row["ticks"]), int(row["packets"])) for row in rows}
    assert found == expected_ends(frames, lambda _: 0)


@plugin(tick=1.0)
class Faulty:
    """Raises in some ticks, and for some packets, after it wrote and emitted."""

    ticks = Array(u64, 4)
    rows = Table(key={"now": u64}, value={"packets": u64}, capacity=4096)
    told = Records(now=u64, packets=u64)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        state.ticks[1] += 1
        state.told.emit(now=0, packets=pkt.wirelen)
        if pkt.wirelen % 5 == 0:
            raise ValueError("no packet")
        return PASS

    @staticmethod
    def tick(state, now, params):  # type: ignore[no-untyped-def]
        state.ticks[0] += 1
        row = state.rows.upsert(now)
        row.packets += state.ticks[1]
        state.told.emit(now=now, packets=state.ticks[1])
        state.rows.delete(now - 3 * 1_000_000_000)
        state.ticks[2] += state.ticks[1]
        state.ticks[1] = 0
        if now // 1_000_000_000 % 4 == 2:
            raise ValueError("no tick")


def told_faults(rig: Rig) -> dict[tuple[str, str], int]:
    return {(fault.plugin, fault.reason): fault.packets for fault in read_faults(rig.posts, rig.plugins)}


def faulty_model(frames: Iterable[Frame], shard_of: Any) -> tuple[int, int, int]:
    """(ticks that did not raise, ticks that did, packets that faulted) of one worker."""
    good = bad = faulted = 0
    clocks: dict[Any, int] = {}
    for frame in frames:
        shard = shard_of(frame)
        begun, end = frame.ts // S * S, clocks.get(shard, 0)
        raised = False
        if end and frame.ts >= end:
            times = [end] if begun == end else [end, begun]
            raised = any(now // S % 4 == 2 for now in times)
            good, bad = good + (0 if raised else len(times)), bad + raised
        clocks[shard] = max(end, begun + S)
        faulted += raised or len(frame.data) % 5 == 0
    last = [end // S % 4 == 2 for end in clocks.values()]
    return good + len(last) - sum(last), bad + sum(last), faulted


def test_what_raises_is_undone_told_with_its_line_and_not_called_again() -> None:
    frames = spaced([S // 3, S, 9 * S // 2, 10] * 50)
    with run([Faulty], frames) as rig:
        rig.finish()
        good, bad, faulted = faulty_model(frames, bucket_of(rig))
        assert bad > 10
        assert int(rig.state("faulty").ticks[0]) == good
        assert rig.ledger()["faulted"]["faulty"] == faulted
        told = told_faults(rig)
    lines = {line.strip(): number for number, line in enumerate(Path(__file__).read_text().splitlines(), 1)}
    tick, packet = (f'raise ValueError("no {what}")' for what in ("tick", "packet"))
    assert {reason for _, reason in told} == {
        f"ValueError: no tick, test_tick.py:{lines[tick]}",
        f"ValueError: no packet, test_tick.py:{lines[packet]}",
    }
    assert sum(count for (_, reason), count in told.items() if "no tick" in reason) == bad


def test_what_a_tick_emits_is_emitted_once() -> None:
    frames = spaced([S // 3, S, 9 * S // 2, 10] * 50)
    with Rig(Faulty, slots=64, outputs=[PCAP, HANDED]).feed(frames) as rig:
        rig.finish()
        good, *_ = faulty_model(frames, bucket_of(rig))
        times = [values[3] for values in emitted(rig, 1) if values[3]]
    assert len(times) == good


def test_a_tick_that_a_worker_died_of_is_given_up_alone() -> None:
    frames = spaced([1000] * 200)
    with run([Seconds], frames) as rig:
        recovered, progress = rig.workers[0], rig.posts[0].progress
        # As it says while the tick of a shard is called by itself.
        progress.view("u4", STAGE)[0], progress.view("u4", PACKET)[0] = 1, 0
        recover(recovered.ctx, rig.chain.codes, 2)
        rig.finish()
        shards = {bucket_of(rig)(frame) for frame in frames}
        assert sum(ticks for ticks, _ in found_ends(rig).values()) == len(shards) - 1 > 10
        assert told_faults(rig) == {("seconds", KILLED): 1}


# --- kills


class TickingPost(Post):
    def __init__(self, trial: Trial) -> None:
        self.rig = Rig(*trial.plugins, slots=trial.slots, outputs=[PCAP, HANDED], ring_bytes=1 << 17)
        for frame in trial.frames:
            self.rig.put(frame)

    def fork(self, before: Any, run: Any) -> int:
        return fork_with(self.rig, before, run)


def all_ticked(rig: Rig) -> dict[str, Any]:
    state = rig.state("faulty")
    rows = sorted(state.rows.tolist())
    made: dict[str, Any] = {"told": told_faults(rig)}
    made |= {"frames": rig.handed(), "records": emitted(rig, 1), "tallies": tallies(rig, 1)}
    found = results(rig, lambda _: {**made, "ticks": state.ticks.tolist(), "rows": rows})
    # By plugin, of which one reason is shown.
    return {**found, "faults": None}


def _succeed(rig: Rig) -> dict[str, Any]:
    worker = rig.workers[0]
    # What was put back has no words yet.
    worker._raised._next = 0
    recover(worker.ctx, rig.chain.codes, 0)
    while worker.chain.run(worker.ctx, 1 << 16):
        pass
    worker.finish()
    return all_ticked(rig)


def _trial() -> Trial:
    frames = tuple(spaced([S // 3, 9 * S // 2, S] * (STEPPED // 3)))
    plugins = (bound(Gate, ts=frames[GATE].ts), bound(Faulty))
    with Rig(*plugins, slots=64, outputs=[PCAP, HANDED], ring_bytes=1 << 17).feed(frames) as rig:
        rig.finish()
        expected = all_ticked(rig)
        assert len(told_faults(rig)) == 2 and expected["states"]["rows"]
    return Trial(frames, 64, expected, plugins)


@pytest.fixture
def ticking() -> Iterator[TickingPost]:
    trial = _trial()
    made = TickingPost(trial)
    made.trial = trial  # type: ignore[attr-defined]
    yield made
    made.rig.close()


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_a_burst_with_ticks(ticking: Any) -> None:
    with at_gate(ticking) as traced:
        assert check_each_change(ticking.rig, traced, _succeed, ticking.trial.expected) > 100
    assert _succeed(ticking.rig) == ticking.trial.expected


def _end(worker: Worker) -> None:
    worker.finish()
    os.kill(os.getpid(), THE_END)


@pytest.mark.long
@pytest.mark.needs("tracing")
def test_killed_after_any_store_of_the_last_ticks(ticking: Any) -> None:
    """Each is a transaction of its own: some raise, all but the first shard's come after a commit without packets."""
    worker = ticking.rig.workers[0]
    while worker.chain.run(worker.ctx, 1 << 16):
        pass
    with traced_worker(ticking, _end) as traced:
        assert check_each_change(ticking.rig, traced, _succeed, ticking.trial.expected) > 100
    assert _succeed(ticking.rig) == ticking.trial.expected


# --- what is refused


def _declared(**options: Any) -> None:
    plugin(**options)(type("Odd", (), {"filter": staticmethod(lambda pkt, state, params: PASS)}))


@pytest.mark.parametrize("tick", [0, 1e-6, 86401, True, "1", -1.0])
def test_an_interval_that_cannot_be(tick: Any) -> None:
    with pytest.raises(DeclarationError, match=f"tick={tick!r}; 0.001 to 86400 seconds"):
        plugin(tick=tick)(type("Odd", (), dict(vars(Seconds))))


def test_an_interval_without_a_function_and_the_reverse() -> None:
    with pytest.raises(DeclarationError, match=r"a function tick\(state, now, params\) is needed"):
        _declared(tick=1.0)
    with pytest.raises(DeclarationError, match=r"never called: say how often, @plugin\(tick=1.0\)"):
        plugin(type("Odd", (), dict(vars(Seconds))))


@plugin(tick=1.0)
class Returns:
    filter = Seconds.filter
    packets = Seconds.packets

    @staticmethod
    def tick(state, now, params):  # type: ignore[no-untyped-def]
        return now


def test_a_tick_that_returns_something() -> None:
    with pytest.raises(PluginCompileError, match=r"test_tick.py:\d+: tick returns a whole number: it returns nothing"):
        build_chain([bound(Returns)])


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "plugins.md").read_text()
    (text,) = re.findall(r"```python\n([^`]*class Bursts.*?)```", page, re.DOTALL)
    path = tmp_path / "bursts.py"
    path.write_text(text)
    with Rig(str(path), outputs=[HANDED]).feed(FRAMES) as rig:
        rig.finish()
        sums = Counter[tuple[int, int]]()
        shard = bucket_of(rig)
        for frame in FRAMES:
            sums[shard(frame), frame.ts // S * S + S] += frame.wire or len(frame.data)
        assert sorted((second, size) for *_, second, size in emitted(rig)) == sorted(
            (second, size) for (_, second), size in sums.items() if size > 10_000
        )
        assert int(rig.state("bursts").most[0]) == max(sums.values())
