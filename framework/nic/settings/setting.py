"""The settings that a capture may change on a NIC. Each has a name, and a value that JSON can hold.

A name is a verb of `VERBS`, or the path of a file below /sys or /proc, whose value is its text.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from zcframe.framework.errors import NicError
from zcframe.framework.nic.ethtool.channels import Channels, read_channels, write_channels
from zcframe.framework.nic.ethtool.coalesce import Coalesce, read_coalesce, write_coalesce
from zcframe.framework.nic.ethtool.rings import Rings, read_rings, write_rings
from zcframe.framework.nic.ethtool.rss import RssSettings, read_rss, write_rss
from zcframe.framework.nic.link.interface import Interface, set_up
from zcframe.framework.nic.link.namespace import file_of
from zcframe.framework.sysfs import ROOT

Value = Any


@dataclass(frozen=True)
class Change:
    """One step of a plan: the setting, its value now, the value that it is to have, and the reason in words."""

    name: str
    before: Value
    after: Value
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {_shown(self.before)} -> {_shown(self.after)}  ({self.why})"


def _shown(value: Value) -> str:
    return ",".join(f"{name}={item}" for name, item in value.items()) if isinstance(value, dict) else str(value)


@dataclass(frozen=True)
class Verb:
    """How a setting is read from an interface, and written to it; both raise NicError."""

    read: Callable[[str], Value]
    write: Callable[[str, Value], None]


def _read_link(ifname: str) -> str:
    return "up" if Interface(ifname).up else "down"


def _write_link(ifname: str, state: str) -> None:
    set_up(ifname, state == "up")


def _verb(read: Callable[[str], Any], write: Callable[[str, Any], None], kind: Callable[..., Any]) -> Verb:
    """The verb of a setting whose value is a dataclass `kind`."""
    return Verb(lambda ifname: asdict(read(ifname)), lambda ifname, value: write(ifname, kind(**value)))


VERBS: Final = {
    "link": Verb(_read_link, _write_link),
    "channels": _verb(read_channels, write_channels, Channels),
    "rings": _verb(read_rings, write_rings, Rings),
    "coalesce": _verb(read_coalesce, write_coalesce, Coalesce),
    "rss": Verb(lambda ifname: read_rss(ifname).document(), lambda i, value: write_rss(i, RssSettings.of(value))),
}


def is_path(name: str) -> bool:
    return name.startswith("/")


def read_setting(ifname: str, name: str, root: Path = ROOT) -> Value:
    """The value of a setting at this moment. root: what holds sys/ and proc/. Raises NicError and OSError."""
    return file_of(name, root).read_text().strip() if is_path(name) else VERBS[name].read(ifname)


def _write_file(path: Path, name: str, value: str) -> None:
    # The file is never created: where it is missing, the kernel has no such setting.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC), "w") as file:
        file.write(f"{value}\n")
    # An interrupt whose interface is down takes every affinity without an error, and keeps its own.
    if (kept := path.read_text().strip()) != value:
        hint = ": it moves only while its interface is up" if name.startswith("/proc/irq/") else ""
        raise NicError(f"{name} stays at {kept}, not {value}{hint}")


def write_setting(ifname: str, name: str, value: Value, root: Path = ROOT) -> None:
    """Give a setting a value. Raises OSError, and NicError, also where a file took the value and did not keep it."""
    if is_path(name):
        _write_file(file_of(name, root), name, value)
    else:
        VERBS[name].write(ifname, value)
