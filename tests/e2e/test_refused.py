"""A system that refuses what a run needs, at its start or in the middle: one clear line, and a report of what ran."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import reference
from tests.kit.checks import check_books, check_lossless, check_sizes, octets_of
from tests.kit.command import Background, Finished, environment, zcframe
from tests.kit.places import BUNDLED
from zcframe.framework.config import RunConfig
from zcframe.framework.stats import Observer, RunResult, RunSnapshot
from zcframe.framework.supervisor import run as supervise

ENDLESS = ("run", "--json", "--stats-interval", 0.05, "--loop", 0, "--speed", "max", "--plugin", "sizes")
# A user of whom nothing else runs: RLIMIT_NPROC counts all processes of a user.
STRANGER = 61_234
AS_STRANGER = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--inh-caps=-all")


@pytest.fixture(scope="module")
def packets() -> list[reference.Packet]:
    return reference.read(BUNDLED).packets


@pytest.fixture(scope="module")
def home() -> Iterator[dict[str, str]]:
    """The environment of the stranger, with a cache of its own. Its libraries start no threads, which count, too."""
    if subprocess.run([*AS_STRANGER, sys.executable, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip(f"another user may not run this interpreter: {Path(sys.executable).resolve()}")
    folder = tempfile.mkdtemp()
    os.chown(folder, STRANGER, STRANGER)
    yield {"XDG_CACHE_HOME": folder, "HOME": folder, "OPENBLAS_NUM_THREADS": "1"}
    shutil.rmtree(folder)


def check_all_counted(done: Finished, packets: list[reference.Packet]) -> None:
    """All that arrived is in the report, once."""
    arrived = done.ledger["arrived"]
    lengths = reference.replayed_lengths(packets, arrived)
    check_lossless(done.document, arrived, octets_of(lengths))
    check_sizes(done.document["plugins"]["sizes"], lengths)


def test_no_successor_for_a_while(tmp_path: Path, packets: list[reference.Packet]) -> None:
    """No file descriptor is left for it. It is told once, and goes on as soon as there is one."""
    with Background(tmp_path, *ENDLESS, "--queues", 2, "--read", BUNDLED) as run:
        victim = run.flowing().workers()[0]
        before = resource.prlimit(run.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (3, before[1]))
        victim.kill()
        run.wait_to_hear("cannot be replaced now: EMFILE")
        resource.prlimit(run.pid, resource.RLIMIT_NOFILE, before)
        done = run.replaced(1).flowing(run.ledger["delivered"] + 20_000).stop()
    assert done.code == 0, done
    assert done.stderr.count("cannot be replaced") == 1
    assert done.document["totals"]["restarts"] == 1
    check_all_counted(done, packets)


@pytest.mark.needs("root")
def test_no_successor_to_the_end(tmp_path: Path, packets: list[reference.Packet], home: dict[str, str]) -> None:
    """fork() is refused, for longer than the run has patience: it ends, and its report covers what ran."""
    words = (*ENDLESS, "--queues", 2, "--read", BUNDLED)
    with Background(tmp_path, *words, launcher=AS_STRANGER, env=environment(**home)) as run:
        victim = run.flowing().workers()[0]
        subprocess.run([*AS_STRANGER, "prlimit", f"--pid={run.pid}", "--nproc=1"], check=True)
        victim.kill()
        done = run.finish()
    assert done.code == 1, done
    (line,) = done.complaints
    assert "the worker of queue 0 cannot be replaced" in line and "EAGAIN" in line and "ulimit -u" in line
    totals = check_books(done.document)
    assert totals["packets"] == done.document["plugins"]["sizes"]["packets"] > 0
    # What waited for the worker is lost, and the books say so.
    assert totals["lost"] == totals["ledger"]["in_flight"] > 0
    assert "no plugin saw them" in done.stderr


@pytest.mark.needs("root")
@pytest.mark.parametrize(("limit", "what"), [(1, "the software NIC"), (2, "worker 1 of 2"), (3, "worker 2 of 2")])
def test_the_start_is_refused(home: dict[str, str], limit: int, what: str) -> None:
    # A paced replay has no more processes than these.
    words = ("run", "--json", "--queues", 2, "--plugin", "sizes", "--pps", 1_000_000, "--read", BUNDLED)
    done = zcframe(*words, launcher=["prlimit", f"--nproc={limit}", *AS_STRANGER], env=home)
    assert done.code == 1 and not done.stdout
    assert done.stderr.splitlines() == [
        f"zcframe: cannot start {what}: EAGAIN, {os.strerror(errno.EAGAIN)}; more processes are needed: raise pids.max"
        " of the cgroup, TasksMax of the service, or ulimit -u"
    ]


class Refuser(Observer):
    """An output that the system refuses at the second tick."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.ticks = error, 0
        self.result: RunResult | None = None

    def tick(self, snapshot: RunSnapshot) -> None:
        self.ticks += 1
        if self.ticks == 2:
            raise self.error

    def finished(self, result: RunResult) -> None:
        self.result = result


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/run/x"), "ENOSPC, No space left on device: /run/x"),
        (MemoryError(), "ENOMEM, out of memory"),
        (KeyError("row"), "this is a bug in zcframe: KeyError: 'row'"),
    ],
)
def test_whatever_fails_in_the_middle_there_is_a_report(error: BaseException, words: str) -> None:
    observer = Refuser(error)
    config = RunConfig(queues=1, read=(str(BUNDLED),), loop=0, pps=50_000.0, stats_interval=0.05, plugins=("sizes",))
    result = supervise(config, observer)
    assert observer.result is result and result.exit_code == 1
    assert words in result.error
    totals = result.last.totals
    assert totals.ledger.closes() and totals.ledger.arrived > 0
    assert result.last.plugins["sizes"]["packets"] == totals.packets
