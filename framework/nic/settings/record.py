"""The state file: the settings of an interface before they were changed, and who changed them.

It outlives a process that is killed. It lies in the folder of its network namespace, since each has an eth0 of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final

from zcframe.framework.errors import NicError
from zcframe.framework.nic.link.interface import Interface
from zcframe.framework.nic.link.netns import PREFIX, namespace_key

from .setting import Value

# Emptied at boot, as the settings of every NIC are. Only root may read RSS keys. Records of the machine's own network
# namespace are in it, those of every other one in a folder below.
FOLDER: Final = Path("/run/zcframe")
# The pid of a record of `zcframe rss set`, whose settings stay when the process is gone.
BY_HAND: Final = 0

# Fields of /proc/<pid>/stat behind the name of the program, counted from its state: proc(5).
STATE, START_TIME = 0, 19


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where it is gone, or has ended but was not reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[STATE] in "ZX" else int(fields[START_TIME])


@dataclass(frozen=True)
class Record:
    """Changes of one process to one interface.

    before: the former value of each changed setting, in the order of the changes. started: with pid, as another process
    may have the same pid later. netns: name of the network namespace; None in a record of version 0.1, which lies in
    FOLDER wherever it is from.
    """

    ifname: str
    ifindex: int
    mac: str
    device: str
    pid: int
    started: int
    before: dict[str, Value]
    netns: str | None = None

    @classmethod
    def made(cls, interface: Interface, pid: int) -> Record:
        """A record without changes, of process `pid` or BY_HAND."""
        return cls(interface.name, *interface.identity, pid, started_at(pid) or 0, {}, namespace_key())

    @property
    def alive(self) -> bool:
        """Whether the process that changed the settings still runs."""
        return self.pid != BY_HAND and started_at(self.pid) == self.started

    def of(self, interface: Interface) -> bool:
        """Whether this interface is the one of the record, not a later one of the same name."""
        return interface.identity == (self.ifindex, self.mac, self.device)

    def with_before(self, before: dict[str, Value]) -> Record:
        return replace(self, before=before)


def own_folder() -> Path:
    """Where the records of this network namespace are."""
    return FOLDER / namespace_key()


def _no_place(path: Path, error: OSError) -> NicError:
    """A file or folder that records cannot be kept in."""
    remedies = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "; make room there")
    remedies |= dict.fromkeys((errno.EACCES, errno.EPERM), "; run as root")
    remedy = remedies.get(error.errno or 0, "")
    return NicError(f"cannot keep in {path} what is to be put back: {error.strerror}{remedy}")


def _open_locked(folder: Path) -> int:
    """Descriptor of the folder, locked. It is made where it is missing, or where its last holder just removed it."""
    while True:
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(folder), os.fstat(fd)):
                return fd
        os.close(fd)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, check that it is this user's alone, and keep other processes out meanwhile. Raises NicError."""
    try:
        fd = _open_locked(folder)
    except OSError as error:
        raise _no_place(folder, error) from error
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise NicError(f"{folder} is not this user's alone, and settings are put back from it: remove it")
        yield
    finally:
        os.close(fd)


def leave(folder: Path) -> None:
    """Remove the folder of a network namespace, and that below it, where no record is left in them."""
    if folder.name.startswith(PREFIX) and folder.is_dir():
        with contextlib.suppress(OSError, NicError), locked(folder):
            with contextlib.suppress(FileNotFoundError):
                by_hand(folder).rmdir()
            folder.rmdir()


def by_hand(folder: Path) -> Path:
    """Where the records of `zcframe rss set` are, of the namespace that has this folder."""
    return folder / "set"


def path_of(folder: Path, ifname: str) -> Path:
    return folder / f"{ifname}.json"


def load(folder: Path, ifname: str) -> Record | None:
    """The record of an interface, or None. Raises NicError where the file is damaged."""
    path = path_of(folder, ifname)
    try:
        found = json.loads(path.read_text())
        return Record(**{field.name: found[field.name] for field in fields(Record) if field.name in found})
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NicError(f"cannot read {path}: {error.strerror}; run as root") from error
    except (ValueError, TypeError) as error:
        raise NicError(f"{path} is damaged; look at what {ifname} is set to, and remove the file") from error


def save(folder: Path, record: Record) -> None:
    """Write the record whole or not at all. Raises NicError where the folder takes no file."""
    path = path_of(folder, record.ifname)
    new = path.with_suffix(".new")
    try:
        with open(new, "w", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
            json.dump(asdict(record), file)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise _no_place(path, error) from error


def remove(folder: Path, ifname: str) -> None:
    path_of(folder, ifname).unlink(missing_ok=True)


def names(folder: Path) -> list[str]:
    """Interfaces that have a record in the folder. Raises NicError."""
    try:
        return sorted(name.removesuffix(".json") for name in os.listdir(folder) if name.endswith(".json"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise NicError(f"cannot read {folder}: {error.strerror}; run as root") from error
