"""zcframe as a library: results against dpkt and the command, errors, live forms; hosts that are interrupted, or killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dpkt
import numpy as np
import psutil
import pytest

import zcframe
from tests.kit import reference
from tests.kit.checks import check_books, check_lossless, lengths_of, octets_of
from tests.kit.command import MARK, OWN, environment, own_processes, until
from tests.kit.command import zcframe as command
from tests.kit.places import BUNDLED, ROOT
from zcframe import PASS, Array, Param, Table, plugin, u64

ROWS = 3
FOREVER = {"read": BUNDLED, "loop": 0, "queues": 2, "plugins": "sizes"}


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of this process count as its own, so that those that are left are found."""
    monkeypatch.setenv(MARK, OWN)


@pytest.fixture(scope="module")
def packets() -> list[reference.Packet]:
    return reference.read(BUNDLED).packets


def _port(pkt: Any) -> Any:
    return pkt.dport


def _ports() -> type:
    """A class that no other process can import: its name leads through a function."""
    shift = 1

    @plugin(name="ports")
    class Ports:
        """Packets by destination port; a text
        that is not indented like the class."""

        top = Param(ROWS, "rows")
        ports = Array(u64, 65537)
        hosts = Table(key={"hi": u64, "lo": u64}, value={"octets": u64})

        def filter(pkt: Any, state: Any, params: Any) -> Any:
            state.ports[_port(pkt) + shift] += 1
            row = state.hosts.upsert(pkt.src_hi, pkt.src_lo)
            if row:
                row.octets += pkt.wirelen
            return PASS

        def report(merged: Any, params: Any) -> dict[str, int]:
            busiest = np.argsort(merged.ports, kind="stable")[::-1][: params.top]
            return {str(port - shift): int(merged.ports[port]) for port in busiest.tolist()}

    return Ports


def _expected_ports() -> Counter[int]:
    """Destination ports by dpkt; 0 for packets without one."""
    found: Counter[int] = Counter()
    with BUNDLED.open("rb") as file:
        for _, frame in dpkt.pcapng.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            layer = ip.data if isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) else None
            found[layer.dport if isinstance(layer, dpkt.tcp.TCP | dpkt.udp.UDP) else 0] += 1
    return found


@pytest.fixture(scope="module")
def ports() -> type:
    return _ports()


@pytest.fixture(scope="module")
def result(ports: type) -> zcframe.Result:
    return zcframe.run(read=BUNDLED, plugins=[(ports, {"top": 2}), "sizes"], queues=2)


# --- results


def test_a_class_of_a_function_counts_what_dpkt_counts(result: zcframe.Result, packets: list[reference.Packet]) -> None:
    lengths, expected = lengths_of(packets), _expected_ports()
    check_lossless(result.document, len(packets), octets_of(lengths))
    assert (result.packets, result.bytes, result.lost, result.final) == (len(packets), octets_of(lengths), 0, True)
    counted = result.state["ports"].ports
    for port in (53, 80, 443):
        assert counted[port + 1] == expected[port] > 0
    assert result.reports["ports"] == {str(p): int(counted[p + 1]) for p in map(int, result.reports["ports"])}
    assert len(result.reports["ports"]) == 2 and counted.sum() == len(packets)
    assert result.state["ports"].hosts["octets"].sum() == octets_of(lengths)


def test_the_document_is_the_command_s() -> None:
    told = command("run", "--json", "--read", BUNDLED, "--queues", 2, "--plugin", "sizes", "--filter", "udp").document
    result = zcframe.run(read=[BUNDLED], queues=2, plugins="sizes", filter="udp")
    for name in ("source", "filter", "rss", "totals", "plugins", "faults", "outputs"):
        assert result.document[name] == told[name], name


def test_states_merge_and_are_the_caller_s_own(result: zcframe.Result) -> None:
    state = result.state["ports"]
    twice = zcframe.merge([state, state])
    assert (twice.ports == 2 * state.ports).all()
    assert twice.hosts["octets"].sum() == 2 * state.hosts["octets"].sum()
    twice.ports[0] = state.ports[0] = 0


def test_a_table_is_a_data_frame(result: zcframe.Result) -> None:
    pandas = pytest.importorskip("pandas")
    frame = result.frame("ports", "hosts")
    rows = result.state["ports"].hosts
    assert isinstance(frame, pandas.DataFrame) and list(frame) == ["hi", "lo", "octets"]
    assert frame["octets"].tolist() == rows["octets"].tolist() and len(frame) > 100
    assert result.frame("ports", "ports")["ports"].sum() == result.packets


