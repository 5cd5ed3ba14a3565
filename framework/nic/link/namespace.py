"""The sysfs of this process's network namespace, where its interfaces have settings that nothing else tells.

A sysfs shows the interfaces of the network namespace that it was mounted in, whoever looks: after `nsenter --net` the
one at /sys is another's, with other interfaces of the same names, often of the same indices and addresses. The kernel
has one superblock of sysfs for each network namespace, so that a second mount of it has the same device number. Hence
the proof: mount one here, attached nowhere, and compare. What is not about interfaces is the same in each of them.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from zcframe.framework.capabilities import STATUS, missing
from zcframe.framework.errors import NicError
from zcframe.framework.sysfs import CLASS_NET, ROOT

from .netlink import Link, links

# fsopen(2), fsconfig(2), fsmount(2): Linux 5.2; the numbers are the same on every machine that Python knows but Alpha.
FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
FSCONFIG_CMD_CREATE: Final = 6
READ_WRITE, READ_ONLY = 0, 1
CLONE_NEWNS: Final = 0x00020000
SYS: Final = ROOT / "sys"
# Below a sysfs: the names of interfaces, and what those without hardware point to.
SHOWN: Final = ("class/net", "devices/virtual/net")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Sysfs:
    """Where sysfs shows this network namespace.

    folder: None where nothing is known to. found: "there": /sys does; "mounted": /sys shows another one, or none, and a
    sysfs of this one is mounted for this process alone; "none". reason: why none could be mounted.
    """

    folder: Path | None
    found: Literal["there", "mounted", "none"]
    reason: str = ""

    @property
    def text(self) -> str:
        """The same in words."""
        if self.found == "there":
            return "/sys shows this network namespace"
        if self.found == "mounted":
            return "/sys does not show this network namespace; a sysfs that does is mounted for this command alone"
        return f"nothing proves that /sys shows this network namespace, and no sysfs can be mounted ({self.reason})"


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A system call that the C library may not know. Raises OSError."""
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _mount(attributes: int = READ_WRITE) -> int:
    """A sysfs of this network namespace, attached nowhere: it ends with this descriptor. Raises OSError."""
    context = _call(FSOPEN, b"sysfs", FSOPEN_CLOEXEC)
    try:
        _call(FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        return _call(FSMOUNT, context, FSMOUNT_CLOEXEC, attributes)
    finally:
        os.close(context)


def _mount_in_own_space() -> int:
    """The same in a mount namespace of its own: in the one of whoever made a user namespace, its root may not mount.

    Only a thread of its own moves there, and is gone then.
    """
    if _libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        return _mount()
    except PermissionError:
        # Where the /sys of a container is read-only for good, so must be every other one.
        return _mount(READ_ONLY)


def _in_thread(mount: Callable[[], int]) -> int:
    outcome: list[int | OSError] = []

    def body() -> None:
        try:
            outcome.append(mount())
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


def mount_sysfs() -> int:
    """Descriptor of a sysfs of this network namespace. Raises OSError where this process may mount none."""
    # A service manager may kill a process for system calls that it has no right to make anyway.
    if lacks := missing(STATUS.read_text(), "CAP_SYS_ADMIN"):
        raise OSError(errno.EPERM, f"{lacks[0]} is missing")
    try:
        return _mount()
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
    return _in_thread(_mount_in_own_space)


def _device_of(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def _is_same(fd: int) -> bool:
    """Whether /sys is the sysfs of this descriptor, also where it shows interfaces: parts may be covered by others."""
    device = os.fstat(fd).st_dev
    return all(_device_of(SYS / name) == device for name in SHOWN)


def _is_there(link: Link) -> bool:
    """Whether /sys shows the very device of an interface: hardware is in one network namespace at a time.

    Several interfaces of one device differ by their port, where their index, name and address are the same.
    """
    folder = CLASS_NET / link.name
    try:
        facts = {name: (folder / name).read_text().strip() for name in ("ifindex", "address")}
        device = (folder / "device").resolve(strict=True).name
    except OSError:
        return False
    try:
        port = (folder / "phys_port_name").read_text().strip()
    except OSError:
        port = ""
    return (facts["ifindex"], facts["address"], device, port) == (str(link.index), link.mac, link.parent, link.port)


def _is_proved_by_hardware() -> bool:
    """Whether /sys shows an interface of this network namespace that is hardware. Names and addresses prove nothing."""
    return any(_is_there(link) for link in links() if link.parent)


@functools.cache
def sysfs() -> Sysfs:
    """Where this network namespace is shown. Asked once: a process stays in its namespaces. Raises NicError."""
    try:
        fd = mount_sysfs()
    except OSError as error:
        if _is_proved_by_hardware():
            return Sysfs(SYS, "there")
        return Sysfs(None, "none", error.strerror or str(error))
    if _is_same(fd):
        os.close(fd)
        return Sysfs(SYS, "there")
    folder = Path(f"/proc/self/fd/{fd}")
    if _device_of(folder / SHOWN[0]) is None:
        os.close(fd)
        return Sysfs(None, "none", "there is no /proc to reach it by")
    return Sysfs(folder, "mounted")


def file_of(name: str, root: Path = ROOT) -> Path:
    """Where to read or write a file that is called `name` here, such as "/sys/class/net/eth0/threaded".

    root: what holds sys/ and proc/; ROOT is this machine, as seen from this network namespace. Raises NicError for what
    nothing shows.
    """
    path = root / name.lstrip("/")
    if root != ROOT or not path.is_relative_to(CLASS_NET):
        return path
    shown = sysfs()
    if shown.folder is None:
        raise NicError(f"{name} is out of reach: {shown.text}")
    return shown.folder / path.relative_to(SYS)
