"""The network namespace that this process is in, by a name that no other one has until the machine boots again.

Interfaces of two namespaces may have the same name, index and MAC address: these tell nothing. The kernel gives each
namespace a number that it never gives again, its cookie (since 5.14). The inode of the namespace's file, by which lsns
and ps know it, is given again once the namespace is gone.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path
from typing import Final

from zcframe.framework.sysfs import PROC

SO_NETNS_COOKIE: Final = 71
# The first namespace that the kernel makes is the machine's own. (include/linux/cookie.h, net_ns_init)
FIRST_COOKIE: Final = 1
UNKNOWN: Final = 0
# Inode of the first PID namespace, whose processes see those of all others. (include/linux/proc_ns.h)
FIRST_PIDS: Final = 0xEFFFFFFC

FIRST: Final = ""
PREFIX: Final = "netns"


def _cookie() -> int:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
            return int(struct.unpack("=Q", asked.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8))[0])
    except OSError:
        return UNKNOWN


def _inode(path: Path) -> int:
    """Inode that a path leads to; UNKNOWN where it cannot be followed."""
    try:
        return path.stat().st_ino
    except OSError:
        return UNKNOWN


def _sees_all(proc: Path) -> bool:
    """Whether the processes of every PID namespace are seen from here, pid 1 being the machine's own."""
    return os.geteuid() == 0 and _inode(proc / "self/ns/pid") == FIRST_PIDS


def _is_first(cookie: int, inode: int, proc: Path) -> bool:
    """Whether this is the machine's own: that of its pid 1, where that is seen from here, else by the cookie."""
    of_init = _inode(proc / "1/ns/net") if _sees_all(proc) else UNKNOWN
    return cookie == FIRST_COOKIE if of_init == UNKNOWN else inode == of_init


def namespace_key(proc: Path = PROC) -> str:
    """Name of this thread's namespace, "netns-<cookie>-<inode>"; FIRST for that of the machine itself."""
    cookie, inode = _cookie(), _inode(proc / "thread-self/ns/net")
    return FIRST if _is_first(cookie, inode, proc) else f"{PREFIX}-{cookie}-{inode}"


def inode_of(key: str) -> int:
    """The inode in a name that `namespace_key()` returned: that of `lsns -t net`."""
    last = key.rpartition("-")[2]
    return int(last) if last.isdecimal() else UNKNOWN


def _held_inodes(proc: Path) -> set[int]:
    """Inodes of all network namespaces that a process is in, has open, or sees mounted."""
    found: set[int] = set()
    for folder in proc.glob("[0-9]*"):
        for pattern in ("ns/*", "task/*/ns/*", "fd/*"):
            for link in folder.glob(pattern):
                with contextlib.suppress(OSError):
                    kind, _, number = os.readlink(link).partition(":[")
                    if kind == "net":
                        found.add(int(number.rstrip("]")))
        with contextlib.suppress(OSError):
            # The root of a mount of nsfs is the namespace's name: proc_pid_mountinfo(5).
            roots = (line.split()[3] for line in (folder / "mountinfo").read_text().splitlines())
            found.update(int(root[5:-1]) for root in roots if root.startswith("net:["))
    return found


def known_gone(keys: set[str], proc: Path = PROC) -> set[str]:
    """Those of these namespaces that are gone for certain; none where not every process is seen from here."""
    if not keys or not _sees_all(proc):
        return set()
    held = _held_inodes(proc)
    return {key for key in keys if inode_of(key) not in (UNKNOWN, *held)}
