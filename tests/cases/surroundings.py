"""A developer's variables in the shell: they made every run fail, with a line that blamed a plugin."""

from __future__ import annotations

from . import readers
from .case import Case, Kind
from .frames import capture, ether, flow, ip, syn, udp

CASES = (
    Case(
        name="numba-jit-disabled",
        what="NUMBA_DISABLE_JIT=1, set in many analysts' shells for debugging",
        why="a command of its own takes no notice of it: flows and IDs are tshark's as ever",
        reported=("numba/numba#2210", "polakowo/vectorbt#467"),
        files=capture([ether / ip(1) / udp, ether / ip(1, v6=True) / syn]),
        flows=(flow(1, 1000, 2000, 17), flow(1, 40000, 80, 6, v6=True)),
    ),
)
# Siblings: others of numba's that change what is compiled.
VARIABLES = {"NUMBA_DISABLE_JIT": "1", "NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "0", "NUMBA_DEBUG": "1"}

KIND = Kind("surroundings", CASES, "flows?top=1000", readers.same_flows, env=VARIABLES)
