"""Where the instructions of the guest's kernel go, by function."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter

from .contenders import CONTENDERS, Contender
from .machine import Machine
from .measure import SETTLE_S

SECONDS = 2.0
SHOWN = 40


def _functions(machine: Machine) -> tuple[list[int], list[str]]:
    """Addresses in order, and the name of the function that begins at each."""
    rows = (row.split() for row in machine.guest.run("grep -i ' t ' /proc/kallsyms", 120).splitlines())
    known = sorted((int(row[0], 16), row[2]) for row in rows)
    return [address for address, _ in known], [name for _, name in known]


def profile(
    machine: Machine, contender: Contender, rate: int, functions: tuple[list[int], list[str]]
) -> dict[str, float]:
    """Function -> kernel instructions a frame of 60 bytes at `rate` frames a second."""
    starts, names = functions
    with contender.on(machine):
        time.sleep(SETTLE_S)
        before = machine.counter.profile()
        machine.offer(contender.interface, 60, rate, SECONDS)
        time.sleep(SETTLE_S)
        after = machine.counter.profile()
        frames = machine.stop()["frames"]
    spent: Counter[str] = Counter()
    for address, count in after.items():
        spent[names[max(0, bisect_right(starts, address) - 1)]] += count - before.get(address, 0)
    return {name: count / frames for name, count in spent.most_common()}


def print_profile(machine: Machine, rate: int) -> None:
    functions = _functions(machine)
    for contender in CONTENDERS:
        found = profile(machine, contender, rate, functions)
        print(f"{contender.name}, {rate} frames a second: {sum(found.values()):,.0f} kernel instructions a frame")
        for name in list(found)[:SHOWN]:
            print(f"  {found[name]:9,.1f}  {name}")
