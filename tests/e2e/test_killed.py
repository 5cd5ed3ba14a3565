"""Processes of a run are killed, stopped and interrupted: nothing is lost or counted twice, and nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kit import reference
from tests.kit.checks import check_books, check_flows, check_lossless, check_sizes, check_tally, octets_of
from tests.kit.command import Background, until, zcframe
from tests.kit.places import ANALYZERS, BUNDLED

TALLY = ANALYZERS / "tally.py"
COUNTING = ("flows?top=1000000&active=0", f"{TALLY}:Tally", "sizes")
# What the issue allows between a signal and the end.


@pytest.fixture(scope="module")
def packets() -> list[reference.Packet]:
    return reference.read(BUNDLED).packets


def endless(folder: Path, *more: object, plugins: tuple[str, ...] = COUNTING) -> Background:
    """The bundled trace for ever, at full speed without loss, telling how far it is."""
    plain = ["run", "--json", "--stats-interval", "0.05", "--loop", "0", "--speed", "max"]
    return Background(folder, *plain, *more, "--plugin", *plugins, "--read", BUNDLED)


def check_every_packet_once(document: dict[str, Any], packets: list[reference.Packet]) -> None:
    """All that arrived, which are the first packets of an endless replay, is in every plugin's state exactly once."""
    arrived = document["totals"]["ledger"]["arrived"]
    lengths = reference.replayed_lengths(packets, arrived)
    reports = document["plugins"]
    check_lossless(document, arrived, octets_of(lengths))
    check_tally(reports["tally"], lengths)
    check_sizes(reports["sizes"], lengths)
    check_flows(reports["flows"], reference.replayed_flows(packets, arrived))


def kill(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        return True
    return False


# --- workers


@pytest.mark.parametrize("slots", [64, 4096])
def test_workers_killed_at_random_moments(tmp_path: Path, packets: list[reference.Packet], slots: int) -> None:
    with endless(tmp_path, "--queues", "4", "--ring-slots", slots) as run:
        killed = run.flowing().kill(40, "zc-rx-", rate=50, seed=slots)
        done = run.signal(signal.SIGINT).finish()
    assert done.code == 0, done
    document = done.document
    assert document["totals"]["restarts"] == len(killed)
    check_every_packet_once(document, packets)


def test_a_successor_killed_before_its_first_packet(tmp_path: Path, packets: list[reference.Packet]) -> None:
    """Again and again, as soon as it is there: it did no wrong, so no packet may be given up for it."""
    killed: set[int] = set()
    with endless(tmp_path, "--queues", "1", "--ring-slots", "64") as run:
        run.flowing()
        parent = psutil.Process(run.pid)
        nic = run.nic().pid
        while len(killed) < 25:
            for child in parent.children():
                if child.pid != nic and kill(child):
                    killed.add(child.pid)
        run.flowing(max(tick["totals"]["packets"] for tick in run.ticks()) + 1)
        done = run.signal(signal.SIGINT).finish()
    assert done.code == 0, done
    check_every_packet_once(done.document, packets)


def test_a_worker_that_stands_still_holds_up_but_loses_nothing(tmp_path: Path, packets: list[reference.Packet]) -> None:
    with endless(tmp_path, "--queues", "2") as run:
        victim = run.flowing().workers()[0]
        victim.suspend()
        time.sleep(0.5)
        victim.resume()
        done = run.signal(signal.SIGINT).finish()
    assert done.code == 0, done
    assert done.document["totals"]["restarts"] == 0
    check_every_packet_once(done.document, packets)


def test_a_worker_that_stands_still_does_not_keep_the_command_from_ending(tmp_path: Path) -> None:
    """What is left in its ring is in flight, and the books say so."""
    with endless(tmp_path, "--queues", "2") as run:
        run.flowing().workers()[0].suspend()
        time.sleep(0.2)
        done = run.stop(signal.SIGINT)
    assert done.code in (0, 1), done
    check_books(done.document)


# --- the software NIC


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_nic_is_killed(tmp_path: Path, number: int) -> None:
    """An error, and a ledger that closes; what had been delivered counts, in every plugin."""
    with endless(tmp_path, "--queues", "4") as run:
        run.flowing(10_000).nic().send_signal(number)
        done = run.finish()
    assert done.code == 1, done
    assert any("NIC" in line and signal.Signals(number).name in line for line in done.complaints), done.stderr
    document = done.document
    totals = check_books(document)
    assert totals["packets"] >= 10_000
    assert totals["ledger"]["in_flight"] == 0
    reports = document["plugins"]
    assert reports["tally"]["counts"] == [totals["packets"], totals["bytes"], totals["packets"], 0]
    assert reports["sizes"]["packets"] == totals["packets"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_reader_is_killed(tmp_path: Path, packets: list[reference.Packet], number: int) -> None:
    """As with the NIC; and all that had arrived was delivered, each packet once."""
    with endless(tmp_path, "--queues", "4") as run:
        readers = psutil.Process(run.flowing(10_000).nic().pid).children()
        if not readers:
            pytest.skip("one CPU: the NIC reads alone")
        readers[0].send_signal(number)
        done = run.finish()
    assert done.code == 1, done
    assert any("reader" in line and signal.Signals(number).name in line for line in done.complaints), done.stderr
    check_every_packet_once(done.document, packets)


# --- the supervisor


def _memory_of(processes: list[psutil.Process]) -> set[int]:
    """Inodes of all anonymous shared memory that these processes hold."""
    found = set()
    for process in processes:
        # Others may end while they are looked at.
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{process.pid}/fd").iterdir():
                if "/memfd:" in os.readlink(entry):
                    found.add(entry.stat().st_ino)
    return found


def test_the_supervisor_is_killed(tmp_path: Path) -> None:
    """Workers and NIC notice, and their memory goes with them."""
    with endless(tmp_path, "--queues", "4") as run:
        run.flowing()
        family = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
        assert len([process for process in family if process.name() != "zc-read"]) == 6
        memory = _memory_of(family)
        assert memory
        run.process.kill()
        run.process.wait()
        until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), 2.0, "a child")
        others = [process for process in psutil.process_iter() if os.access(f"/proc/{process.pid}/fd", os.R_OK)]
        assert not _memory_of(others) & memory


