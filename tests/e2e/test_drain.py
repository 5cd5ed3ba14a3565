"""What is left in the rings at the end: how long workers may take for it, and what becomes of the rest."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.kit.checks import check_books
from tests.kit.command import Background, Finished
from tests.kit.places import ANALYZERS, BUNDLED

SLOTS = 64
# One worker, one small ring that is full all the time; a packet takes so many multiplications.
WORDS = ("run", "--json", "--stats-interval", 0.05, "--queues", 1, "--ring-slots", SLOTS, "--loop", 0, "--speed", "max")
LONG, ENDLESS = 30_000_000, 1_000_000_000


def slow(folder: Path, rounds: int, *more: object) -> Background:
    """A run with more than a drain's worth of frames in its ring."""
    plugin = f"{ANALYZERS / 'tally.py'}:Slow?rounds={rounds}"
    run = Background(folder, *WORDS, *more, "--max-loss", 0, "--plugin", plugin, "--read", BUNDLED)
    return run.looking().wait_for(SLOTS)


def check_cut_short(done: Finished) -> None:
    """What no plugin saw is lost: a figure of its own, a warning, an exit code."""
    totals = check_books(done.document)
    left = totals["ledger"]["in_flight"]
    assert done.code == 3, done
    assert 0 < left == totals["lost"]
    assert f"warning: {left} of {totals['ledger']['arrived']} frames were in flight when the run ended" in done.stderr
    assert any("more than --max-loss 0.0" in line for line in done.complaints)


def test_no_time_at_all(tmp_path: Path) -> None:
    with slow(tmp_path, LONG, "--drain", 0) as run:
        check_cut_short(run.stop(signal.SIGINT))


def test_all_the_time(tmp_path: Path) -> None:
    with slow(tmp_path, LONG, "--drain", "inf") as run:
        done = run.stop(signal.SIGINT)
    totals = check_books(done.document)
    assert done.code == 0, done
    assert totals["lost"] == totals["ledger"]["in_flight"] == 0 < totals["packets"]


def test_a_second_signal_ends_a_long_drain(tmp_path: Path) -> None:
    """After it has been told that there is one."""
    with slow(tmp_path, ENDLESS, "--drain", 1e300) as run:
        run.signal(signal.SIGTERM).wait_to_hear("another Ctrl-C ends at once")
        check_cut_short(run.stop(signal.SIGINT))
