"""`zcframe ctl` and hostile callers at the control socket of a real run; none of them holds it up."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit.checks import check_books
from tests.kit.command import Background, zcframe
from tests.kit.places import BUNDLED

FOREVER = ("run", "--json", "--read", BUNDLED, "--loop", 0, "--pps", "20k", "--queues", 2, "--plugin", "sizes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ctl" / "run.sock"


@contextmanager
def running(path: Path) -> Iterator[Background]:
    path.parent.mkdir(exist_ok=True)
    with Background(path.parents[1], *FOREVER, "--ctl", path) as run:
        run.wait_until(lambda: _listens(path), "the socket")
        yield run


@pytest.fixture
def run(path: Path) -> Iterator[Background]:
    with running(path) as run:
        yield run


def connected(path: Path) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX)
    try:
        caller.connect(str(path))
    except OSError:
        caller.close()
        raise
    return caller


def asked(path: Path, data: bytes) -> dict[str, Any]:
    """The answer to these bytes, whose sender sends no more."""
    with connected(path) as caller, caller.makefile("rb") as answers:
        caller.sendall(data)
        caller.shutdown(socket.SHUT_WR)
        found: dict[str, Any] = json.loads(answers.readline())
        return found


def test_what_a_run_answers(run: Background, path: Path) -> None:
    done = zcframe("ctl", path, "status")
    assert (done.code, done.stderr) == (0, "") and done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert list(found) == ["pid", "version", "seconds", "packets", "lost", "queues", "plugins", "outputs"]
    assert (found["pid"], found["queues"], found["plugins"]) == (run.process.pid, 2, ["sizes"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first, second = (json.loads(zcframe("ctl", path, "snapshot").stdout) for _ in range(2))
    for found in (first, second):
        check_books(found)
        assert found["plugins"]["sizes"]["histogram"] and found["ended"] is None
    assert first["totals"]["packets"] <= second["totals"]["packets"] <= asked(path, b"status\n")["packets"]


def test_callers_that_are_no_callers(run: Background, path: Path) -> None:
    before = asked(path, b"status\n")
    for data in (b"\n", b"\xff\xfe\n", b"reload now\n", b"status now\n", b"x" * 20_000, b'{"order": "status"}\n'):
        assert "there is no order" in asked(path, data)["error"]
    assert "did you mean status?" in asked(path, b"statu\n")["error"]
    with ExitStack() as held:
        for data in (b"", b"sta", b"snapshot\n"):
            held.enter_context(connected(path)).sendall(data)
        connected(path).close()
        for _ in range(40):
            held.enter_context(connected(path))
        after = asked(path, b"status\n")
        while after["packets"] <= before["packets"]:
            after = asked(path, b"status\n")
    assert asked(path, b"status\nstop\n")["pid"] == run.process.pid
    with ExitStack() as held:
        callers = [held.enter_context(connected(path)) for _ in range(4)]
        for caller, order in zip(callers, (b"status\n", b"snapshot\n") * 2, strict=True):
            caller.sendall(order)
        found = [json.loads(held.enter_context(caller.makefile("rb")).read()) for caller in callers]
    assert [("pid" in one, "totals" in one) for one in found] == [(True, False), (False, True)] * 2


def test_a_path_that_is_taken(run: Background, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    refused = {
        path: "another program listens there: name another path",
        file: "it is there and is no socket: remove it, or name another path",
        tmp_path / "nowhere" / "x": "No such file or directory",
        tmp_path / ("x" * 120): "AF_UNIX path too long",
    }
    for place, says in refused.items():
        done = zcframe("run", "--read", BUNDLED, "--queues", 1, "--ctl", place)
        assert (done.code, done.stderr) == (2, f"zcframe: --ctl {place}: {says}\n")
    assert file.read_text() == "mine" and asked(path, b"status\n")["pid"] == run.process.pid


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    for name, says in (("dead", "no run listens there"), ("none", "No such file or directory")):
        done = zcframe("ctl", tmp_path / name, "status")
        assert (done.code, done.stderr) == (1, f"zcframe: {tmp_path / name}: {says}\n")
    assert zcframe("ctl", tmp_path / "dead", "relaod").code == 2


def test_a_killed_run_is_replaced_and_stop_answers_when_all_is_over(path: Path) -> None:
    with running(path) as first:
        assert asked(path, b"status\n")["pid"] == first.process.pid
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    assert path.exists()
    with running(path) as second:
        while asked(path, b"status\n")["packets"] == 0:
            pass
        assert asked(path, b"stop\n") == {"exit_code": 0}
        done = second.finish()
    assert done.code == 0 and done.document["totals"]["packets"] > 0 and done.document["ended"]
    check_books(done.document)
    assert os.listdir(path.parent) == []


def _listens(path: Path) -> bool:
    try:
        connected(path).close()
    except OSError:
        return False
    return True
