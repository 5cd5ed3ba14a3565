"""The real command in processes of its own, as an operator runs it: to its end, or in the background."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from signal import SIG_DFL, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, signal
from typing import Any

import psutil

from .checks import check_books

# A run takes a second or two; compiling everything for the first time on a busy machine takes this long at most.
PATIENCE = 150.0
PR_SET_PDEATHSIG = 1
MARK = "ZCFRAME_TEST_RUN"
# Marks every process of this test session by its environment, which forks inherit and nobody else has.
OWN = f"{os.getpid()}.{time.monotonic_ns()}"


def _program() -> list[str]:
    """The installed command beside this interpreter, or what does the same."""
    found = shutil.which("zcframe", path=str(Path(sys.executable).parent))
    return [found] if found else [sys.executable, "-m", "zcframe"]


PROGRAM = _program()

_libc = ctypes.CDLL(None)


def die_with_tests() -> None:
    """Between fork and exec: tests that are killed leave no endless run behind.

    Nor does it matter what they were started by: nohup, or a shell that has its background jobs ignore Ctrl-C.
    """
    _libc.prctl(PR_SET_PDEATHSIG, int(SIGKILL), 0, 0, 0)
    for number in (SIGHUP, SIGINT, SIGQUIT):
        signal(number, SIG_DFL)


def environment(**more: str) -> dict[str, str]:
    """That of the tests, marked, and without what would change the output."""
    plain = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "NO_COLOR", "FORCE_COLOR")
    }
    return {**plain, MARK: OWN, "PYTHONFAULTHANDLER": "", **more}


def own_processes() -> list[psutil.Process]:
    """Processes that a command of this session left, zombies not counted."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == OWN:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def leave_nothing() -> None:
    """Fails where processes of a command are left, and ends them."""
    try:
        until(lambda: not own_processes(), 3.0, "processes of the command are left")
    finally:
        for process in own_processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def until(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> Any:
    """Poll until `condition()` is true, and return it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.005)


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout, which must be all that is there."""
        lines = self.stdout.splitlines()
        assert len(lines) == 1, f"stdout holds {len(lines)} lines, stderr: {self.stderr}"
        found: dict[str, Any] = json.loads(lines[0])
        return found

    @property
    def ledger(self) -> dict[str, Any]:
        """That of all queues; it closes, as every queue's does."""
        found: dict[str, Any] = check_books(self.document)["ledger"]
        return found

    @property
    def complaints(self) -> list[str]:
        """What is said on stderr, warnings left out."""
        return [line for line in self.stderr.splitlines() if line.startswith("zcframe: ") and "warning:" not in line]

    def without_traceback(self) -> Finished:
        assert "Traceback" not in self.stderr, self.stderr
        assert "this is a bug in zcframe" not in self.stderr, self.stderr
        return self


def _as_words(arguments: Sequence[object]) -> list[str]:
    return [str(argument) for argument in arguments]


def settled(stderr: str) -> str:
    """Without the line that tells of compiling: it depends on which test came first."""
    return "".join(line for line in stderr.splitlines(True) if not line.startswith("zcframe: compiling "))


def zcframe(*arguments: object, launcher: Sequence[object] = (), env: Mapping[str, str] | None = None) -> Finished:
    """Run the command to its end. launcher: words in front of it, such as `prlimit`."""
    done = subprocess.run(
        [*_as_words(launcher), *PROGRAM, *_as_words(arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(**(env or {})),
        start_new_session=True,
        preexec_fn=die_with_tests,
    )
    return Finished(done.returncode, done.stdout, settled(done.stderr)).without_traceback()


def together(*commands: Sequence[object]) -> list[Finished]:
    """Run several commands, as many at a time as there are CPUs: starting takes longer than what they do."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda words: zcframe(*words), commands))


class Background:
    """The command while it runs: `flowing()` waits for the first packets, `finish()` for the end.

    launcher: words in front of it; program: what stands for `zcframe`; before: called in the new process. What it has
    counted so far is known where it was given --json and --stats-interval, or is asked for it.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        launcher: Sequence[object] = (),
        program: Sequence[str] = PROGRAM,
        before: Callable[[], object] = die_with_tests,
        **popen: Any,
    ) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*_as_words(launcher), *program, *_as_words(arguments)],
                **{"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, "env": environment(), **popen},
                start_new_session=True,
                preexec_fn=before,
            )
        self.pid = self.process.pid

    def __enter__(self) -> Background:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.pid, SIGKILL)
            self.process.wait()

    @property
    def stderr(self) -> str:
        return settled(self._err.read_text())

    def _children(self, *prefixes: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.pid).children():
            try:
                name = child.name()
                if name.startswith(prefixes) and child.status() != psutil.STATUS_ZOMBIE:
                    found.append((name, child.pid, child))
            except psutil.NoSuchProcess:
                continue
        return [child for _, _, child in sorted(found, key=lambda row: row[:2])]

    def workers(self) -> list[psutil.Process]:
        """Those that have taken their names."""
        return self._children("zc-rx-")

    def nic(self) -> psutil.Process:
        (found,) = self._children("zc-nic")
        return found

    def changing(self) -> list[psutil.Process]:
        """Side processes that make a new version of the run."""
        return self._children("zc-change")

    def _told(self) -> list[str]:
        whole, _, _ = self.stderr.rpartition("\n")  # what follows may be half a line
        return [line for line in whole.splitlines() if line.startswith("{") and line.endswith("}")]

    def ticks(self) -> Iterator[dict[str, Any]]:
        """The documents of --stats-interval so far."""
        return map(json.loads, self._told())

    @property
    def ledger(self) -> dict[str, Any]:
        """That of all queues at the last look; there must have been one."""
        found: dict[str, Any] = json.loads(self._told()[-1])["totals"]["ledger"]
        return found

    def wait_until(self, condition: Callable[[], bool], what: str) -> Background:
        """Poll until `condition()` is true; fails where the command ends before."""

        def true_before_the_end() -> bool:
            assert self.process.poll() is None, f"ended early: {self.stderr}"
            return condition()

        until(true_before_the_end, what=what)
        return self

    def looking(self) -> Background:
        """Until it has looked at its counters, which it does once packets may come."""
        return self.wait_until(lambda: any(self.ticks()), "the first look at the counters")

    def flowing(self, packets: int = 1) -> Background:
        """Until so many packets were delivered."""
        return self.wait_until(lambda: any(tick["totals"]["packets"] >= packets for tick in self.ticks()), "packets")

    def wait_for(self, frames: int) -> Background:
        """Until so many frames have arrived, whatever became of them."""
        return self.wait_until(lambda: self.ledger["arrived"] >= frames, f"{frames} frames")

    def overflow(self) -> Background:
        """Until frames have found no room."""
        return self.wait_until(lambda: self.ledger["ring_full"] > 0, "a full ring")

    def replaced(self, workers: int) -> Background:
        """Until so many workers have a successor."""
        return self.wait_until(
            lambda: any(tick["totals"]["restarts"] >= workers for tick in self.ticks()), "successors"
        )

    def kill(self, deaths: int, *prefixes: str, rate: float = 30.0, seed: int = 1) -> set[int]:
        """Kill so many children of these names, at random moments `rate` a second, until all have successors: their pids.

        As many as there are now are there at the end; how long that takes is the machine's affair.
        """
        dice, killed, whole = random.Random(seed), set[int](), len(self._children(*prefixes))
        while len(killed) < deaths:
            time.sleep(dice.expovariate(rate))
            assert self.process.poll() is None, f"ended early: {self.stderr}"
            # One that was killed a moment ago may still be there.
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                victim = dice.choice(self._children(*prefixes))
                victim.kill()
                killed.add(victim.pid)

        def replaced() -> bool:
            return len([child for child in self._children(*prefixes) if child.pid not in killed]) == whole

        self.wait_until(replaced, "successors")
        return killed

    def wait_to_hear(self, text: str) -> Background:
        """Until stderr says so; the documents there hold all warnings."""
        return self.wait_until(lambda: text in self.stderr, text)

    def signal(self, number: int) -> Background:
        self.process.send_signal(number)
        return self

    def stop(self, number: int = SIGTERM) -> Finished:
        """Ask for the end, and wait for it."""
        return self.signal(number).finish()

    def finish(self, seconds: float = PATIENCE) -> Finished:
        """Wait for the end, at most so long."""
        code = self.process.wait(seconds)
        return Finished(code, self._out.read_text(), self.stderr).without_traceback()
