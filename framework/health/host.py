"""The machine that is examined: files below a root, and what only the kernel itself can be asked."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.capabilities import missing
from zcframe.framework.nic import Interface
from zcframe.framework.nic.ethtool.offload import Offloads, read_offloads
from zcframe.framework.nic.link.route import default_carriers
from zcframe.framework.sysfs import ROOT, class_net

AF_XDP: Final = 44


def try_socket(family: int) -> int:
    """0, or the errno with which the kernel refuses a raw socket of this family to this process."""
    try:
        socket.socket(family, socket.SOCK_RAW).close()
    except OSError as error:
        return error.errno or 0
    return 0


@dataclass(frozen=True)
class Host:
    """root: what holds sys/ and proc/. The rest asks the kernel that this process runs on."""

    root: Path = ROOT
    try_socket: Callable[[int], int] = try_socket
    offloads: Callable[[str], Offloads] = read_offloads
    default_carriers: Callable[[], frozenset[str]] = default_carriers

    def text(self, path: str) -> str:
        """Content of a file below the root, without blanks around it; "" where there is none."""
        try:
            return (self.root / path).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def entries(self, folder: str, pattern: str) -> list[Path]:
        """What is in a folder, by name."""
        return sorted((self.root / folder).glob(pattern))

    def number(self, path: str) -> int | None:
        """A file's content where it is a number."""
        text = self.text(path)
        return int(text) if text.isdecimal() else None

    def missing(self, *names: str) -> list[str]:
        """Those of these capabilities that this process lacks."""
        return missing(self.text("proc/self/status"), *names)

    @property
    def interfaces(self) -> list[str]:
        """Those of this network namespace."""
        return [path.name for path in sorted(class_net(self.root).glob("*")) if path.is_dir()]

    def interface(self, ifname: str) -> Interface:
        """Raises NicError where there is none of that name."""
        return Interface(ifname, class_net(self.root))
