"""A capture from file to file against tcpdump: `zcframe dump -r -w` from exec to exit, with and without its start."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .bench import Bench, NotMeasured, Whole, run_whole
from .rounds import Spread, in_turns
from .table import Row

EXPRESSION = ("tcp", "port", "443")
BAR = 2.0
ONE = ("-c", "1")


def _pcapng(bench: Bench) -> Path:
    """The mix as pcapng; written by zcframe, since no peer is needed for it then."""
    path = bench.scratch / "mix.pcapng"
    if not path.exists():
        run_whole(sys.executable, "-m", "zcframe", "dump", "-r", str(bench.mix().path), "-w", str(path))
    return path


def _fresh(target: Path, *command: str) -> Whole:
    """Run a command that writes `target`; a file that is there would be emptied first, and not by all at once."""
    target.unlink(missing_ok=True)
    whole = run_whole(*command)
    target.unlink()
    return whole


def _rows(bench: Bench, title: str, source: Path, words: tuple[str, ...] = ()) -> Iterator[Row]:
    """Seconds, seconds of CPU, and both without what a copy of one frame takes: of ours, of tcpdump."""
    target = bench.scratch / "copy.pcap"
    options = ("-r", str(source), "-w", str(target))
    ours, peer = (sys.executable, "-m", "zcframe", "dump", *options), ("tcpdump", "-n", *options)
    commands = [(*ours, *words), (*peer, *words), (*ours, *ONE), (*peer, *ONE)]
    run_whole(*ours, *words, *ONE)
    spent = in_turns(bench.rounds, *(partial(_fresh, target, *command) for command in commands))
    for what, bar in (("seconds", BAR), ("cpu", None)):
        mine, theirs, start, their_start = ([getattr(whole, what) for whole in some] for some in spent)
        name = f"{title}, against tcpdump -r -w" + (": CPU" if what == "cpu" else "")
        yield Row(name, "s", Spread(tuple(mine)), Spread(tuple(theirs)), bar, smaller_is_better=True)
        pairs = (mine, start), (theirs, their_start)
        rest = [Spread(tuple(a - b for a, b in zip(*pair, strict=True))) for pair in pairs]
        yield Row(f"{name}, without the start", "s", rest[0], rest[1], None, smaller_is_better=True)


def filecopy_rows(bench: Bench) -> list[Row]:
    """pcap whole, what an expression leaves of it, and pcapng. Raises NotMeasured where tcpdump is missing."""
    if shutil.which("tcpdump") is None:
        raise NotMeasured("tcpdump is not installed: apt-get install tcpdump")
    mix = bench.mix().path
    return [
        *_rows(bench, "dump from file to file", mix),
        *_rows(bench, f"dump, {' '.join(EXPRESSION)}", mix, EXPRESSION),
        *_rows(bench, "dump of pcapng", _pcapng(bench)),
    ]
