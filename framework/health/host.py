"""The machine that is examined: files below a root, and questions that only the running kernel answers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.capabilities import missing, remedy
from zcframe.framework.nic import Interface
from zcframe.framework.nic.ethtool.offload import Offloads, read_offloads
from zcframe.framework.nic.link.interface import interface_names
from zcframe.framework.nic.link.namespace import Sysfs, sysfs
from zcframe.framework.nic.link.route import default_carriers
from zcframe.framework.privileges import kept_by_workers
from zcframe.framework.sandbox import missing as missing_seccomp
from zcframe.framework.sources.xdp.occupant import Occupant, occupant_of
from zcframe.framework.sysfs import ROOT, class_net

AF_XDP: Final = 44


def try_socket(family: int) -> int:
    """0, or the errno with which the kernel refuses a raw socket of this family to this process."""
    try:
        socket.socket(family, socket.SOCK_RAW).close()
    except OSError as error:
        return error.errno or 0
    return 0


def occupant(ifname: str) -> Occupant | None:
    """The XDP program on an interface."""
    try:
        return occupant_of(ifname, socket.if_nametoindex(ifname))
    except OSError:
        return None


@dataclass(frozen=True)
class Host:
    """A machine. root: what holds sys/ and proc/. The other fields ask the kernel that this process runs on."""

    root: Path = ROOT
    try_socket: Callable[[int], int] = try_socket
    offloads: Callable[[str], Offloads] = read_offloads
    default_carriers: Callable[[], frozenset[str]] = default_carriers
    occupant: Callable[[str], Occupant | None] = occupant
    kept_by_workers: Callable[[], tuple[str, ...]] = kept_by_workers
    unrestricted: Callable[[], str] = missing_seccomp

    def text(self, path: str) -> str:
        """Content of a file below the root, without blanks around it; "" where it cannot be read."""
        try:
            return (self.root / path).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def entries(self, folder: str, pattern: str) -> list[Path]:
        """Paths in a folder that match a pattern, by name."""
        return sorted((self.root / folder).glob(pattern))

    def number(self, path: str) -> int | None:
        """The number in a file; None where it has none."""
        text = self.text(path)
        return int(text) if text.isdecimal() else None

    def missing(self, *names: str) -> list[str]:
        """Which of these capabilities this process lacks."""
        return missing(self.text("proc/self/status"), *names)

    def remedy(self, backend: str) -> str:
        """What gives this process the capabilities for a backend."""
        return remedy(self.text("proc/self/status"), backend)

    @property
    def interfaces(self) -> list[str]:
        """Names of the interfaces of this network namespace."""
        return interface_names(class_net(self.root))

    @property
    def sysfs(self) -> Sysfs:
        """Where sysfs shows these interfaces. A made-up machine has no other network namespace."""
        return sysfs() if self.root == ROOT else Sysfs(self.root / "sys", "there")

    def interface(self, ifname: str) -> Interface:
        """An interface of this machine. Raises NicError where there is none of that name."""
        return Interface(ifname, class_net(self.root))
