"""A worker on a real card is nobody: looked at from outside, in /proc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zcframe.framework.worker.privileges import NOBODY, drop_privileges


def _status_after(action: str) -> dict[str, str]:
    """/proc/PID/status of a child that did it, read while it waits."""
    ready, ready_end = os.pipe()
    leave_end, leave = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if action == "drop":
                drop_privileges()
            os.write(ready_end, b"+")
            os.read(leave_end, 1)
        finally:
            os._exit(0)
    try:
        assert os.read(ready, 1) == b"+"
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    finally:
        os.write(leave, b"+")
        os.waitpid(pid, 0)
        for fd in (ready, ready_end, leave_end, leave):
            os.close(fd)
    return {name: " ".join(rest.split()) for name, _, rest in (row.partition(":") for row in rows)}


@pytest.mark.needs("root")
def test_nothing_is_left_of_root() -> None:
    before, after = _status_after("nothing"), _status_after("drop")
    assert before["Uid"].split() == ["0"] * 4
    assert after["Uid"].split() == after["Gid"].split() == [str(NOBODY)] * 4
    assert after["Groups"] == ""
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(after[kind], 16) == 0
    assert (before["NoNewPrivs"], after["NoNewPrivs"]) == ("0", "1")
