"""The right to change a NIC. A file keeps the former value of each setting before it is changed, for the end.

There are two kinds. A run holds an interface as long as it lives; where it was killed, the next holder puts back what
the run had changed. A change by hand (`zcframe rss set`) stays until `zcframe rss restore`, and a run may lie over it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from zcframe.framework.errors import NicError
from zcframe.framework.nic.link.interface import Interface, name_of
from zcframe.framework.nic.link.namespace import file_of
from zcframe.framework.sysfs import ROOT, class_net

from .record import BY_HAND, FOLDER, Record, load, locked, names, remove, save
from .setting import Value, read_setting, write_setting

Refused = dict[str, str]


def in_passes(values: Mapping[str, Value], write: Callable[[str, Value], None]) -> Refused:
    """Write each value. Returns the settings that were refused, each with the reason.

    Settings depend on one another, as a table on its queues: a refused value is tried again after the others.
    """
    pending = dict(values)
    while pending:
        refused: Refused = {}
        for name, value in pending.items():
            try:
                write(name, value)
            except NicError as error:
                refused[name] = str(error)
            except OSError as error:
                refused[name] = f"{name}: {error.strerror}"
        if len(refused) == len(pending):
            return refused
        pending = {name: pending[name] for name in refused}
    return {}


def _by_hand(folder: Path) -> Path:
    return folder / "set"


def _absence(record: Record, root: Path) -> str:
    """Why there is nothing to put back: the interface of the record is gone; "" where it is there.

    Raises NicError where the interface has another name now: the paths in the record hold the name that it had.
    """
    folder = class_net(root)
    name = name_of(record.ifindex, folder)
    if name is None:
        return f"{record.ifname} that was changed is gone: nothing to put back"
    if not record.of(Interface(name, folder)):
        return f"{record.ifname} that was changed was replaced: nothing to put back"
    if name != record.ifname:
        raise NicError(
            f"{record.ifname} was changed, and is called {name} now: ip link set {name} name {record.ifname}"
        )
    return ""


def _put_back(folder: Path, record: Record, root: Path) -> None:
    """Undo the changes of a record, the last one first, and remove it. Raises NicError for changes that remain."""
    # An interrupt or a queue that is gone needs nothing put back.
    before = {n: v for n, v in reversed(record.before.items()) if not n.startswith("/") or file_of(n, root).exists()}
    refused = in_passes(before, lambda name, value: write_setting(record.ifname, name, value, root))
    if refused:
        save(folder, record.with_before({name: v for name, v in record.before.items() if name in refused}))
        raise NicError(f"{record.ifname} cannot be put back: {'; '.join(refused.values())}")
    remove(folder, record.ifname)


def _restore(folder: Path, ifname: str, root: Path) -> str:
    """Put back the record of a folder that is locked: a line about it, or "" where there is none. Raises NicError."""
    record = load(folder, ifname)
    if record is None:
        return ""
    if record.alive:
        raise NicError(f"{ifname} is held by another run, pid {record.pid}: end that first")
    if gone := _absence(record, root):
        remove(folder, ifname)
        return gone
    _put_back(folder, record, root)
    who = f"by a run that was killed (pid {record.pid})" if record.pid != BY_HAND else "by zcframe rss set"
    return f"{ifname}: put back what was changed {who}: {', '.join(record.before) or 'nothing'}"


class Hold:
    """An interface that this process may change. restored: what was put back for a former holder, as a line."""

    def __init__(self, folder: Path, record: Record, root: Path = ROOT, restored: str = "") -> None:
        self._folder, self._record, self._root, self.restored = folder, record, root, restored

    @property
    def ifname(self) -> str:
        return self._record.ifname

    def change(self, name: str, value: Value) -> None:
        """Give a setting a value, after the file has recorded the former one. Raises NicError and OSError."""
        before = read_setting(self.ifname, name, self._root)
        if before == value:
            return
        if name not in self._record.before:
            self._record = self._record.with_before({**self._record.before, name: before})
            save(self._folder, self._record)
        write_setting(self.ifname, name, value, self._root)

    def change_all(self, values: Mapping[str, Value]) -> Refused:
        """Change as many settings as possible. Returns the refused ones, each with the reason."""
        return in_passes(values, self.change)

    def change_together(self, values: Mapping[str, Value]) -> None:
        """Change all settings or none; a setting with its former value is forgotten. Raises NicError and OSError."""
        earlier = {name: read_setting(self.ifname, name, self._root) for name in values}
        refused = self.change_all(values)
        if refused:
            self.change_all(earlier)
        self._settle()
        if refused:
            raise NicError("; ".join(refused.values()))

    def put_back(self, names: Iterable[str]) -> Refused:
        """Undo some of the changes now, the last one first. Returns the refused ones, each with the reason."""
        before = {name: self._record.before[name] for name in names if name in self._record.before}
        refused = self.change_all(dict(reversed(before.items())))
        rest = {n: value for n, value in self._record.before.items() if n not in before or n in refused}
        self._record = self._record.with_before(rest)
        save(self._folder, self._record)
        return refused

    def _settle(self) -> None:
        before = self._record.before.items()
        changed = {name: v for name, v in before if read_setting(self.ifname, name, self._root) != v}
        self._record = self._record.with_before(changed)
        if changed:
            save(self._folder, self._record)
        else:
            remove(self._folder, self.ifname)

    def undo(self) -> None:
        """Undo every change and remove the record; may be called again. Raises NicError for changes that remain."""
        if load(self._folder, self.ifname) is None:
            return
        if _absence(self._record, self._root):
            remove(self._folder, self.ifname)
        else:
            _put_back(self._folder, self._record, self._root)


def hold(ifname: str, folder: Path = FOLDER, root: Path = ROOT) -> Hold:
    """Take an interface for this process, after the changes of a killed run were undone.

    folder: where the state files are. root: what holds sys/ and proc/. Raises NicError where another run holds it.
    """
    interface = Interface(ifname, class_net(root))
    with locked(folder):
        restored = _restore(folder, ifname, root)
        record = Record.made(interface, os.getpid())
        save(folder, record)
    return Hold(folder, record, root, restored)


def hold_by_hand(ifname: str, folder: Path = FOLDER, root: Path = ROOT) -> Hold:
    """Take an interface for changes that stay; records of earlier changes by hand are kept. Raises NicError."""
    interface = Interface(ifname, class_net(root))
    with locked(folder), locked(_by_hand(folder)):
        restored = _restore(folder, ifname, root)
        found = load(_by_hand(folder), ifname)
        record = found if found is not None and found.of(interface) else Record.made(interface, BY_HAND)
        save(_by_hand(folder), record)
    return Hold(_by_hand(folder), record, root, restored)


def restore(ifname: str, folder: Path = FOLDER, root: Path = ROOT) -> list[str]:
    """Undo on an interface what a killed run, then what `zcframe rss set` changed; a line each. Raises NicError."""
    if ifname not in held(folder):
        return []
    with locked(folder), locked(_by_hand(folder)):
        lines = (_restore(layer, ifname, root) for layer in (folder, _by_hand(folder)))
        return [line for line in lines if line]


def held(folder: Path = FOLDER) -> list[str]:
    """Interfaces with changes on file."""
    return sorted({*names(folder), *names(_by_hand(folder))})
