"""The bench of live capture is killed: nobody whom it started is left, and so neither is a network namespace."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.ending import INTERRUPTED
from tests.kit.command import die_with_tests, environment, leave_nothing, own_processes, until
from tests.kit.places import ROOT

pytestmark = pytest.mark.needs("root", "namespaces", "tcpdump")

# A contender that would run for ever, a command that writes a file, and one that is run to its end, all at a time.
BENCH = """
import sys
from pathlib import Path
from benchmarks.ending import exit_by
from benchmarks.live.contenders import Contender, running
from benchmarks.live.dumping import TCPDUMP, capturing, dumpers
from benchmarks.live.space import Space

def main():
    idle = Contender("idle", (sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(600)"))
    tcpdump = next(found for found in dumpers()[0] if found.name == TCPDUMP)
    with Space() as space:
        space.veth()
        with running(idle, space), capturing(tcpdump, space, Path(sys.argv[1])):
            space.run("sleep", "600")

exit_by(main)
"""


# What holds the namespace, and those who work in it.
STARTED = [["sleep", "infinity"], ["sleep", "600"], ["tcpdump", "-n"], [sys.executable, "-c"]]


def started() -> list[list[str]]:
    """Of these, those that are in a network namespace of their own."""
    here, found = Path("/proc/self/ns/net").readlink(), []
    for process in own_processes():
        with contextlib.suppress(OSError, psutil.Error):
            if Path(f"/proc/{process.pid}/ns/net").readlink() != here:
                found.append(process.cmdline()[:2])
    return [words for words in found if words in STARTED]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_bench_that_is_killed_leaves_nobody(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", BENCH, str(tmp_path / "dump.pcap")]
    bench = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True, preexec_fn=die_with_tests
    )
    try:
        until(lambda: bench.poll() is not None or len(started()) == len(STARTED), what="all that it starts")
        bench.send_signal(number)
        _, said = bench.communicate(timeout=60)
    finally:
        bench.kill()
    leave_nothing()
    assert bench.returncode == (-number if number == signal.SIGKILL else INTERRUPTED), said
    assert number == signal.SIGKILL or said.splitlines() == ["interrupted: nothing was written"]
