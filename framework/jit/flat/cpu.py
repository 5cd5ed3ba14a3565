"""What a piece of machine code depends on: the CPU that it was made for."""

from __future__ import annotations

import functools
import os
from typing import Final

FILE: Final = "/proc/cpuinfo"
# Of one processor, on x86-64. Processors of a machine are the same to LLVM, too.
NAMES: Final = ("vendor_id", "cpu family", "model", "stepping", "flags")
# More than one processor's lines; all of a large machine's take milliseconds to write.
ENOUGH: Final = 8192


@functools.cache
def cpu_identity() -> str:
    """Model and features of the CPU, and how it is asked for (NUMBA_CPU_NAME); "" where the kernel does not tell."""
    try:
        with open(FILE, "rb", buffering=0) as file:
            text = file.read(ENOUGH).decode(errors="replace")
    except OSError:
        return ""
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    told = {name.strip(): value.strip() for name, _, value in lines}
    if not all(told.get(name) for name in NAMES):
        return ""
    return "\n".join((*(told[name] for name in NAMES), os.environ.get("NUMBA_CPU_NAME", "")))
