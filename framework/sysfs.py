"""Where the kernel shows this machine. Whatever reads there takes a root, so that tests can show it another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path("/")
PROC: Final = ROOT / "proc"
CLASS_NET: Final = ROOT / "sys/class/net"


def class_net(root: Path) -> Path:
    """The folder that has a folder for each network interface."""
    return root / CLASS_NET.relative_to(ROOT)