def test_what_is_not_installed_is_named(result: zcframe.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.frame("ports", "hosts")
    with pytest.raises(ImportError, match="pip install tqdm"):
        zcframe.run(**FOREVER, progress=True)


# --- errors


def _refused(**options: Any) -> zcframe.RunError:
    with pytest.raises(zcframe.RunError) as caught:
        zcframe.run(**options)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"quues": 4}, "there is no option 'quues': did you mean queues?"),
        ({"plugin": "flows"}, "there is no option 'plugin': did you mean plugins?"),
        ({"json": True}, "json: only the command has it; result.document is the document"),
        ({"queues": 99}, "--queues 99: zcframe has at most 16"),
        ({"read": "x", "iface": "lo"}, "--iface lo and --read: an interface is not replayed, give one of them"),
        ({"plugins": [int]}, "is neither what --plugin takes nor a class marked with @plugin"),
        ({"plugins": [("flows", 3)]}, "plugins: 3: a dict of parameters is needed beside a plugin"),
        ({"plugins": [("flows", {"tip": 3})]}, "--plugin flows?tip=3: flows has no parameter tip"),
        ({"config": "/nowhere.toml"}, "--config /nowhere.toml: No such file or directory"),
    ],
)
def test_wrong_options_are_refused_as_by_the_command(options: dict[str, Any], says: str) -> None:
    error = _refused(**options)
    assert says in str(error) and error.exit_code == 2 and error.result is None


def test_a_parameter_that_the_class_lacks(ports: type) -> None:
    assert "ports has no parameter tip; did you mean top?" in str(_refused(plugins=[(ports, {"tip": 3})]))


