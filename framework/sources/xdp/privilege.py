"""The capabilities that setting AF_XDP up takes: workers need none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from zcframe.framework.capabilities import STATUS, missing, setcap
from zcframe.framework.errors import XdpError

# Each, and what it is needed for.
NEEDED: Final = {
    "CAP_NET_ADMIN": "to attach a program",
    "CAP_BPF": "to load it",
    "CAP_NET_RAW": "to open AF_XDP sockets",
}


def setcap_line() -> str:
    """The command that gives this interpreter what is needed."""
    return setcap(*NEEDED)


def check_capabilities(status: Path = STATUS) -> None:
    """Raises XdpError, which names those that this process has not."""
    lacking = [f"{name} ({NEEDED[name]})" for name in missing(status.read_text(), *NEEDED)]
    if lacking:
        raise XdpError(f"AF_XDP needs {', '.join(lacking)}: run as root, or {setcap_line()}")
