"""Rounds: who is measured when, what of it counts, and what the tables say of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.bench import Bench, Figures, NotMeasured, run_whole
from benchmarks.command import check_counted
from benchmarks.counters import tshark
from benchmarks.cplugins import Differs
from benchmarks.large import OF_DISK, large_mix
from benchmarks.mix import MAX_FRAME, RECORD, ROOT
from benchmarks.pages import HUGE_PAGE, huge_share, keep_small, make_huge, shared_memory
from benchmarks.rounds import Spread, in_turns
from benchmarks.table import Row, render
from zcframe.framework.sources.trace import bundled_trace


def test_measurements_take_turns_and_every_second_round_goes_backwards() -> None:
    order: list[str] = []

    def measure(name: str) -> Callable[[], int]:
        return lambda: order.append(name) or len(order)  # type: ignore[func-returns-value]

    assert in_turns(3, measure("a"), measure("b")) == [(1, 4, 5), (2, 3, 6)]
    assert "".join(order) == "abbaab"


def test_a_ratio_is_that_of_one_round() -> None:
    # The machine was half as fast in the second round: the ratios do not show it, the medians would.
    row = Row("a", "Mpps", Spread((10.0, 4.0, 11.0)), Spread((20.0, 10.0, 20.0)), 0.5, aim=1.0)
    assert row.ratios == Spread((0.5, 0.4, 0.55))
    assert (row.ratio, row.verdict) == (0.5, "met")
    assert "10 Mpps (4..11)" in render([row]) and "0.5x (0.4..0.55)" in render([row])
    assert ">= 0.5x, aim 1x" in render([row])


def test_of_what_is_better_small_the_peers_comes_first_but_for_costs() -> None:
    ours, peer = Spread((2.0, 2.0)), Spread((3.0, 3.0))
    assert Row("a", "s", ours, peer, smaller_is_better=True).ratio == 1.5
    cost = Row("a", "ns", ours, peer, 1.0, smaller_is_better=True, cost=True)
    assert cost.ratio == pytest.approx(2 / 3)
    assert "<= 1x" in render([cost])


def test_rounds_that_counted_differently_are_no_figure() -> None:
    ours = Figures(10, 100, 1, 1.0)
    check_counted((ours, NotMeasured("once")), (ours,))
    with pytest.raises(Differs):
        check_counted((ours, ours), (ours, Figures(10, 101, 1, 1.0)))


def test_a_command_that_fails_is_not_measured() -> None:
    with pytest.raises(NotMeasured, match="ended with 3"):
        run_whole(sys.executable, "-c", "raise SystemExit(3)")


def test_memory_is_in_the_pages_that_were_asked_for() -> None:
    memory = shared_memory(3 * HUGE_PAGE - 1)
    where = memory.ctypes.data, memory.nbytes
    keep_small(*where)
    memory[:] = 7
    assert huge_share(*where) == 0.0
    try:
        make_huge(*where)
    except NotMeasured as reason:
        pytest.skip(str(reason))
    assert huge_share(*where) == 1.0
    assert memory.min() == memory.max() == 7
    with pytest.raises(NotMeasured):
        keep_small(*where)


def test_a_measured_run_is_a_run_with_its_cpu() -> None:
    options = ("--read", str(bundled_trace()), "--speed", "max", "--queues", "2", "--plugin", "flows")
    printed = []
    for program in (("benchmarks.measured_run",), ("zcframe", "run", "--json")):
        command = [sys.executable, "-m", *program, *options]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        printed.append(json.loads(ran.stdout))
    figures, document = Figures(**printed[0]), printed[1]
    assert (figures.packets, figures.bytes) == (document["totals"]["packets"], document["totals"]["bytes"])
    assert figures.flows == document["plugins"]["flows"]["count"]
    # Not the start, which compiles or loads for a good part of a second; nor nothing.
    assert figures.cpu > 0


def test_a_large_file_takes_no_more_than_the_disk_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = Bench(tmp_path, 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10e6))
    size = large_mix(bench).path.stat().st_size
    assert 10e6 * OF_DISK - MAX_FRAME - RECORD.itemsize < size <= 10e6 * OF_DISK


@pytest.mark.needs("tshark")
def test_what_tshark_cannot_read_is_not_measured(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 5)
    assert tshark(bench, bundled_trace(), 1000).packets == 1000
    with pytest.raises(NotMeasured, match="tshark ended with"):
        tshark(bench, tmp_path / "none.pcap", 1000)