def test_the_supervisor_is_killed_while_a_worker_stands_still(tmp_path: Path) -> None:
    with endless(tmp_path, "--queues", "2") as run:
        victim = run.flowing().workers()[0]
        victim.suspend()
        run.process.kill()
        run.process.wait()
        until(lambda: not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE, 2.0, "the stopped worker")


# --- signals


def _to_all(run: Background, number: int) -> None:
    os.killpg(run.pid, number)


def _to_one(run: Background, number: int) -> None:
    run.signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("send", [_to_one, _to_all])
def test_a_signal_ends_in_order(
    tmp_path: Path, packets: list[reference.Packet], send: Callable[[Background, int], None], number: int
) -> None:
    """With exit code 0 and all in the report that arrived; also where all processes get it."""
    with endless(tmp_path, "--queues", "8") as run:
        run.flowing(1000)
        send(run, number)
        done = run.finish()
    assert done.code == 0, done
    assert not done.complaints
    assert done.document["totals"]["restarts"] == 0
    check_every_packet_once(done.document, packets)


def _seconds_to_the_end(folder: Path, signals: int) -> float:
    """From the first of these signals to the end, while a worker stands still."""
    folder.mkdir()
    with endless(folder, "--queues", "2") as run:
        run.flowing().workers()[0].suspend()
        start = time.monotonic()
        for _ in range(signals):
            run.signal(signal.SIGINT)
            # Two at the same moment may come as one.
            time.sleep(0.05)
        done = run.finish()
        seconds = time.monotonic() - start
    assert done.code in (0, 1), done
    check_books(done.document)
    return seconds


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """The first one cannot be obeyed while a worker stands still; the second does not wait for it."""
    assert _seconds_to_the_end(tmp_path / "twice", 2) < _seconds_to_the_end(tmp_path / "once", 1)


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.6, 0.9])
def test_a_signal_during_the_start(tmp_path: Path, delay: float) -> None:
    """Whatever it is doing by then: no traceback, no error, a document that is whole if there is one."""
    with endless(tmp_path, "--queues", "2", plugins=("sizes",)) as run:
        time.sleep(delay)
        done = run.signal(signal.SIGTERM).finish()
    # A process that has not come as far as to handle the signal dies of it.
    assert done.code in (0, -signal.SIGTERM), done
    if done.stdout:
        check_books(done.document)


def test_a_paced_run_is_interrupted(tmp_path: Path) -> None:
    """Here the NIC sleeps, and the workers do."""
    words = ["run", "--json", "--stats-interval", "0.05", "--pps", "200", "--plugin", "sizes", "--read", BUNDLED]
    with Background(tmp_path, *words) as run:
        done = run.flowing().stop(signal.SIGINT)
    assert done.code == 0, done
    totals = check_books(done.document)
    assert totals["ledger"]["arrived"] == totals["packets"] < 8379


# --- outputs that go away


def test_nobody_reads_stdout(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        with Background(tmp_path, "run", "--json", "--plugin", "sizes", "--read", BUNDLED, stdout=write) as run:
            done = run.finish()
    finally:
        os.close(write)
    assert done.code == 1, done


def test_the_reader_of_stdout_leaves_early(tmp_path: Path) -> None:
    """As `| head -1` does, of the summary's many lines."""
    with Background(tmp_path, "run", "--read", BUNDLED, stdout=subprocess.PIPE) as run:
        assert run.process.stdout is not None
        first = run.process.stdout.readline()
        run.process.stdout.close()
        done = run.finish()
    assert b"bundled.pcapng" in first
    assert done.code in (0, 1), done


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_are_closed(streams: str) -> None:
    """What is said there is said to nobody; above all, no ring takes the place of a stream."""
    words = ("run", "--json", "--plugin", "sizes", "--read", BUNDLED)
    done = zcframe(*words, launcher=("sh", "-c", f'exec "$@" {streams}', "sh"))
    assert done.code == 0, done
    if ">&-" not in streams.split():
        check_lossless(done.document, 8379, done.document["totals"]["bytes"])


def test_stdout_is_full(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        run = Background(tmp_path, "run", "--json", "--plugin", "sizes", "--read", BUNDLED, stdout=full)
        done = run.finish()
    assert done.code == 1, done
    assert "No space left" in done.stderr
