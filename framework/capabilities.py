"""The capabilities that live capture needs: which ones this process lacks, and the command that grants them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
# Numbers of linux/capability.h.
CAPABILITIES: Final = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_IPC_LOCK": 14, "CAP_SYS_ADMIN": 21, "CAP_BPF": 39}
# A capability that has another one in it (capabilities(7)).
INCLUDED_IN: Final = {"CAP_BPF": "CAP_SYS_ADMIN"}


def _bits(name: str) -> int:
    """The bits of which any one is enough."""
    wider = INCLUDED_IN.get(name, name)
    return 1 << CAPABILITIES[name] | 1 << CAPABILITIES[wider]


def missing(status: str, *names: str) -> list[str]:
    """Which of these capabilities a process lacks. status: the text of its /proc/<pid>/status."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    mask = int(found[1], 16) if found else 0
    return [name for name in names if not mask & _bits(name)]


def setcap(*names: str) -> str:
    """The command that gives the interpreter these capabilities."""
    return f"setcap {','.join(name.lower() for name in names)}+ep {os.path.realpath(sys.executable)}"
