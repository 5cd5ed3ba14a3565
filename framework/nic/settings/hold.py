"""The right to change a NIC. A file keeps the former value of each setting before it is changed, for the end.

There are two kinds. A run holds an interface as long as it lives; where it was killed, the next holder puts back what
the run had changed. A change by hand (`zcframe rss set`) stays until `zcframe rss restore`, and a run may lie over it.

On file is what differs from what it was: a setting whose change was refused is taken off again, and one that has its
former value already is not written. What the kernel does not take back stays on file, for the next try.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from zcframe.framework.errors import NicError
from zcframe.framework.nic.link.interface import Interface, name_of
from zcframe.framework.sysfs import ROOT, class_net

from .elsewhere import bring_all_here, bring_here, on_its_bus
from .record import BY_HAND, Record, by_hand, leave, load, locked, names, own_folder, remove, save
from .setting import Value, read_setting, write_setting

Refused = dict[str, str]


class Outcome(NamedTuple):
    """What came of a record. line: for the operator, "" where there was none; left, refused: what stays on file."""

    line: str = ""
    left: Mapping[str, Value] = {}
    refused: Mapping[str, str] = {}


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


def _absence(record: Record, root: Path) -> str:
    """Why there is nothing to put back: the interface of the record is gone; "" where it is there.

    Raises NicError where the interface has another name now, since the paths in the record hold the name that it had,
    and where it is in another network namespace.
    """
    folder = class_net(root)
    name = name_of(record.ifindex, folder)
    here = name is not None and record.of(Interface(name, folder))
    if not here and on_its_bus(record, root):
        raise NicError(
            f"{record.ifname} ({record.device}) was changed, and is in another network namespace now: zcframe rss"
            " restore in that one"
        )
    if name is None:
        return f"{record.ifname} that was changed is gone: nothing to put back"
    if not here:
        return f"{record.ifname} that was changed was replaced: nothing to put back"
    if name != record.ifname:
        raise NicError(
            f"{record.ifname} was changed, and is called {name} now: ip link set {name} name {record.ifname}"
        )
    return ""


def _has(ifname: str, name: str, value: Value, root: Path) -> bool:
    """Whether a setting has this value; False where it cannot be read."""
    try:
        return bool(read_setting(ifname, name, root) == value)
    except (OSError, NicError):
        return False


def _is_gone(ifname: str, name: str, root: Path) -> bool:
    """Whether there is no such setting any more."""
    try:
        read_setting(ifname, name, root)
    except FileNotFoundError:
        return True
    except (OSError, NicError):
        return False
    return False


def _write_back(record: Record, root: Path) -> Refused:
    """Give every setting of a record its former value, the last one first. Returns those that were refused."""

    def write(name: str, value: Value) -> None:
        # The kernel refuses some settings even the value that they have. What is gone, such as an interrupt or a queue,
        # needs nothing put back.
        if not _has(record.ifname, name, value, root) and not _is_gone(record.ifname, name, root):
            write_setting(record.ifname, name, value, root)

    return in_passes(dict(reversed(record.before.items())), write)


def _put_back(folder: Path, record: Record, root: Path) -> Refused:
    """Undo the changes of a record, and remove it; what was refused, which is returned, stays on file."""
    refused = _write_back(record, root)
    if refused:
        # The longer record serves as well, should there be no room for another: what is put back is not written again.
        with contextlib.suppress(NicError):
            save(folder, record.with_before({name: v for name, v in record.before.items() if name in refused}))
    else:
        remove(folder, record.ifname)
    return refused


def _remains(ifname: str, refused: Mapping[str, str]) -> str:
    return (
        f"{ifname} cannot be put back: {'; '.join(dict.fromkeys(refused.values()))}; it stays on file, and zcframe rss"
        f" restore {ifname} tries again"
    )


def _restore(folder: Path, ifname: str, root: Path) -> Outcome:
    """Put back the record of a folder that is locked. Raises NicError where that cannot be tried."""
    record = load(folder, ifname)
    if record is None:
        return Outcome()
    if record.alive:
        raise NicError(f"{ifname} is held by another run, pid {record.pid}: end that first")
    if gone := _absence(record, root):
        remove(folder, ifname)
        return Outcome(gone)
    refused = _put_back(folder, record, root)
    who = f"by a run that was killed (pid {record.pid})" if record.pid != BY_HAND else "by zcframe rss set"
    done = ", ".join(name for name in record.before if name not in refused) or "nothing"
    line = f"{ifname}: put back what was changed {who}: {done}"
    if refused:
        line += f"; {_remains(ifname, refused)}"
    return Outcome(line, {name: value for name, value in record.before.items() if name in refused}, refused)


class Hold:
    """An interface that this process may change. restored: what was put back for a former holder, as a line."""

    def __init__(self, folder: Path, record: Record, root: Path = ROOT, restored: str = "") -> None:
        self._folder, self._record, self._root, self.restored = folder, record, root, restored

    @property
    def ifname(self) -> str:
        return self._record.ifname

    def _keep(self, before: Mapping[str, Value]) -> None:
        record = self._record.with_before(dict(before))
        save(self._folder, record)
        self._record = record

    def change(self, name: str, value: Value) -> None:
        """Give a setting a value, after the file has recorded the former one. Raises NicError and OSError.

        A setting that still has its former value after a refusal is taken off the file.
        """
        before = read_setting(self.ifname, name, self._root)
        if before == value:
            return
        if name not in self._record.before:
            self._keep({**self._record.before, name: before})
        try:
            write_setting(self.ifname, name, value, self._root)
        except (OSError, NicError):
            self._forget(name)
            raise

    def _forget(self, name: str) -> None:
        """Take a setting off the file if it has its former value."""
        before = self._record.before
        if _has(self.ifname, name, before[name], self._root):
            # Where the file cannot be written, it says too much, which does no harm.
            with contextlib.suppress(NicError):
                self._keep({other: value for other, value in before.items() if other != name})

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
        with contextlib.suppress(NicError):
            self._keep({n: v for n, v in self._record.before.items() if n not in before or n in refused})
        return refused

    def put_back_early(self) -> None:
        """Give every setting its former value as far as it goes, and keep all on file: `undo()` looks again."""
        if load(self._folder, self.ifname) is not None:
            _write_back(self._record, self._root)

    def _settle(self) -> None:
        before = self._record.before.items()
        changed = {name: v for name, v in before if not _has(self.ifname, name, v, self._root)}
        if changed:
            self._keep(changed)
        else:
            self._record = self._record.with_before({})
            remove(self._folder, self.ifname)
            self._leave()

    def _leave(self) -> None:
        leave(self._folder.parent if self._record.pid == BY_HAND else self._folder)

    def undo(self) -> None:
        """Undo every change and remove the record; may be called again. Raises NicError for changes that remain."""
        if load(self._folder, self.ifname) is None:
            return
        if _absence(self._record, self._root):
            remove(self._folder, self.ifname)
        elif refused := _put_back(self._folder, self._record, self._root):
            raise NicError(_remains(self.ifname, refused))
        self._leave()


def hold(ifname: str, folder: Path | None = None, root: Path = ROOT) -> Hold:
    """Take an interface for this process, after the changes of a killed run were undone.

    What could not be undone is this holder's to undo. folder: where the state files are, by default those of this
    network namespace. root: what holds sys/ and proc/. Raises NicError where another run holds it.
    """
    folder = folder or own_folder()
    interface = Interface(ifname, class_net(root))
    with locked(folder):
        bring_here(folder, interface)
        found = _restore(folder, ifname, root)
        record = Record.made(interface, os.getpid()).with_before(dict(found.left))
        save(folder, record)
    return Hold(folder, record, root, found.line)


def hold_by_hand(ifname: str, folder: Path | None = None, root: Path = ROOT) -> Hold:
    """Take an interface for changes that stay; records of earlier changes by hand are kept. Raises NicError."""
    folder = folder or own_folder()
    layer, interface = by_hand(folder), Interface(ifname, class_net(root))
    with locked(folder), locked(layer):
        bring_here(folder, interface)
        run = _restore(folder, ifname, root)
        found = load(layer, ifname)
        record = found if found is not None and found.of(interface) else Record.made(interface, BY_HAND)
        # What a run could not put back goes below; a former value that is older goes before it.
        record = record.with_before({**run.left, **record.before})
        save(layer, record)
        remove(folder, ifname)
    return Hold(layer, record, root, run.line)


def restore(ifname: str, folder: Path | None = None, root: Path = ROOT) -> list[str]:
    """Undo on an interface what a killed run, then what `zcframe rss set` changed; a line each.

    Raises NicError for what remains, which names what was put back as well.
    """
    folder = folder or own_folder()
    if ifname not in held(folder, root):
        return []
    with locked(folder), locked(by_hand(folder)):
        found = [_restore(layer, ifname, root) for layer in (folder, by_hand(folder))]
    leave(folder)
    lines = [outcome.line for outcome in found if outcome.line]
    if any(outcome.refused for outcome in found):
        raise NicError("; ".join(lines))
    return lines


def held(folder: Path | None = None, root: Path = ROOT) -> list[str]:
    """Interfaces of this network namespace with changes on file, those that came from another one among them."""
    folder = folder or own_folder()
    bring_all_here(folder, root)
    return sorted({*names(folder), *names(by_hand(folder))})
