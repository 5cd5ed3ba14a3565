"""The capabilities that setting AF_XDP up takes: workers need none of them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from zcframe.framework.errors import XdpError

STATUS: Final = Path("/proc/self/status")
CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN, CAP_BPF = 12, 13, 21, 39
# Each, and what it is needed for. CAP_SYS_ADMIN has CAP_BPF in it.
NEEDED: Final = {
    "CAP_NET_ADMIN": (1 << CAP_NET_ADMIN, "to attach a program"),
    "CAP_BPF": (1 << CAP_BPF | 1 << CAP_SYS_ADMIN, "to load it"),
    "CAP_NET_RAW": (1 << CAP_NET_RAW, "to open AF_XDP sockets"),
}


def setcap_line() -> str:
    """The command that gives this interpreter what is needed."""
    return f"setcap cap_net_admin,cap_bpf,cap_net_raw+ep {os.path.realpath(sys.executable)}"


def check_capabilities(status: Path = STATUS) -> None:
    """Raises XdpError, which names those that this process has not."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status.read_text(), re.MULTILINE)
    mask = int(found[1], 16) if found else 0
    missing = [f"{name} ({purpose})" for name, (bits, purpose) in NEEDED.items() if not mask & bits]
    if missing:
        raise XdpError(f"AF_XDP needs {', '.join(missing)}: run as root, or {setcap_line()}")
