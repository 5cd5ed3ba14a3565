"""Records that lie in another folder than that of the network namespace which their interface is in now.

An interface takes its settings along when it is moved to another namespace, and a card comes back to the machine's own
when its namespace ends. Only its place on a bus proves that it is the same one: an interface without a device may have
the name, index and MAC address of another. A record of version 0.1 does not say which namespace it is of.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from zcframe.framework.errors import NicError
from zcframe.framework.nic.link.interface import Interface
from zcframe.framework.nic.link.netns import PREFIX, inode_of, known_gone, namespace_key
from zcframe.framework.sysfs import PROC, ROOT, class_net

from .record import Record, by_hand, leave, load, names, own_folder, remove, save
from .setting import Value


class Foreign(NamedTuple):
    """Another network namespace that has records: its name, "" for the machine's own, and the interfaces of them."""

    key: str
    ifnames: tuple[str, ...]

    def __str__(self) -> str:
        where = f"network namespace {inode_of(self.key)}" if self.key else "the machine's own network namespace"
        return f"{', '.join(self.ifnames)} in {where}"

    @property
    def remedy(self) -> str:
        """How to come to it."""
        if not self.key:
            return "zcframe rss restore outside of this one puts it back"
        return "zcframe rss restore in it puts it back (lsns -t net shows its processes)"


def on_its_bus(record: Record, root: Path) -> bool:
    """Whether the device of the record has a driver, and no interface here: it must be in another namespace."""
    if not record.device or not any((root / "sys/bus").glob(f"*/devices/{record.device}/driver")):
        return False
    return all(interface.identity[2] != record.device for interface in _interfaces(root))


def _interfaces(root: Path) -> Iterator[Interface]:
    """Interfaces of this network namespace: /sys may show another one's."""
    shown = (path.parent.name for path in class_net(root).glob("*/ifindex"))
    for name in (name for _, name in socket.if_nameindex()) if root == ROOT else shown:
        with contextlib.suppress(NicError):
            yield Interface(name, class_net(root))


def bring_all_here(folder: Path, root: Path) -> None:
    """Move records of interfaces that are here to `folder`, which is that of this namespace. Raises NicError."""
    for interface in _interfaces(root):
        bring_here(folder, interface)


def _top(folder: Path) -> Path:
    return folder.parent if folder.name.startswith(PREFIX) else folder


def _others(folder: Path) -> Iterator[Path]:
    """Folders of all other namespaces, and the one above them."""
    top = _top(folder)
    yield from (path for path in (top, *top.glob(f"{PREFIX}-*")) if path != folder)


def _is_of(record: Record, interface: Interface, above: bool) -> bool:
    """Whether a record elsewhere is of this interface. above: it lies in the folder above those of namespaces."""
    if record.alive:
        return False
    if above and record.netns is None:
        return record.ifname == interface.name and record.of(interface)
    _, mac, device = interface.identity
    return bool(device) and (record.mac, record.device) == (mac, device)


def _renamed(setting: str, before: str, now: str) -> str:
    start = f"/sys/class/net/{before}/"
    return f"/sys/class/net/{now}/{setting[len(start) :]}" if setting.startswith(start) else setting


def _as_here(record: Record, interface: Interface) -> Record:
    before: dict[str, Value] = {
        _renamed(name, record.ifname, interface.name): value for name, value in record.before.items()
    }
    index = interface.identity[0]
    return replace(record, ifname=interface.name, ifindex=index, before=before, netns=namespace_key())


def _records(folder: Path) -> Iterator[Record]:
    """Records of one folder that can be read."""
    with contextlib.suppress(NicError):
        for name in names(folder):
            with contextlib.suppress(NicError):
                if record := load(folder, name):
                    yield record


def bring_here(folder: Path, interface: Interface) -> None:
    """Move records of this interface that lie elsewhere to `folder`, that of this namespace. Raises NicError."""
    for other in _others(folder):
        for source, target in ((other, folder), (by_hand(other), by_hand(folder))):
            for record in _records(source):
                if _is_of(record, interface, other == _top(folder)) and interface.name not in names(target):
                    target.mkdir(mode=0o700, parents=True, exist_ok=True)
                    # A kill in between leaves it in both; the second is then put back as one that has its value.
                    save(target, _as_here(record, interface))
                    remove(source, record.ifname)
        leave(other)


def foreign(folder: Path | None = None) -> list[Foreign]:
    """Other network namespaces with changes on file, which only a process in them can put back."""
    folder = folder or own_folder()
    found = []
    for other in _others(folder):
        held = sorted({record.ifname for place in (other, by_hand(other)) for record in _records(place)})
        if held:
            found.append(Foreign(other.name if other.name.startswith(PREFIX) else "", tuple(held)))
    return found


def forget_gone(folder: Path | None = None, proc: Path = PROC) -> list[Foreign]:
    """Remove records of namespaces that are gone for certain, their interfaces with them; returns what they held."""
    folder = folder or own_folder()
    gone = known_gone({other.key for other in foreign(folder) if other.key}, proc)
    dropped = [other for other in foreign(folder) if other.key in gone]
    for key, _ in dropped:
        place = _top(folder) / key
        for layer in (place, by_hand(place)):
            for name in names(layer):
                remove(layer, name)
        leave(place)
    return dropped
