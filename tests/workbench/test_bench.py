"""`zcframe plugin bench`: the cost of a plugin alone; no figure is held to a limit here."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.kit.places import BUNDLED, ROOT
from zcframe.framework.cli import main
from zcframe.framework.workbench.counter import SOFTWARE, TASK_CLOCK, Counter
from zcframe.framework.workbench.timing import Spread
from zcframe.testing import write_capture

PORTS = str(ROOT / "examples" / "plugins" / "ports.py")


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "bench", PORTS, "--read", str(BUNDLED), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["plugin"], found["rounds"]) == ("ports", 41)
    assert found["packets"] % 8379 == 0
    assert found["state"] == 129 * 65536 * 8
    assert 0 < found["written"] <= found["state"]
    for name in ("with_it", "without"):
        assert 0 < found[name]["low"] <= found[name]["middle"] <= found[name]["high"]
    assert (found["instructions"] is None) == bool(found["refusal"])


def test_a_few_packets_are_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_capture(tmp_path / "few.pcap", [b"\0" * 60] * 3)
    assert main(["plugin", "bench", PORTS, "--read", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "packets       8,193 in each of 41 rounds, by one queue"
    assert [line[:14].strip() for line in lines] == [
        *("packets", "alone", "chain with", "chain without", "instructions", "state")
    ]


def test_a_capture_without_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_capture(tmp_path / "none.pcap", [])
    assert main(["plugin", "bench", PORTS, "--read", str(path)]) == 2
    assert capsys.readouterr().err == f"zcframe: --read {path}: there is no packet in it\n"


def test_the_spread_of_rounds() -> None:
    assert Spread.of([1, 2, 3, 4, 5, 6, 7]) == Spread(4, 2, 6)


def test_a_counter_of_the_kernel_counts() -> None:
    """The clock of this thread is an event that every machine has, where the kernel allows events at all."""
    with closing(Counter(SOFTWARE, TASK_CLOCK)) as counter:
        if counter.refusal:
            pytest.skip(f"no perf events: {counter.refusal}")
        before, clock = counter.read(), time.thread_time_ns()
        while time.thread_time_ns() - clock < 20_000_000:
            pass
        counted, passed = counter.read() - before, time.thread_time_ns() - clock
    assert counted == pytest.approx(passed, rel=0.2)


def test_an_event_that_is_none() -> None:
    with closing(Counter(99, 0)) as counter:
        assert counter.refusal and counter.read() == 0
