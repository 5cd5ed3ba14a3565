"""How the software NIC stops, ends and dies, and what it leaves behind."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.capture_build import (
    flow_records,
    pcap,
)
from tests.kit.soft_nic import (
    PATIENCE,
    Consumer,
    await_end,
    descriptors,
    plan,
    running,
    until,
)
from zcframe.framework.nic.settings.record import started_at
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.soft82576 import Soft82576
from zcframe.framework.sources.soft82576.deliver import BURST


@pytest.mark.parametrize("pace", ["original", 1e-9])
def test_stop_while_waiting_for_a_frames_time(tmp_path: Path, pace: Any) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3, start=0, step=2 * 10**18)))
    with running(plan(path, pace=pace)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 1)
        source.stop()
        assert await_end(source) == SourceEvent("finished", "stopped after 1 frames")


def test_stop_before_go(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3)))
    with running(plan(path)) as source:
        source.stop()
        assert await_end(source) == SourceEvent("finished", "stopped after 0 frames")


def test_nothing_arrives_before_go(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3)))
    with running(plan(path)) as source:
        source.ready()
        assert not select.select([source.events_fd], [], [], 0.2)[0]
        assert Consumer(source.rings[0])["arrived"] == 0
        assert source.poll_events() == []


def test_an_end_is_told_once(tmp_path: Path) -> None:
    """The process's own end behind it is no news."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(3)))
    with running(plan(path)) as source:
        source.go()
        assert await_end(source).kind == "finished"
        while select.select([source.events_fd], [], [], PATIENCE)[0] and Path(f"/proc/{source.pid}").exists():
            assert source.poll_events() == []


def test_killed(tmp_path: Path) -> None:
    """The supervisor hears of it at once, the ring's counters are at most one burst apart, and it can be closed."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(5000)))
    with running(plan(path, slots=4096)) as source:
        consumer = Consumer(source.rings[0])
        source.go()
        until(lambda: consumer["write"] == 4096)
        assert source.pid is not None
        os.kill(source.pid, signal.SIGKILL)
        event = await_end(source)
        assert event.kind == "failed"
        assert event.text.startswith(f"the software NIC (pid {source.pid}) was killed by SIGKILL: ")
        assert 0 <= consumer["arrived"] - consumer["write"] - consumer["ring_full"] - consumer["nic_drop"] <= BURST
        assert source.poll_events() == []
        source.stop()


def test_signals_for_the_whole_group_do_not_end_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    with running(plan(path)) as source:
        assert source.pid is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(source.pid, number)
        source.go()
        assert await_end(source) == SourceEvent("finished", "10 frames replayed")


def test_the_parents_signal_handlers_stay_with_the_parent(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    seen: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, _: seen.append(number))
    try:
        with running(plan(path)) as source:
            assert source.pid is not None
            os.kill(source.pid, signal.SIGALRM)
            assert "was killed by SIGALRM" in await_end(source).text
        assert seen == []
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_it_does_not_outlive_the_supervisor(tmp_path: Path) -> None:
    """Nor where it cannot see that the supervisor is gone, because it has been stopped itself."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    program = f"""
import os, time
from zcframe.framework.rss import RssConfig
from zcframe.framework.sources.soft82576 import ReplayPlan, Soft82576
source = Soft82576(ReplayPlan(({str(path)!r},), RssConfig.make("symmetric", "5-tuple", 1), queues=1, ring_slots=64))
source.start()
source.go()
print(source.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        nic = int(supervisor.stdout.readline())
        assert Path(f"/proc/{nic}/comm").read_text() == "zc-nic\n"
        os.kill(nic, signal.SIGSTOP)
        supervisor.kill()
    until(lambda: started_at(nic) is None)


@pytest.mark.parametrize(("pace", "memory"), [("max", "windows"), ("original", "buffer")])
def test_workers_get_no_writable_mapping(tmp_path: Path, pace: Any, memory: str) -> None:
    """Not by the descriptor they inherit, not by opening it again, not by mprotect, not by write()."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(10)))
    before = descriptors()
    with running(plan(path, pace=pace)) as source:
        ring = source.rings[0]
        with pytest.raises(PermissionError):
            ring.producer()
        links = {fd: link for fd, link in descriptors().items() if before.get(fd) != link}
        nics_own = [fd for fd, link in links.items() if "memfd:zc-" in link and "memfd:zc-user" not in link]
        assert {links[fd].split("-")[1].split()[0] for fd in nics_own} == {"ring", memory, "progress"}
        for fd in nics_own:
            again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
            for number in (fd, again):
                with pytest.raises(PermissionError):
                    mmap.mmap(number, 4096)
                with pytest.raises(PermissionError):
                    os.pwrite(number, b"x", 0)
            os.close(again)
        inodes = {str(os.fstat(fd).st_ino) for fd in nics_own}
        mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:zc-" in line]
        assert not [line for line in mapped if "w" in line[1] and line[4] in inodes]
        consumer = ring.consumer()
        libc = ctypes.CDLL(None, use_errno=True)
        for address in (consumer.header_address, consumer.block_address):
            assert libc.mprotect(ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_WRITE) == -1
            assert ctypes.get_errno() == errno.EACCES
        consumer.close()


def test_close_leaves_nothing(tmp_path: Path) -> None:
    """Neither a process nor a descriptor, whatever the NIC was doing, and it may be called twice."""
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(flow_records(1000)))
    before = descriptors()
    for steps in range(3):
        source = Soft82576(plan(path, queues=4))
        if steps > 0:
            source.start()
        if steps > 1:
            source.go()
        source.close()
        source.close()
        assert source.poll_events() == []
        assert descriptors() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
