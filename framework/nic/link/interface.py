"""One network interface by name."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from zcframe.framework.config import ANY
from zcframe.framework.errors import NicError, UsageError
from zcframe.framework.nearest import nearest
from zcframe.framework.sysfs import CLASS_NET, ROOT

from .netlink import IFF_UP, Link, link_by_index, link_by_name, links

# As `ip` prints what is below an interface, or its peer: "eth0.5@eth0", "veth0@if5" for another namespace, "tun0@NONE".
AT: Final = "@"
NO_PEER: Final = "NONE"
NUMA_NODE: Final = "numa_node"
MSI_IRQS: Final = "msi_irqs"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _from_folder(folder: Path) -> Link:
    """An interface of a made-up tree, which has a folder for each."""
    numbers = {name: _text(folder / name) or "0" for name in ("ifindex", "type", "flags")}
    device = folder / "device"
    return Link(
        index=int(numbers["ifindex"]),
        name=folder.name,
        type=int(numbers["type"]),
        flags=int(numbers["flags"], 16),
        mac=_text(folder / "address"),
        carrier=_text(folder / "carrier") == "1",
        parent=device.resolve().name if device.exists() else "",
    )


def _folders(root: Path) -> list[Path]:
    # The bonding driver has a plain file among them.
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def interface_names(root: Path = CLASS_NET) -> list[str]:
    """Names of all interfaces of this network namespace, or of a made-up tree. Raises NicError."""
    return sorted(link.name for link in links()) if root == CLASS_NET else [path.name for path in _folders(root)]


def _is_below(link: Link, peer: str) -> bool:
    """Whether `ip` prints `peer` behind the name of an interface."""
    if not link.lower:
        return peer == NO_PEER
    if peer == f"if{link.lower}":
        return True
    other = None if link.elsewhere else link_by_name(peer)
    return other is not None and other.index == link.lower


def _find(name: str) -> Link | None:
    """The interface that a name means: its own, an alternative one, or one with what is below it, as `ip` prints it."""
    if found := link_by_name(name):
        return found
    parts = name.split(AT)
    for count in range(len(parts) - 1, 0, -1):
        found = link_by_name(AT.join(parts[:count]))
        if found is not None and _is_below(found, AT.join(parts[count:])):
            return found
    return None


def _unknown(name: str, known: Iterable[str], every: Iterable[str]) -> NicError:
    """The error for a name that means no interface. every: with alternative names."""
    close = nearest(name, every) or nearest(name.partition(AT)[0], every)
    meant = f"; did you mean {close}?" if close else ""
    return NicError(f"there is no interface {name!r}: {', '.join(known) or 'none'}{meant}")


def _missing(name: str, root: Path) -> NicError:
    if root != CLASS_NET:
        known = interface_names(root)
        return _unknown(name, known, known)
    found = links()
    every = [one for link in found for one in (link.name, *link.altnames)]
    return _unknown(name, sorted(link.name for link in found), every)


class Interface:
    """An interface; each property is read anew. Raises NicError where there is no interface of that name.

    name: one of its names, or as `ip` prints it; afterwards the kernel's own. root: CLASS_NET has the kernel asked, for
    an interface of this network namespace; any other folder is a made-up tree.
    """

    def __init__(self, name: str, root: Path = CLASS_NET) -> None:
        self._folder = None if root == CLASS_NET else root / name
        found = _find(name) if self._folder is None else self._read_folder(name)
        if found is None:
            raise _missing(name, root)
        self.name, self._index = found.name, found.index

    def _read_folder(self, name: str) -> Link | None:
        assert self._folder is not None
        return _from_folder(self._folder) if name and "/" not in name and self._folder.is_dir() else None

    def _now(self) -> Link:
        found = link_by_index(self._index) if self._folder is None else self._read_folder(self.name)
        if found is None:
            raise NicError(f"{self.name} is gone: it was removed, or went to another network namespace")
        return found

    @property
    def _device(self) -> Path | None:
        """The folder of its device, which is the same in each sysfs; None for a virtual interface."""
        if self._folder is not None:
            device = self._folder / "device"
        else:
            link = self._now()
            if not (link.bus and link.parent):
                return None
            device = ROOT / "sys/bus" / link.bus / "devices" / link.parent
        return device.resolve() if device.exists() else None

    @property
    def index(self) -> int:
        return self._now().index

    @property
    def identity(self) -> tuple[int, str, str]:
        """(index, MAC address, bus address or ""): another interface of the same name differs in it."""
        link = self._now()
        return link.index, link.mac, link.parent

    @property
    def type(self) -> int:
        """ARPHRD_*: what its frames begin with."""
        return self._now().type

    @property
    def up(self) -> bool:
        """Whether it was brought up; that says nothing about a link."""
        return bool(self._now().flags & IFF_UP)

    @property
    def linked(self) -> bool:
        """Whether its driver sees a link; an interface that is down has none."""
        link = self._now()
        return bool(link.flags & IFF_UP) and link.carrier

    @property
    def driver(self) -> str:
        """Name of the driver of its device; "" for a virtual interface."""
        device = self._device
        return (device / "driver").resolve().name if device is not None and (device / "driver").exists() else ""

    @property
    def node(self) -> int | None:
        """NUMA node of its device; None where it has none."""
        device = self._device
        text = "" if device is None else _text(device / NUMA_NODE)
        return int(text) if text.isdecimal() else None

    @property
    def interrupts(self) -> frozenset[int] | None:
        """Numbers of its device's interrupts: none for a virtual interface; None where they are not told."""
        device = self._device
        if device is None:
            return frozenset() if self._folder is None else None
        for folder in (device, *device.parents):
            if (folder / MSI_IRQS).is_dir():
                return frozenset(int(path.name) for path in (folder / MSI_IRQS).iterdir())
            if (folder / "subsystem").resolve().name == "pci":
                # Interrupts further up are those of bridges.
                break
        return None


def name_of(index: int, root: Path = CLASS_NET) -> str | None:
    """The name of the interface with this index; None where there is none."""
    if root == CLASS_NET:
        found = link_by_index(index)
        return None if found is None else found.name
    return next((path.name for path in _folders(root) if _text(path / "ifindex") == str(index)), None)


def real_names(names: Iterable[str]) -> tuple[str, ...]:
    """The kernel's own names of interfaces; ANY stays as it is.

    Raises NicError for an unknown name, UsageError for one named twice.
    """

    def each() -> Iterator[str]:
        seen: dict[str, str] = {}
        for name in names:
            real = name if name == ANY else Interface(name).name
            if real in seen:
                raise UsageError(f"--iface {seen[real]} {name}: both are {real}, named twice")
            seen[real] = name
            yield real

    return tuple(each())


def set_up(name: str, up: bool) -> None:
    """Bring an interface up or down. Raises NicError."""
    from pyroute2 import IPRoute  # slow to import, and needed only here
    from pyroute2.netlink.exceptions import NetlinkError

    index = Interface(name).index
    try:
        with IPRoute() as route:
            route.link("set", index=index, state="up" if up else "down")
    except NetlinkError as error:
        reason = "run as root, or with CAP_NET_ADMIN" if error.code == errno.EPERM else str(error)
        raise NicError(f"cannot bring {name} {'up' if up else 'down'}: {reason}") from error
