"""The XDP program that is on an interface already: it decides about each frame before any socket sees it.

Such a program is attached by netlink, as `ip link` does it, and stays until it is taken away. Or a link of BPF holds
it, which `ip link` cannot detach: it goes with the last descriptor that is open on the link, or with its file below
/sys/fs/bpf. (Documentation/bpf, rtnetlink(7), bpf_link_show_fdinfo() of the kernel)
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zcframe.framework.sources.ebpf.bpf import links_of
from zcframe.framework.sysfs import PROC

RTM_NEWLINK, RTM_GETLINK = 16, 18
NLM_F_REQUEST: Final = 1
# struct nlmsghdr, struct ifinfomsg, struct rtattr.
MESSAGE: Final = struct.Struct("=IHHII")
LINK: Final = struct.Struct("=BxHiII")
ATTRIBUTE: Final = struct.Struct("=HH")
NUMBER: Final = struct.Struct("=I")
TYPE_MASK: Final = 0x3FFF
LARGEST: Final = 1 << 16
IFLA_XDP: Final = 43
# The attribute with the number of the program of each mode, and what `ip link` calls the mode.
MODES: Final = {5: "xdpdrv", 6: "xdpgeneric", 7: "xdpoffload"}
# What /proc/<pid>/fd calls a link that was opened by its number, and one that was made.
LINK_NAMES: Final = ("anon_inode:bpf-link", "anon_inode:bpf_link")


@dataclass(frozen=True)
class Occupant:
    """A program on an interface. number: its id; mode: as `ip link` takes it.

    links: numbers of the links that hold it, none where it was attached by netlink; None where that may not be asked.
    holders: (pid, name) of each process seen from here that has such a link open.
    """

    ifname: str
    number: int
    mode: str
    links: tuple[int, ...] | None
    holders: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        by = ", ".join(f"{name} (pid {pid})" for pid, name in self.holders)
        return f"{self.number}, of {by}" if by else str(self.number)

    @property
    def remedy(self) -> str:
        """The command that takes it away."""
        off = f"ip link set dev {self.ifname} {self.mode} off"
        if self.holders:
            return f"kill {' '.join(str(pid) for pid, _ in self.holders)}"
        if self.links is None:
            return f"{off}, or end the process that holds it (as root, zcframe doctor --iface {self.ifname} names it)"
        return "; ".join(f"bpftool link detach id {link}" for link in self.links) or off


def _attributes(packed: bytes) -> dict[int, bytes]:
    """Content of each attribute of a netlink message, by its type."""
    found = {}
    while len(packed) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(packed)
        found[kind & TYPE_MASK] = packed[ATTRIBUTE.size : size]
        packed = packed[max(-(-size // 4) * 4, ATTRIBUTE.size) :]
    return found


def _programs(index: int) -> dict[int, int]:
    """Number of the program of each mode, by the attribute that tells it; none where there is no such interface."""
    request = MESSAGE.pack(MESSAGE.size + LINK.size, RTM_GETLINK, NLM_F_REQUEST, 0, 0) + LINK.pack(0, 0, index, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
            kernel.sendto(request, (0, 0))
            answer = kernel.recv(LARGEST)
    except OSError:
        return {}
    if MESSAGE.unpack_from(answer)[1] != RTM_NEWLINK:
        return {}
    told = _attributes(_attributes(answer[MESSAGE.size + LINK.size :]).get(IFLA_XDP, b""))
    return {mode: NUMBER.unpack(told[mode])[0] for mode in MODES if mode in told}


def _facts(path: Path) -> dict[str, str]:
    """Rows of a file such as /proc/<pid>/status or /proc/<pid>/fdinfo/<fd>."""
    rows = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in rows}


def _has_link(folder: Path, program: int) -> bool:
    """Whether the process of a folder of /proc has a link of this program open. Raises OSError where it is gone."""
    for fd in (folder / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(fd) in LINK_NAMES and _facts(folder / "fdinfo" / fd.name).get("prog_id") == str(program):
                return True
    return False


def _holders(program: int, proc: Path) -> tuple[tuple[int, str], ...]:
    """(pid, name) of each process that has a link of this program open, as far as this user may look.

    Children of such a process, which inherited it, are left out: they end with their parent.
    """
    found: dict[int, dict[str, str]] = {}
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if _has_link(folder, program):
                found[int(folder.name)] = _facts(folder / "status")
    return tuple((pid, facts["Name"]) for pid, facts in sorted(found.items()) if int(facts["PPid"]) not in found)


def occupant_of(ifname: str, index: int, proc: Path = PROC) -> Occupant | None:
    """The program on an interface, the driver's before one in front of the stack; None where there is none."""
    found = _programs(index)
    if not found:
        return None
    mode, number = next(iter(found.items()))
    links: tuple[int, ...] | None = None
    with contextlib.suppress(OSError):
        links = tuple(links_of(number))
    return Occupant(ifname, number, MODES[mode], links, _holders(number, proc))
