"""What a child process gives up, looked at from outside: in /proc, and in processes that setpriv and unshare made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zcframe.framework.privileges import NOBODY, drop_privileges, drop_to_reading, kept_by_workers, kept_line

SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")


def _rows(text: str) -> dict[str, str]:
    parted = (row.partition(":") for row in text.splitlines())
    return {name: " ".join(rest.split()) for name, _, rest in parted}


def _status_after(action: Callable[[], object]) -> dict[str, str]:
    """/proc/PID/status of a child that did it, read while it waits."""
    ready, ready_end = os.pipe()
    leave_end, leave = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os.write(ready_end, b"+")
            os.read(leave_end, 1)
        finally:
            os._exit(0)
    try:
        assert os.read(ready, 1) == b"+"
        return _rows(Path(f"/proc/{pid}/status").read_text())
    finally:
        os.write(leave, b"+")
        os.waitpid(pid, 0)
        for fd in (ready, ready_end, leave_end, leave):
            os.close(fd)


@pytest.mark.needs("root")
def test_nothing_is_left_of_root() -> None:
    before, after = _status_after(lambda: None), _status_after(drop_privileges)
    assert before["Uid"].split() == ["0"] * 4
    assert after["Uid"].split() == after["Gid"].split() == [str(NOBODY)] * 4
    assert after["Groups"] == ""
    assert [int(after[kind], 16) for kind in (*SETS, "CapBnd")] == [0] * 5
    assert (before["NoNewPrivs"], after["NoNewPrivs"]) == ("0", "1")


@pytest.mark.needs("root")
def test_a_trial_tells_what_would_be_kept_and_changes_nothing() -> None:
    before = _rows(Path("/proc/self/status").read_text())
    assert kept_by_workers() == ()
    after = _rows(Path("/proc/self/status").read_text())
    assert [after[name] for name in ("Uid", "Gid", *SETS, "CapBnd")] == [
        before[name] for name in ("Uid", "Gid", *SETS, "CapBnd")
    ]


DROP = """
import json
from zcframe.framework.privileges import drop_privileges, kept_by_workers
told = kept_by_workers()
kept = drop_privileges()
print(json.dumps([list(told), kept, open("/proc/self/status").read()]))
"""
NO_RIGHT = ["--inh-caps=-all"]
UNMAPPED = f"{NOBODY}, nobody, is not mapped in this user namespace"


@pytest.mark.needs("root", "namespaces")
@pytest.mark.parametrize(
    ("launcher", "uid", "gid", "kept"),
    [
        (
            ["setpriv", "--bounding-set=-all,+net_raw", *NO_RIGHT],
            0,
            0,
            ["group id 0 (CAP_SETGID is missing)", "user id 0 (CAP_SETUID and CAP_KILL are missing)"],
        ),
        (
            ["setpriv", "--bounding-set=-all,+net_raw,+setuid,+kill", *NO_RIGHT],
            NOBODY,
            0,
            ["group id 0 (CAP_SETGID is missing)"],
        ),
        (
            ["setpriv", "--bounding-set=-all,+net_raw,+setgid", *NO_RIGHT, "--groups=0,4"],
            0,
            NOBODY,
            ["user id 0 (CAP_SETUID and CAP_KILL are missing)"],
        ),
        # A worker that the supervisor could not kill would be worse than one with root's user id and no capability.
        (
            ["setpriv", "--bounding-set=-all,+net_raw,+setuid,+setgid", *NO_RIGHT],
            0,
            NOBODY,
            ["user id 0 (CAP_KILL is missing)"],
        ),
        (["setpriv", "--no-new-privs"], NOBODY, NOBODY, []),
        (["unshare", "--user", "--map-root-user"], 0, 0, [f"group id 0 ({UNMAPPED})", f"user id 0 ({UNMAPPED})"]),
        (
            [
                "setpriv",
                "--reuid=4711",
                "--regid=4712",
                "--clear-groups",
                "--inh-caps=+net_raw",
                "--ambient-caps=+net_raw",
            ],
            4711,
            4712,
            [],
        ),
    ],
)
def test_what_can_be_dropped_is_and_the_rest_is_told(launcher: list[str], uid: int, gid: int, kept: list[str]) -> None:
    done = subprocess.run([*launcher, sys.executable, "-c", DROP], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    told, found, text = json.loads(done.stdout)
    status = _rows(text)
    assert told == found == kept
    assert (status["Uid"].split()[1], status["Gid"].split()[1]) == (str(uid), str(gid))
    assert [int(status[kind], 16) for kind in SETS] == [0] * 4
    assert status["NoNewPrivs"] == "1"


def test_what_is_kept_is_one_line() -> None:
    assert kept_line([]) == ""
    assert kept_line(["a (x)", "b (y)"]) == "workers keep a (x), b (y); they have no capabilities"
    assert kept_line(["capabilities (no)"]) == "workers keep capabilities (no)"


@pytest.mark.needs("root")
def test_who_reads_files_keeps_a_capability_only_for_one_that_is_closed_to_root(tmp_path: Path) -> None:
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    for path in (own, foreign):
        path.touch(0o600)
    os.chown(foreign, 4711, 4711)
    free = _status_after(lambda: drop_to_reading([str(own), str(tmp_path / "missing")]))
    bound = _status_after(lambda: drop_to_reading([str(own), str(foreign)]))
    assert [int(free[kind], 16) for kind in (*SETS, "CapBnd")] == [0] * 5
    # CAP_DAC_READ_SEARCH of capabilities(7), and it alone.
    assert [int(bound[kind], 16) for kind in (*SETS, "CapBnd")] == [0, 1 << 2, 1 << 2, 0, 0]
    assert (free["NoNewPrivs"], bound["NoNewPrivs"]) == ("1", "1")
