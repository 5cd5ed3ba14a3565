"""A file of 10 GB from exec to exit: start, reading and report, against C on libpcap."""

from __future__ import annotations

import shutil
import sys
from functools import partial

import psutil

from .bench import Bench, NotMeasured, Whole, run_whole
from .command import TWO_QUEUES
from .counters import LARGE_READ_BUFFER, libpcap_program
from .mix import Mix, make_mix
from .rounds import Spread, in_turns
from .table import Row

# So many times the mix: 10 GB of its 1,000 MB.
TIMES = 10
# Shares of what is free that the file may take: all of it is to be in the page cache.
OF_DISK, OF_MEMORY = 0.8, 0.6
ZCFRAME = (sys.executable, "-m", "zcframe", "run", "--json", "--speed", "max", "--plugin", "flows")
NAME = "exec to exit, flows, {:.2g} GB, against C libpcap, 128 KiB buffer"


def large_mix(bench: Bench) -> Mix:
    """The mix repeated, as often as disk and page cache have room for."""
    free = shutil.disk_usage(bench.scratch).free * OF_DISK / 1e6
    cache = psutil.virtual_memory().available * OF_MEMORY / 1e6
    return make_mix(bench.scratch / "large.pcap", min(TIMES * bench.megabytes, free, cache))


def _row(name: str, runs: list[tuple[Whole, ...]], value: str, aim: float | None) -> Row:
    ours, theirs = (Spread(tuple(getattr(whole, value) for whole in wholes)) for wholes in runs)
    return Row(name, "s", ours, theirs, smaller_is_better=True, aim=aim)


def large_rows(bench: Bench) -> list[Row]:
    """Time and CPU of the whole command, as C's over ours. Whatever was not asked for shows in the row's size."""
    mix = large_mix(bench)
    name = NAME.format(mix.path.stat().st_size / 1e9)
    try:
        program = libpcap_program(bench, LARGE_READ_BUFFER)
        ours = partial(run_whole, *ZCFRAME, *TWO_QUEUES, "--read", str(mix.path))
        runs = in_turns(bench.rounds, ours, partial(run_whole, str(program), str(mix.path)))
    except NotMeasured as reason:
        return [Row(name, "s", not_measured=str(reason))]
    finally:
        mix.path.unlink()
    return [_row(name, runs, "seconds", 1.8), _row(f"{name}: CPU", runs, "cpu", None)]
