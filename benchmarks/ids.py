"""Frames on their way to an IDS: a worker to a FIFO, and one file through two engines against one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from zcframe.framework.outputs.kinds.pcap import pcap_head

from .bench import Bench, NotMeasured, run_counter
from .handover import frames_of
from .mix import ROOT, make_mix
from .rounds import Spread, in_turns
from .table import Row

# Bytes of a frame, and the least Mpps into a FIFO that somebody empties.
BARS = {64: 2.0, 512: 0.7}
FRAMES = 2_000_000
ENGINES = 2
ENGINE_BAR = 1.7
# With so few rules an engine takes 1 us a packet, and half a second to start.
MEGABYTES_TIMES = 2
RULES = ROOT / "tests" / "ids" / "own.rules"


def _capture(bench: Bench, size: int) -> tuple[Path, int]:
    """A capture of frames of this size that stays in memory, and how many it has."""
    path, count = bench.scratch / f"frames-{size}.pcap", 0
    with path.open("wb") as file:
        file.write(pcap_head(65535))
        for time_ns, length, frame in frames_of(size):
            head = (time_ns // 10**9, time_ns % 10**9, length, length)
            file.write(b"".join(word.to_bytes(4, sys.byteorder) for word in head) + frame)
            count += 1
    return path, count


def _to_fifo(capture: Path, loops: int) -> float:
    """Mpps from one queue into a FIFO that `cat` empties, to the last frame's write."""
    fifo = capture.with_suffix(".fifo")
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.DEVNULL) as reader:
        try:
            words = ("--json", "--read", str(capture), "--loop", str(loops), "--queues", "1", "--plugin", "sizes")
            return run_counter(sys.executable, "-m", "benchmarks.measured_run", *words, "--out", f"fifo:{fifo}").mpps
        finally:
            reader.kill()


def _fifo_row(bench: Bench, size: int) -> Row:
    capture, count = _capture(bench, size)
    (rates,) = in_turns(bench.rounds, partial(_to_fifo, capture, FRAMES // count))
    return Row(f"a worker to a FIFO that is read, {size} B", "Mpps", Spread(rates), None, BARS[size])


def _seconds(*commands: list[str], environment: dict[str, str]) -> float:
    """Seconds that commands take which are started at once, from exec to the last exit."""
    start = time.perf_counter()
    plain = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(words, cwd=ROOT, env=environment, **plain) for words in commands]
    said = [process.communicate()[1] for process in started]
    seconds = time.perf_counter() - start
    for process, text in zip(started, said, strict=True):
        if process.returncode:
            raise NotMeasured(f"{process.args!r} ended with {process.returncode}: {text.strip()[-200:]}")
    return seconds


def _engines(bench: Bench) -> list[Row]:
    """Two engines against one, from exec to exit: behind the parallel command, and on files that it had made before.

    The second is what the machine gives: two engines, and nothing else to do.
    """
    from tests.kit import suricata

    if reason := suricata.reason_against():
        raise NotMeasured(reason)
    capture = bench.scratch / "engines.pcap"
    make_mix(capture, MEGABYTES_TIMES * bench.megabytes, renumber=True)
    logs = [bench.scratch / f"log{number}" for number in range(ENGINES)]
    for log in logs:
        log.mkdir(exist_ok=True)
    source = [sys.executable, "-m", "zcframe", "run", "--read", str(capture), "--queues", "1", "--plugin", "sizes"]
    shares = ("--shares", str(ENGINES))
    halves = bench.scratch / "half{}.pcap"
    measured = partial(_seconds, environment=os.environ | suricata.environment())
    measured([*source, "--out", f"pcap:{halves}", *shares])
    alone = suricata.command(capture, RULES, logs[0], bench.scratch)
    each = suricata.command("{}", RULES, bench.scratch / "log{}", bench.scratch)
    several = [*source, "--out", f"fifo:{bench.scratch}/engine{{}}", *shares, "--", *each]
    ready = [suricata.command(str(halves).format(number), RULES, log, bench.scratch) for number, log in enumerate(logs)]
    ours, theirs, files = in_turns(
        bench.rounds, partial(measured, several), partial(measured, alone), partial(measured, *ready)
    )
    for path in (capture, *(Path(str(halves).format(number)) for number in range(ENGINES))):
        path.unlink()
    name = f"a file through {ENGINES} Suricatas by the parallel command, against one"
    bound = f"files with the shares, through {ENGINES} Suricatas at once, against one"
    return [
        Row(name, "s", Spread(ours), Spread(theirs), ENGINE_BAR, smaller_is_better=True),
        Row(bound, "s", Spread(files), Spread(theirs), smaller_is_better=True),
    ]


def ids_rows(bench: Bench) -> list[Row]:
    """Mpps into a FIFO, and a file through several engines."""
    rows = [_fifo_row(bench, size) for size in BARS]
    try:
        return [*rows, *_engines(bench)]
    except NotMeasured as reason:
        return [*rows, Row("a file through several engines", "s", not_measured=str(reason))]