def test_a_damaged_file_is_an_error_with_a_result(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(BUNDLED.read_bytes()[:-3])
    error = _refused(read=cut, queues=1, plugins="sizes")
    told = command("run", "--read", cut, "--queues", 1, "--plugin", "sizes", "--json")
    assert f"zcframe: {error}" in told.stderr.splitlines()
    assert error.exit_code == 1 and error.result is not None
    assert error.result.packets == told.document["totals"]["packets"] > 0


def test_a_line_that_does_not_compile_is_named() -> None:
    @plugin
    class Wrong:
        n = Array(u64, 1)

        def filter(pkt: Any, state: Any, params: Any) -> Any:
            state.n[0] += pkt.nope
            return PASS

    line = Wrong.filter.__code__.co_firstlineno + 1
    assert f"plugin wrong does not compile: {__file__}:{line}: pkt has no attribute nope" in str(
        _refused(read=BUNDLED, plugins=Wrong)
    )


def test_loss_above_the_bound_has_its_exit_code() -> None:
    options = {**FOREVER, "queues": 1, "ring_slots": 64, "pps": 10_000, "max_loss": 0.0}
    with pytest.raises(zcframe.RunError) as caught, zcframe.start(**options) as running:
        running.snapshot()
        (worker,) = (child for child in psutil.Process(running.pid).children() if child.name().startswith("zc-rx-"))
        worker.suspend()
        while running.snapshot().ledger["ring_full"] == 0:
            pass
        worker.resume()
    error = caught.value
    assert error.exit_code == 3 and "more than --max-loss 0.0" in str(error)
    assert error.result is not None and error.result.lost > 0
    check_books(error.result.document)


def test_a_process_that_is_killed_is_an_error() -> None:
    with zcframe.start(**FOREVER) as running:
        running.snapshot()
        os.kill(running.pid, signal.SIGKILL)
        with pytest.raises(zcframe.RunError, match="the process of the run was killed by SIGKILL"):
            running.wait()


# --- live forms


def test_snapshots_of_a_run_that_goes_on() -> None:
    with zcframe.start(**FOREVER, every=0.05) as running:
        seen = []
        for snapshot in running:
            check_books(snapshot.document)
            assert not snapshot.final
            assert snapshot.state["sizes"].lengths.sum() == sum(snapshot.reports["sizes"]["histogram"].values())
            seen.append(snapshot.packets)
            if len(seen) > 3 and seen[-1] > seen[0]:
                break
        running.stop()
        result = running.wait()
    assert seen == sorted(seen) and result.packets >= seen[-1]
    assert result.interrupted and result.final and result.exit_code == 0
    assert running.snapshot() is result


def test_the_last_snapshot_is_the_result() -> None:
    with zcframe.start(read=BUNDLED, queues=1, plugins="sizes", every=0.01) as running:
        *_, last = running
    assert isinstance(last, zcframe.Result) and last.final and not last.interrupted


def test_a_callback_ends_the_run() -> None:
    seen: list[int] = []

    def look(snapshot: zcframe.Snapshot) -> bool:
        seen.append(snapshot.packets)
        return seen[-1] == 0

    result = zcframe.run(**FOREVER, on_snapshot=look, every=0.05)
    assert seen[-1] > 0 and result.interrupted and result.packets >= seen[-1]


def test_what_the_block_raises_ends_the_run_and_comes_through() -> None:
    with pytest.raises(ZeroDivisionError), zcframe.start(**FOREVER) as running:
        running.snapshot()
        raise ZeroDivisionError
    assert not psutil.pid_exists(running.pid)


def test_an_end_before_the_start_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with zcframe.start(**FOREVER) as running:
        running.stop()
        running.stop()
        with pytest.raises(zcframe.RunError, match="ended before the first packet") as caught:
            running.wait()
    assert caught.value.exit_code == 0
    with zcframe.start(**FOREVER):
        pass
    assert capfd.readouterr() == ("", "")


def test_a_run_that_nobody_holds_ends() -> None:
    pid = zcframe.start(**FOREVER).pid
    until(lambda: not psutil.pid_exists(pid), what="the end of what was dropped")


def test_asyncio_goes_on_meanwhile() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    async def both() -> tuple[zcframe.Result, list[int]]:
        beside, seen = asyncio.create_task(tick()), []
        async with zcframe.start_async(**FOREVER, every=0.05) as running:
            async for snapshot in running:
                seen.append(snapshot.packets)
                if len(seen) == 3:
                    running.stop()
        beside.cancel()
        return await running.wait(), seen

    result, seen = asyncio.run(both())
    assert result.packets == seen[-1] >= seen[0] and len(seen) >= 4
    assert ticks > 0


def test_two_runs_side_by_side_and_a_cancelled_one() -> None:
    async def several() -> list[Any]:
        endless = asyncio.create_task(zcframe.run_async(**FOREVER))
        found = await asyncio.gather(*(zcframe.run_async(read=BUNDLED, queues=k, plugins="sizes") for k in (1, 2)))
        endless.cancel()
        return [*found, *await asyncio.gather(endless, return_exceptions=True)]

    first, second, cancelled = asyncio.run(several())
    assert first.reports == second.reports
    assert isinstance(cancelled, asyncio.CancelledError)


# --- hosts


def test_the_host_s_signals_and_threads_stay_as_they_are() -> None:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mask, threads = signal.pthread_sigmask(signal.SIG_BLOCK, ()), threading.active_count()
    zcframe.run(read=BUNDLED, queues=1, plugins="sizes")
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask and threading.active_count() == threads


def test_a_run_outlives_the_thread_that_started_it() -> None:
    started: list[zcframe.Run] = []
    thread = threading.Thread(target=lambda: started.append(zcframe.start(**FOREVER)))
    thread.start()
    thread.join()
    with started[0] as running:
        before = running.snapshot().packets
        while running.snapshot().packets == before:
            pass


HOST = """
import os, signal, sys, threading, time
import zcframe
from zcframe import PASS, Array, plugin, u64

STEP = 2

def step(pkt):
    return STEP

@plugin
class Mine:
    n = Array(u64, 1)
    def filter(pkt, state, params):
        state.n[0] += step(pkt)
        return PASS
    def report(merged):
        print("counted", merged.n[0])
        return {}

def options(**more):
    return {"read": sys.argv[1], "plugins": [Mine], "queues": 2, **more}

def say(*words):
    print(*words, flush=True)

threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
"""


@contextmanager
def host(tmp_path: Path, body: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A program of its own that uses the library."""
    path = tmp_path / "host.py"
    path.write_text(HOST + body)
    words = [sys.executable, str(path), str(BUNDLED)]
    pipe = subprocess.PIPE
    env = environment(PYTHONPATH=str(ROOT / "src"))
    with subprocess.Popen(words, env=env, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, **more) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> list[str]:
    """The next line of the program itself; what its plugin prints in each report is left out."""
    assert process.stdout is not None and process.stderr is not None
    for line in process.stdout:
        if not line.startswith("counted"):
            return line.split()
    raise AssertionError(process.stderr.read())


ENDLESS = """
def seen(snapshot):
    say("flowing", snapshot.packets)

result = zcframe.run(**options(loop=0), on_snapshot=seen, every=0.05)
say("ended", result.packets, result.state["mine"].n[0], result.interrupted)
"""


def _flowing(process: subprocess.Popen[str]) -> None:
    while _line(process)[0] != "flowing":
        pass


def test_a_script_s_class_travels_with_what_it_names(tmp_path: Path, packets: list[reference.Packet]) -> None:
    body = """
import logging
logging.basicConfig(level=logging.INFO)
zcframe.run(**options(progress=True, plugins=[Mine, "sizes"]))
"""
    with host(tmp_path, body) as process:
        out, err = process.communicate()
    assert out.split() == ["counted", str(2 * len(packets))]
    assert f"packets={len(packets):,}" in err and "Traceback" not in err


def test_ctrl_c_ends_the_run_and_returns_what_ran(tmp_path: Path) -> None:
    with host(tmp_path, ENDLESS, start_new_session=True) as process:
        _flowing(process)
        os.killpg(process.pid, signal.SIGINT)
        *_, last = process.communicate()[0].splitlines()
    word, count, state, interrupted = last.split()
    assert (word, interrupted, process.returncode) == ("ended", "True", 0)
    assert int(state) == 2 * int(count) > 0


def test_the_third_ctrl_c_is_the_host_s(tmp_path: Path) -> None:
    body = """
import zcframe.framework.library.process as process
process.OBEY_S = 0.0
with zcframe.start(**options(loop=0)) as run:
    run.snapshot()
    os.kill(run.pid, signal.SIGSTOP)
    say("waits")
    try:
        run.wait(lambda run: say("watched"))
    except KeyboardInterrupt:
        say("interrupted")
"""
    with host(tmp_path, body) as process:
        assert _line(process) == ["waits"]
        for _ in range(3):
            assert _line(process) == ["watched"]
            process.send_signal(signal.SIGINT)
        lines = [
            line for line in process.communicate()[0].splitlines() if line.split()[0] not in ("watched", "counted")
        ]
    assert lines == ["interrupted"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_host_that_ends_takes_the_run_with_it(tmp_path: Path, number: signal.Signals) -> None:
    with host(tmp_path, ENDLESS) as process:
        _flowing(process)
        process.send_signal(number)
        process.wait()
        until(lambda: not own_processes(), what="the end of the run")


def test_a_fork_of_the_host_does_not_keep_the_run(tmp_path: Path) -> None:
    body = """
run = zcframe.start(**options(loop=0))
run.snapshot()
child = os.fork()
if child == 0:
    time.sleep(1000)
say("forked", child, run.pid)
time.sleep(1000)
"""
    with host(tmp_path, body) as process:
        _, child, running = _line(process)
        process.kill()
        process.wait()
        try:
            until(lambda: not psutil.pid_exists(int(running)), what="the end of the run")
            assert psutil.pid_exists(int(child))
        finally:
            os.kill(int(child), signal.SIGKILL)


def _deaf() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGINT, signal.SIGQUIT})


def test_what_the_host_ignores_the_run_does_not(tmp_path: Path) -> None:
    body = """
with zcframe.start(**options(loop=0)) as run:
    say(run.snapshot().packets >= 0)
    run.stop()
    say(run.wait().interrupted)
run = zcframe.start(**options(loop=0))
run.snapshot()
say("held")
time.sleep(1000)
"""
    with host(tmp_path, body, preexec_fn=_deaf) as process:
        assert [_line(process)[0] for _ in range(3)] == ["True", "True", "held"]
        process.kill()
        process.wait()
        until(lambda: not own_processes(), what="the end of the run")


def test_a_run_in_preparation_ends_with_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with host(tmp_path, "run = zcframe.start(**options(loop=0)); say(run.pid); time.sleep(1000)") as process:
        (pid,) = _line(process)
        until(lambda: b"hosted" in Path(f"/proc/{pid}/cmdline").read_bytes(), what="its own program")
        process.kill()
        process.wait()
        until(lambda: not own_processes(), what="the end of the run")


# --- cells


CELLS = [
    "import zcframe\nfrom zcframe import PASS, Array, plugin, u64\nSTEP = 3",
    "def step(pkt):\n    return STEP",
    "@plugin\nclass Mine:\n    n = Array(u64, 1)\n    def filter(pkt, state, params):\n"
    "        state.n[0] += step(pkt)\n        return PASS\n",
    "first = zcframe.run(read=FILE, plugins=[Mine], queues=1)",
    "STEP = 5",
    "second = zcframe.run(read=FILE, plugins=[Mine], queues=1)",
    "third = await zcframe.run_async(read=FILE, plugins=[Mine], queues=1)",
    "print('STEPS', *(r.state['mine'].n[0] // r.packets for r in (first, second, third)))",
]


@pytest.mark.long
def test_a_class_of_a_notebook_s_cell(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    cells = [f"FILE = {str(BUNDLED)!r}", *CELLS]
    body = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in {cells!r}:
    shell.run_cell(cell).raise_error()
"""
    with host(tmp_path, body) as process:
        out, err = process.communicate()
    assert "STEPS 3 5 5" in out, err


def test_the_face_completes() -> None:
    """What an editor reads from the annotation, and a console from the signature, are the options of the command."""
    import inspect

    from zcframe.framework.config import OPTIONS
    from zcframe.framework.library.options import ABSENT, RunOptions

    names = {*OPTIONS, "config"} - {*ABSENT}
    assert set(RunOptions.__annotations__) == names
    functions: list[Callable[..., Any]] = [zcframe.run, zcframe.start, zcframe.run_async, zcframe.start_async]
    for function in functions:
        assert names < {*inspect.signature(function).parameters} | {""}
        assert all(f" {name}: " in (function.__doc__ or "") for name in names)
