"""python -m benchmarks [NAME...] [--size MB] [--write FILE.md]: measure, and print the table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .bench import Bench
from .chain import chain_rows
from .command import command_rows, nic_rows, start_rows
from .ending import exit_by
from .table import Row, machine, render, write_section
from .table_load import flow_table_rows

BENCHES: dict[str, Callable[[Bench], list[Row]]] = {
    "chain": chain_rows,
    "tables": flow_table_rows,
    "nic": nic_rows,
    "command": command_rows,
    "start": start_rows,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure zcframe and its peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(BENCHES)} (default: all)"
    )
    parser.add_argument(
        "--size", type=float, default=1000, metavar="MB", help="size of the capture mix (default: 1000)"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="Markdown file whose benchmark section to replace")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}: there are {', '.join(BENCHES)}")
    return arguments


def main() -> int:
    arguments = _arguments()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="zcframe-bench-") as scratch:
        bench = Bench(Path(scratch), arguments.size)
        for name in arguments.names or BENCHES:
            print(f"measuring {name} ...", file=sys.stderr)
            rows += BENCHES[name](bench)
        mix = bench.mix()
        workload = f"Workload: {mix.packets:,} packets, {mix.bytes / 1e6:,.0f} MB, mixed from {mix.made_of}."
    text = f"{machine()}\n{workload}\n\n{render(rows)}"
    print(text)
    if arguments.write is not None:
        write_section(arguments.write, text)
    return 0


if __name__ == "__main__":
    exit_by(main)
