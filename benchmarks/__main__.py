"""python -m benchmarks [NAME...] [--size MB] [--rounds N] [--write FILE.md]: measure, and print the table."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .authors.examples import example_rows
from .authors.lookups import lookup_rows
from .bench import Bench, NotMeasured
from .chain import chain_rows
from .command import command_rows, queue_rows
from .counters import two_cores
from .ending import exit_by
from .filecopy import filecopy_rows
from .filters import filter_rows
from .first_run import first_rows
from .handover import handover_rows
from .hashing import hash_rows
from .ids import ids_rows
from .large import large_rows
from .rows import row_rows
from .sharing import share_rows
from .start import start_rows
from .table import Row, machine, render, write_section
from .table_load import flow_table_rows
from .taps import tap_rows
from .toolbox import toolbox_rows

BENCHES: dict[str, Callable[[Bench], list[Row]]] = {
    "chain": chain_rows,
    "tables": flow_table_rows,
    "filters": filter_rows,
    "command": command_rows,
    "large": large_rows,
    "hash": hash_rows,
    "toolbox": lambda bench: [*toolbox_rows(bench), *lookup_rows(bench)],
    "examples": example_rows,
    "handover": handover_rows,
    "rows": row_rows,
    "dump": filecopy_rows,
    "ids": ids_rows,
    "share": share_rows,
    "taps": tap_rows,
    "queues": queue_rows,
    "start": start_rows,
    "first": first_rows,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure zcframe and its peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHES)} (default: all)"
    )
    parser.add_argument(
        "--size",
        type=float,
        default=1000,
        metavar="MB",
        help="size of the capture mix (default: 1000); the large file is ten of it",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of each figure (default: 5)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="Markdown file whose benchmark section to replace")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: at least 1")
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}: there are {', '.join(BENCHES)}")
    return arguments


def main() -> int:
    arguments = _arguments()
    rows: list[Row] = []
    cpus = two_cores()
    with tempfile.TemporaryDirectory(prefix="zcframe-bench-") as scratch:
        bench = Bench(Path(scratch), arguments.size, arguments.rounds)
        for name in arguments.names or BENCHES:
            print(f"measuring {name} ...", file=sys.stderr)
            start = time.monotonic()
            try:
                rows += BENCHES[name](bench)
            except NotMeasured as reason:
                rows.append(Row(name, "", not_measured=str(reason)))
            print(f"measured {name} in {time.monotonic() - start:.0f} s", file=sys.stderr)
        mix = bench.mix()
        workload = f"Workload: {mix.packets:,} packets, {mix.bytes / 1e6:,.0f} MB, mixed from {mix.made_of}."
    load = f"Load average at the end: {os.getloadavg()[1]:.1f} over five minutes."
    how = f"CPUs {cpus}; {arguments.rounds} rounds in turns; medians, least and most in parentheses. {load}"
    text = f"{machine()}\n{workload}\n{how}\n\n{render(rows)}"
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, text)
    return 0


if __name__ == "__main__":
    exit_by(main)
